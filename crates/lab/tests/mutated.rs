//! Thousands of broken lab files: none may panic or take long, and what is still valid must read
//! as itself when it is written out.

use netarium_lab::{Files, Lab, builtins};
use proptest::prelude::*;

const PROGRAMS: [&str; 5] = ["curl", "httpd", "iptables", "netsh", "ping"];

/// A lab that uses every key of the format.
const EVERYTHING: &str = r#"version = 1
[lab]
name = "all"
title = { en = "Everything", ko = "모두" }
seed = 5
[networks.home]
subnet = "192.168.17.0/24"
kind = "hub"
title = "home"
[networks.campus]
subnet = "10.0.0.0/24"
link = { delay = "2ms", rate = "1Gbit", queue = 50, loss = "0.5%", up = { loss = 0.01 }, down = { queue = 9 } }
[switches.s2]
uplink = "home"
[switches.s3]
uplink = "s2"
link = { delay = "1us" }
[hosts.web]
title = { ko = "내 가상 머신" }
networks.home = { address = ["192.168.17.17", "192.168.17.18/32"], mac = "02:00:00:00:00:17", switch = "s3" }
programs = ["httpd --root 'htdocs'", 'curl "http://127.0.0.1/"']
firewall.inbound = [{ allow = "tcp/80", from = "10.0.0.0/8", name = "web" }, { reject = "icmp" }, { drop = "udp/1-9" }]
routes = [{ to = "default", via = "192.168.17.1" }, { to = "10.9.0.0/16", via = "192.168.17.20" }]
[hosts.pc]
networks.home = {}
[hosts.router]
router = true
networks.home = "192.168.17.1"
networks.campus = "10.0.0.2"
nat = { inside = "home", outside = "campus", forward = [{ from = "tcp/65535", to = "192.168.17.17:80" }, { from = "udp/53", to = "web:53" }] }
[gateway]
network = "campus"
address = "10.0.0.1"
title = "me"
mac = "02:00:00:00:00:01"
link.delay = "1ms"
[publish]
"127.0.0.1:8080" = "10.0.0.2:65535"
"0.0.0.0:5353/udp" = { to = "web:53", from = "pc" }
[attach]
"web:8000" = "127.0.0.1:8000"
[[run]]
at = "1.5s"
host = "pc"
command = "ping -c 1 web"
"#;

fn originals() -> Vec<&'static str> {
    builtins().iter().map(|b| b.toml).chain([EVERYTHING]).collect()
}

fn files() -> Files {
    let mut files = Files::new();
    files.insert("htdocs/index.html", "hello").unwrap();
    files
}

/// Reads a text; errors must draw, valid labs must round-trip.
fn read(text: &str) {
    match Lab::from_parts("lab.toml", text, &files(), &PROGRAMS) {
        Ok(lab) => {
            let written = lab.to_toml();
            let again = Lab::from_parts("lab.toml", &written, &files(), &PROGRAMS);
            let again = again.unwrap_or_else(|e| panic!("{text}\n--- written as\n{written}\n{e}"));
            assert_eq!(again, lab, "{text}\n--- written as\n{written}");
        }
        Err(errors) => {
            assert!(!errors.errors().is_empty());
            let plain = errors.to_string();
            assert!(plain.len() > errors.errors().len() * 10);
            assert!(!plain.contains('\u{1b}'));
            assert!(errors.render(true).contains('\u{1b}'));
        }
    }
}

/// The text in pieces: words, quotes, spaces, signs.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut before = None;
    for (i, c) in text.char_indices() {
        if before.is_some_and(|b: char| !word(b) || !word(c)) {
            out.push(&text[start..i]);
            start = i;
        }
        before = Some(c);
    }
    out.push(&text[start..]);
    out
}

#[test]
fn the_lab_with_every_key_is_valid() {
    let lab = Lab::from_parts("lab.toml", EVERYTHING, &files(), &PROGRAMS);
    assert!(lab.is_ok(), "{}", lab.unwrap_err());
    originals().iter().for_each(|text| read(text));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn flipped_bytes(text in prop::sample::select(originals()), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn swapped_and_copied_tokens(text in prop::sample::select(originals()), moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4u8), 1..6)) {
        let mut tokens = tokens(text);
        for (a, b, how) in moves {
            let (a, b) = (a.index(tokens.len()), b.index(tokens.len()));
            match how {
                0 => tokens.swap(a, b),
                1 => tokens[a] = tokens[b],
                2 if tokens.len() > 2 => { tokens.remove(a); }
                _ => tokens.insert(a, tokens[b]),
            }
        }
        read(&tokens.concat());
    }

    #[test]
    fn truncated(text in prop::sample::select(originals()), at in any::<prop::sample::Index>()) {
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) { at -= 1 }
        read(&text[..at]);
    }

    #[test]
    fn swapped_lines(text in prop::sample::select(originals()), swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6)) {
        let mut lines: Vec<&str> = text.lines().collect();
        for (a, b) in swaps {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
        }
        read(&lines.join("\n"));
    }

    #[test]
    fn changed_values(value in "[0-9a-z./:%-]{0,12}|\\PC{0,8}", at in any::<prop::sample::Index>()) {
        let quoted: Vec<(usize, &str)> = EVERYTHING.match_indices('"').collect();
        let first = at.index(quoted.len() / 2) * 2;
        let (from, to) = (quoted[first].0 + 1, quoted[first + 1].0);
        if from <= to {
            read(&format!("{}{value}{}", &EVERYTHING[..from], &EVERYTHING[to..]));
        }
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        read(&text);
        read(&format!("version = 1\n{text}"));
    }

    #[test]
    fn paths_never_leave(path in "[a-z./\\\\:]{0,24}|\\PC{0,16}") {
        if let Ok(clean) = netarium_lab::files::normalise(&path) {
            prop_assert!(!clean.starts_with('/') && !clean.contains('\\'));
            prop_assert!(clean.split('/').all(|p| p != ".." && p != "."));
            prop_assert_eq!(netarium_lab::files::normalise(&clean), Ok(clean));
        }
    }

    #[test]
    fn words_round_trip(words in prop::collection::vec("[a-z '\"\\\\]{0,6}", 1..5)) {
        match netarium_lab::words::split(&netarium_lab::words::join(&words)) {
            Ok(again) => prop_assert_eq!(again, words),
            Err(_) => prop_assert!(words[0].is_empty()),
        }
    }
}
