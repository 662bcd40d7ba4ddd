//! Zones: what files say, and what zones answer.

use super::*;

const SHOP: &str = r#"
$ORIGIN shop.lab.
$TTL 300
@        IN SOA ns1 admin.shop.lab. ( 2026112201 2h 1h 2w 5m ) ; refresh, retry, expire, minimum
         NS  ns1
         MX  10 mail
ns1      A   10.0.0.3
www   60 CNAME @
@        A   10.77.0.1
mail  IN 1h AAAA fd00::1
*.wild   TXT "any" "one"
a.b.wild A   10.0.0.9
sub      NS  ns.sub
         NS  elsewhere.example.
ns.sub   A   10.0.0.4
_http._tcp SRV 0 5 80 www
raw      TYPE65280 \# 3 010203
addr     TYPE1 \# 4 0A000001
"#;

fn name(text: &str) -> Name {
    text::parse_name(text, &Name::root()).unwrap()
}

fn no_include(_: &str) -> Result<String, String> {
    Err("no such file".to_owned())
}

fn zone(text: &str) -> Result<Zone, String> {
    Zone::parse(&name("shop.lab."), "shop.lab.zone", text, &no_include).map_err(|e| e.to_string())
}

fn check(asked: &str, rtype: RecordType, expect: &str) {
    let zone = zone(SHOP).unwrap();
    let all = |set: &RrSet| {
        let data: Vec<_> = set.data.iter().map(text::rdata).collect();
        format!("{} {}", set.ttl, data.join(", "))
    };
    let got = match zone.find(&name(asked), rtype) {
        Found::Records(set) => all(set),
        Found::Node(node) => format!("{} types", node.len()),
        Found::Alias(set) => format!("alias {}", all(set)),
        Found::Referral { cut, servers } => format!("see {}: {}", text::name(&cut), all(servers)),
        Found::NoData => "nodata".to_owned(),
        Found::NxDomain => "nxdomain".to_owned(),
    };
    assert_eq!(got, expect, "{asked} {rtype}");
}

#[test]
fn a_zone_answers() {
    use RecordType::*;
    check("shop.lab.", A, "300 10.77.0.1");
    check("SHOP.LAB.", SOA, "300 ns1.shop.lab. admin.shop.lab. 2026112201 7200 3600 1209600 300");
    check("shop.lab.", ANY, "4 types");
    check("shop.lab.", AAAA, "nodata");
    check("www.shop.lab.", A, "alias 60 shop.lab.");
    check("www.shop.lab.", CNAME, "60 shop.lab.");
    check("mail.shop.lab.", AAAA, "3600 fd00::1");
    check("nope.shop.lab.", A, "nxdomain");
    check("_http._tcp.shop.lab.", SRV, "300 0 5 80 www.shop.lab.");
    check("raw.shop.lab.", Unknown(65_280), "300 \\# 3 010203");
    check("addr.shop.lab.", A, "300 10.0.0.1");
}

#[test]
fn a_file_without_times_to_live_has_an_hour() {
    let text = "@ SOA ns admin 1 2 3 4 60\n NS ns\nns 120 A 10.0.0.1\n$TTL 77\ny A 1.2.3.4\n";
    let origin = text::parse_name("shop.lab.", &Name::root()).unwrap();
    let all = parse::parse("shop.lab.zone", text, &origin, &|_| Err(String::new())).unwrap();
    // As nsd-checkzone -p shows them.
    let times: Vec<u32> = all.iter().map(|p| p.record.ttl).collect();
    assert_eq!(times, [3_600, 3_600, 120, 77]);
}

#[test]
fn empty_non_terminals_and_wildcards() {
    use RecordType::*;
    // RFC 4592 §2.2.2: names with something below them are there.
    check("_tcp.shop.lab.", A, "nodata");
    check("wild.shop.lab.", TXT, "nodata");
    check("b.wild.shop.lab.", TXT, "nodata");
    check("x.wild.shop.lab.", TXT, "300 \"any\" \"one\"");
    check("x.y.wild.shop.lab.", TXT, "300 \"any\" \"one\"");
    check("x.wild.shop.lab.", A, "nodata");
    // The closest encloser is b.wild, which has no wildcard.
    check("x.b.wild.shop.lab.", TXT, "nxdomain");
    check("x.a.b.wild.shop.lab.", A, "nxdomain");
    check("*.wild.shop.lab.", TXT, "300 \"any\" \"one\"");
}

#[test]
fn a_zone_ends_at_its_cuts() {
    use RecordType::*;
    let see = "see sub.shop.lab.: 300 ns.sub.shop.lab., elsewhere.example.";
    check("sub.shop.lab.", A, see);
    check("sub.shop.lab.", NS, see);
    check("ns.sub.shop.lab.", A, see);
    check("x.y.sub.shop.lab.", ANY, see);
    check("sub.shop.lab.", DS, "nodata");
    check("x.sub.shop.lab.", DS, see);
}

#[test]
fn mistakes_are_told_with_their_place() {
    let head = "@ 300 SOA a b 1 2 3 4 5\n@ 300 NS a\n";
    let wrong = |more: &str, what: &str| {
        let told = zone(&format!("{head}{more}")).unwrap_err();
        assert_eq!(told, format!("shop.lab.zone:{what}"), "{more}");
    };
    wrong("www A 10.0.0", "3: A: `10.0.0` is not an IPv4 address");
    wrong("www A 10.0.0.1 x", "3: A: `x` is one word too many");
    wrong("www MX mail", "3: MX: `mail` is not a preference");
    wrong("www MX 10", "3: MX: a name is missing");
    wrong("www.example. A 10.0.0.1", "3: www.example. is not in the zone shop.lab.");
    wrong(
        "www A 10.0.0.1\nwww CNAME x",
        "4: www.shop.lab. has a CNAME and other data (RFC 1034 §3.6.2)",
    );
    wrong(
        "www CNAME x\nwww A 10.0.0.1",
        "4: www.shop.lab. has a CNAME and other data (RFC 1034 §3.6.2)",
    );
    wrong("www CNAME x\nwww CNAME y", "4: www.shop.lab. has several CNAME records");
    wrong("www SOA a b 1 2 3 4 5", "3: SOA at www.shop.lab., not at the zone's own name");
    wrong("www NOPE x", "3: unknown type `NOPE`");
    wrong("www CH A 10.0.0.1", "3: class CH: only IN is served");
    wrong("www 99999999999 A 10.0.0.1", "3: `99999999999` is not a time to live");
    wrong("a..b A 10.0.0.1", "3: `a..b` is not a name: empty label");
    wrong("$FOO", "3: unknown directive $FOO");
    wrong("$TTL x", "3: `x` is not a time to live");
    wrong("$INCLUDE other", "3: other: no such file");
    wrong("www TYPE1 \\# 3 0A0000", "3: these bytes are no data of type A");
    wrong("www TYPE1 \\# 4 0A0000", "3: \\# 4, but there are 3 bytes");
    wrong("www DS 1 2 3 4", "3: data of type DS can be given as `\\# LENGTH HEX` only");
    let told = zone("@ 300 NS a\n").unwrap_err();
    assert_eq!(told, "shop.lab.zone:0: the zone has no SOA record");
    assert_eq!(zone("@ NS a\n").unwrap_err(), "shop.lab.zone:0: the zone has no SOA record");
    assert_eq!(
        zone(" A 10.0.0.1").unwrap_err(),
        "shop.lab.zone:1: no owner before the first record"
    );
}

#[test]
fn files_include_files() {
    let include = |file: &str| match file {
        "hosts" => Ok("$ORIGIN deep\na A 10.0.0.1\n".to_owned()),
        "loop" => Ok("$INCLUDE loop\n".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let read = |text: &str| Zone::parse(&name("shop.lab."), "z", text, &include);
    let head = "$TTL 1\n@ SOA a b 1 2 3 4 5\n NS a\n";
    let zone = read(&format!("{head}$INCLUDE hosts sub\n A 10.0.0.2\n")).unwrap();
    assert!(zone.set(&name("a.deep.sub.shop.lab."), RecordType::A).is_some());
    assert!(zone.set(&name("shop.lab."), RecordType::A).is_some(), "the owner before is back");
    let told = read(&format!("{head}$INCLUDE loop\n")).unwrap_err().to_string();
    assert_eq!(told, "loop:1: more than 8 files in each other");
}

#[test]
fn times_to_live() {
    for (text, seconds) in [
        ("0", Some(0)),
        ("300", Some(300)),
        ("1h30m", Some(5_400)),
        ("1W2D", Some(777_600)),
        ("2147483647", Some(2_147_483_647)),
        ("2147483648", None),
        ("", None),
        ("h", None),
        ("1x", None),
        ("99999999999999999999", None),
    ] {
        assert_eq!(parse::ttl(text), seconds, "{text}");
    }
}

proptest::proptest! {
    /// Whatever stands in a file: an error or a zone, and no panic.
    #[test]
    fn any_text_is_a_zone_or_a_mistake(text in "[ -~\n\t]{0,200}", lines in proptest::collection::vec("(www|@|\\*|) (300|IN|) (A|NS|TXT|MX|SRV|SOA|CAA|TYPE9) [ -~]{0,30}", 0..5)) {
        let _ = zone(&text);
        let _ = zone(&format!("@ 300 SOA a b 1 2 3 4 5\n@ 300 NS a\n{}", lines.join("\n")));
    }
}
