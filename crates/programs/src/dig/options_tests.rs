//! `dig`'s command line, beside BIND's.

use super::*;

fn read(line: &str) -> Result<Line, Stop> {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    parse(&args)
}

#[test]
fn options_hold_for_what_stands_behind_them() {
    let line =
        read("@10.0.0.53 +norec -p 5353 www.shop.lab +tcp mx shop.lab +noall +answer").unwrap();
    assert_eq!(line.global.port, 5_353);
    let [a, b] = &line.lookups[..] else { panic!("two look-ups") };
    assert_eq!(
        (a.name.as_str(), a.rtype, a.recurse, a.tcp),
        ("www.shop.lab", RecordType::MX, false, Some(true))
    );
    assert_eq!(
        (b.name.as_str(), b.rtype, b.recurse, b.tcp),
        ("shop.lab", RecordType::A, false, None)
    );
    assert_eq!((b.answer, b.authority, b.stats, b.comments), (true, false, false, false));
    assert!(a.stats && !line.global.cmd);
}

#[test]
fn words_are_types_classes_or_names() {
    let line = read("ch txt version.bind").unwrap();
    assert_eq!((line.lookups[0].class, line.lookups[0].rtype), (DNSClass::CH, RecordType::TXT));
    let line = read("-x 10.0.0.80").unwrap();
    assert_eq!(
        (line.lookups[0].name.as_str(), line.lookups[0].rtype),
        ("80.0.0.10.in-addr.arpa.", RecordType::PTR)
    );
    for (value, name) in [
        ("1.2.3", "3.2.1.in-addr.arpa."),
        ("abc", "abc.in-addr.arpa."),
        ("1.2.3.4.5", "5.4.3.2.1.in-addr.arpa."),
        ("1:2", "1:2.in-addr.arpa."),
    ] {
        assert_eq!(read(&format!("-x {value}")).unwrap().lookups[0].name, name);
    }
    let line = read("").unwrap();
    assert_eq!((line.lookups[0].name.as_str(), line.lookups[0].rtype), (".", RecordType::NS));
    assert_eq!(read("x A MX").unwrap().warnings, [";; Warning, extra type option"]);
    assert_eq!(read("-t NOPE x").unwrap().warnings, [";; Warning, ignoring invalid type NOPE"]);
}

#[test]
fn what_is_not_understood_is_told() {
    let usage = |text: &str| Err(Stop::Usage(text.to_owned()));
    assert_eq!(read("-z"), usage("Invalid option: -z"));
    assert_eq!(read("x +nosuch"), usage("Invalid option: +nosuch"));
    assert_eq!(read("x +nosuch=1"), usage("Invalid option: +nosuch"));
    assert_eq!(read("x +time"), usage("Invalid option: +time"));
    assert_eq!(read("x +time="), usage("Invalid option: +time"));
    let both = Stop::Fatal("only one of -4 and -6 allowed".to_owned());
    assert_eq!(read("-4 -6 x"), Err(both));
    for (line, what, value, why, code) in [
        ("-p x y", "port number", "x", "not a valid number", 1),
        ("-p 99999 y", "port number", "99999", "out of range", 1),
        ("+time=x y", "timeout", "x", "not a valid number", 10),
        ("+time=-1 y", "timeout", "-1", "not a valid number", 10),
        ("+timeout=99999999999 y", "timeout", "99999999999", "out of range", 10),
        ("+bufsize=512x y", "buffer size", "512x", "not a valid number", 10),
        ("+tries=x y", "tries", "x", "not a valid number", 10),
        ("+retry=x y", "retries", "x", "not a valid number", 10),
        ("+edns=300 y", "edns", "300", "out of range", 10),
        ("+ndots=x y", "ndots", "x", "not a valid number", 10),
    ] {
        let value = value.to_owned();
        assert_eq!(read(line), Err(Stop::Number { what, value, why, code }), "{line}");
    }
    assert_eq!(read("-h"), Err(Stop::Help));
    assert_eq!(read("-v"), Err(Stop::Version));
}

#[test]
fn values_and_prefixes() {
    let lookup = |line: &str| read(line).unwrap().lookups[0].clone();
    assert_eq!(lookup("x +noedns").edns, None);
    assert_eq!(lookup("x +edns=1").edns, Some(1));
    assert_eq!(lookup("x +bufsize=4096").bufsize, 4_096);
    assert_eq!((lookup("x +time=2 +retry=0").timeout, lookup("x +retry=0").tries), (2, 1));
    assert_eq!((lookup("x +tries=0").tries, lookup("x +time=0").timeout), (1, 1));
    assert!(!lookup("x +nocook").cookie);
    assert_eq!(lookup("x +tcp=1").tcp, Some(true));
    let shown = |line: &str| read(line).unwrap().global.cmd;
    assert!(shown("x +nodnssec") && !shown("x +short") && shown("x +short +cmd"));
}
