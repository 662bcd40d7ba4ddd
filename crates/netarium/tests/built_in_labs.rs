//! The labs that come with the program: whole, in two languages, and the same when written out.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "asks the real tshark what it sees"
)]

#[allow(dead_code, reason = "shared by the tests that read captures")]
mod common;

use netarium::lab::{builtin, builtins};
use netarium::{BuildOptions, Duration, Lab};

#[test]
fn they_are_whole_and_have_titles_in_both_languages() {
    assert!(builtins().is_sorted_by_key(|b| b.name));
    for built_in in builtins() {
        let name = built_in.name;
        let lab = Lab::builtin(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let lab = lab.model();
        assert_eq!((lab.name(), lab.title()), (name, &built_in.title));
        assert!(built_in.title.en.is_some() && built_in.title.ko.is_some(), "{name}");
        let again = Lab::load("lab.toml", &lab.to_toml(), lab.files());
        assert_eq!(again.unwrap_or_else(|e| panic!("{name}: {e}")).model(), lab);
        assert!(!lab.runs().is_empty(), "{name}: nothing happens when it runs headless");
    }
    assert!(builtin("no such lab").is_none());
}

/// Nothing of a lab comes from the real network, so that it works without one and tells nobody.
#[test]
fn their_pages_load_nothing_from_elsewhere() {
    for built_in in builtins() {
        for (path, contents) in built_in.files().iter() {
            let Ok(text) = std::str::from_utf8(contents) else { continue };
            if !path.ends_with(".html") && !path.ends_with(".js") && !path.ends_with(".css") {
                continue;
            }
            let name = built_in.name;
            assert!(!text.contains("https://") && !text.contains("//cdn"), "{name}/{path}");
            for after in text.split("http://").skip(1) {
                let host: String = after.chars().take_while(|c| !"/:<\"' ".contains(*c)).collect();
                let inside = host.parse::<std::net::Ipv4Addr>().is_ok()
                    || host.ends_with(".lab")
                    || host.ends_with("w3.org")
                    || !host.contains('.');
                assert!(inside, "{name}/{path}: http://{host}");
            }
        }
    }
}

#[test]
fn the_course_comes_with_its_pages() {
    let course = builtin("course").unwrap().files();
    let page = std::str::from_utf8(course.get("htdocs/index.html").unwrap()).unwrap();
    assert!(
        page.contains("이 페이지가 당신에게 온 길")
            && page.contains("The way this page came to you")
    );
    let pictures = ["htdocs/favicon.ico", "htdocs/network.svg", "htdocs/menu/index.html"];
    assert!(pictures.iter().all(|p| course.get(p).is_some()) && course.get("lab.toml").is_none());
    // The shop's files are those of the lab `shop`.
    let shop = builtin("shop").unwrap().files();
    assert!(shop.iter().count() > 3);
    for (path, contents) in shop.iter() {
        assert_eq!(course.get(&format!("shop/{path}")), Some(contents), "{path}");
    }
    assert!(course.get("shop/lab.toml").is_none());
}

/// What happens in each lab by itself, as Wireshark's dissectors see it: nothing is malformed, and each
/// checksum is right.
#[test]
fn tshark_finds_nothing_wrong_in_any_lab() {
    const WRONG: &str = "_ws.malformed || eth.fcs.status == 0 || ip.checksum.status == 0 \
        || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0";
    let mut packets = 0;
    for built_in in builtins() {
        let options = BuildOptions { seed: Some(1), runs: true, ..BuildOptions::default() };
        let mut world = Lab::builtin(built_in.name).unwrap().build_with(options).unwrap();
        let capture = world.capture();
        world.run_for(Duration::from_secs(30));
        let capture = world.end_capture(capture);
        let checks = ["ip", "tcp", "udp"].map(|p| format!("{p}.check_checksum:TRUE"));
        let mut args: Vec<&str> = checks.iter().flat_map(|c| ["-o", c]).collect();
        args.extend(["-T", "fields", "-e", "frame.number"]);
        let Some(all) = common::tshark(built_in.name, &capture, &args) else { return };
        args.extend(["-e", "frame.protocols", "-Y", WRONG]);
        let wrong = common::tshark(built_in.name, &capture, &args).unwrap_or_default();
        assert!(wrong.is_empty(), "{}:\n{wrong}", built_in.name);
        packets += all.lines().count();
    }
    assert!(packets > 2_000, "{packets}");
}
