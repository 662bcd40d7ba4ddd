//! Names: from `curl` on a PC down to the root and back, in the built-in lab `dns` and in labs that
//! go wrong in one way each.

use netarium::{Lab, World};

fn lab() -> World {
    Lab::builtin("dns").unwrap().build(1).unwrap()
}

fn run(world: &mut World, host: &str, command: &str) -> (i32, String) {
    let said = world.exec(host, command).unwrap();
    (said.code, said.stdout_text() + &said.stderr_text())
}

fn ok(world: &mut World, host: &str, command: &str) -> String {
    let (code, text) = run(world, host, command);
    assert_eq!(code, 0, "{command}: {text}");
    text
}

#[test]
fn a_name_becomes_a_page() {
    let mut world = lab();
    assert!(ok(&mut world, "pc", "curl -s http://www.shop.lab/").contains("The shop"));
    let text = ok(&mut world, "pc", "dig +short www.shop.lab");
    assert_eq!(text, "shop.lab.\n10.0.0.80\n");
    eprintln!("{}", ok(&mut world, "pc", "dig www.shop.lab"));
    eprintln!("{}", ok(&mut world, "pc", "dig +trace www.shop.lab"));
    eprintln!("{}", ok(&mut world, "pc", "dig +norec nope.shop.lab @resolver"));
    eprintln!("{}", ok(&mut world, "pc", "dig -x 10.0.0.80"));
    eprintln!("{}", ok(&mut world, "resolver", "unbound-control dump_cache"));
    eprintln!("{}", ok(&mut world, "resolver", "unbound-control stats"));
    eprintln!("{}", ok(&mut world, "resolver", "unbound-control dump_infra"));
    eprintln!("{:?}", run(&mut world, "pc", "curl -s http://nope.shop.lab/"));
}
