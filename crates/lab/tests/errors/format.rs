//! The file as a whole: syntax, version, keys, types.

use crate::{cases, errors_of, home_cases};

cases! {
    syntax_error: "version = 1\n[networks.home\nsubnet = \"10.0.0.0/24\"\n";
    unclosed_string: "version = 1\nlab.name = \"first\n";
    key_twice: "version = 1\n[hosts.web]\n[hosts.web]\n";
    version_missing: "[networks.home]\nsubnet = \"10.0.0.0/24\"\n";
    version_unsupported: "version = 2\n[something.new]\n";
    version_of_the_wrong_type: "version = \"1\"\n";
    unknown_table: "version = 1\n[network.home]\nsubnet = \"10.0.0.0/24\"\n";
    missing_key: "version = 1\n[networks.home]\nkind = \"hub\"\n";
}

home_cases! {
    unknown_key: "programms = [\"httpd\"]\n";
    unknown_key_far_from_all: "colour = \"red\"\n";
    unknown_key_in_a_link: "networks.campus = { adress = \"10.0.0.3\", link = { up = { losss = 0.1 } } }\n";
    wrong_type: "router = \"yes\"\nprograms = \"httpd\"\n";
    wrong_type_of_a_table: "networks.campus = 7\n[hosts]\npc = \"192.168.17.20\"\n";
    wrong_type_of_a_date: "networks.campus = 2026-11-23\n";
    several_errors_at_once: r#"color = 1
networks.campus = "10.0.1.7"
[hosts.pc]
networks.hmoe = "192.168.17.20"
programs = ["htpd"]
"#;
}

#[test]
fn a_line_that_is_too_long_for_a_picture() {
    let text = format!("version = 1\ncolour = \"{}\"\n", "x".repeat(1_000));
    insta::assert_snapshot!("long_line", errors_of(&text));
}

#[test]
fn more_errors_than_are_kept() {
    let mut text = String::from("version = 1\n");
    (0..150).for_each(|i| text.push_str(&format!("zz{i} = 1\n")));
    let shown = errors_of(&text);
    assert!(shown.ends_with("… and 50 more errors\n"), "{shown}");
    assert_eq!(shown.matches("unknown key").count(), 100);
}

#[test]
fn a_file_that_is_too_large() {
    let text = format!("version = 1\n#{}", "x".repeat(8 << 20));
    insta::assert_snapshot!("file_too_large", errors_of(&text));
}

#[test]
fn colour_only_when_asked() {
    let files = netarium_lab::Files::new();
    let errors = netarium_lab::Lab::from_parts("lab.toml", "version = 3", &files, &[]).unwrap_err();
    assert!(errors.render(true).contains("\u{1b}["));
    assert!(!errors.render(false).contains('\u{1b}'));
    assert_eq!(errors.errors()[0].code, netarium_lab::Code::Version);
    let place = netarium_lab::Place::Text { line: 1, column: 11 };
    assert_eq!(errors.errors()[0].place, place);
    let json = serde_json::to_string(&errors.errors()[0]).unwrap();
    assert!(json.contains(r#""code":"version""#) && json.contains(r#""line":1"#), "{json}");
}

/// Each limit has its error, and no work is done for what is beyond it.
#[test]
fn limits_are_errors() {
    use netarium_lab::Code;
    let many = |n: usize, one: &dyn Fn(usize) -> String| (0..n).map(one).collect::<String>();
    let list = |n: usize, one: &dyn Fn(usize) -> String| format!("[{}]\n", many(n, one));
    for text in [
        many(10_001, &|i| format!("[switches.s{i}]\nuplink = \"home\"\n")),
        many(9_999, &|i| {
            format!("[networks.n{i}]\nsubnet = \"11.{}.{}.0/24\"\n", i / 256, i % 256)
        }),
        format!("programs = {}", list(1_001, &|_| "\"ps\",".into())),
        format!("firewall.inbound = {}", list(1_001, &|_| "{ allow = \"icmp\" },".into())),
        format!(
            "routes = {}",
            list(1_001, &|i| {
                format!("{{ to = \"12.{}.{}.0/24\", via = \"192.168.17.1\" }},", i / 256, i % 256)
            })
        ),
        format!(
            "[hosts.a]\nnetworks.home = {}",
            list(65, &|i| format!("\"192.168.17.{}\",", i + 100))
        ),
        format!(
            "[gateway]\nnetwork = \"home\"\n[publish]\n{}",
            many(1_001, &|i| { format!("\"127.0.0.1:{}\" = \"web:80\"\n", i + 1) })
        ),
        format!(
            "[attach]\n{}",
            many(1_001, &|i| format!("\"web:{}\" = \"127.0.0.1:80\"\n", i + 1))
        ),
        many(1_001, &|_| "[[run]]\nhost = \"web\"\ncommand = \"ps\"\n".into()),
    ] {
        let text = format!("{}{text}", crate::HOME);
        let lab =
            netarium_lab::Lab::from_parts("lab.toml", &text, &Default::default(), &crate::PROGRAMS);
        let errors = lab.unwrap_err();
        let codes: Vec<Code> = errors.errors().iter().map(|e| e.code).collect();
        assert_eq!(codes, [Code::Limit], "{errors}");
    }
}
