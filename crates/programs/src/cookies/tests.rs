//! What is stored, what is sent, and the file.

use super::*;

const NOW: u64 = 1_700_000_000;

fn jar(host: &str, path: &str, fields: &[&str]) -> (Jar, Vec<Result<Stored, Rejected>>) {
    let mut jar = Jar::default();
    let origin = Origin { host, path, secure: false };
    let all = fields.iter().map(|f| jar.set(f, origin, NOW)).collect();
    (jar, all)
}

fn sent(jar: &Jar, host: &str, path: &str, secure: bool) -> String {
    let origin = Origin { host, path, secure };
    let pairs = jar.matching(origin, NOW).into_iter().map(|c| format!("{}={}", c.name, c.value));
    pairs.collect::<Vec<_>>().join("; ")
}

#[test]
fn domains_and_paths_decide_what_is_sent() {
    let (jar, all) = jar(
        "www.shop.lab",
        "/a/b",
        &["here=1", "wide=2; Domain=.shop.lab; Path=/", "deep=3; Path=/a/b/", "root=4; Path=/"],
    );
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    // RFC 6265bis §5.8.3: longest path first.
    assert_eq!(sent(&jar, "www.shop.lab", "/a/b/c", false), "deep=3; here=1; root=4; wide=2");
    assert_eq!(sent(&jar, "www.shop.lab", "/ab", false), "root=4; wide=2");
    assert_eq!(sent(&jar, "api.shop.lab", "/a/b", false), "wide=2");
    assert_eq!(sent(&jar, "shop.lab", "/", false), "wide=2");
    assert_eq!(sent(&jar, "evilshop.lab", "/", false), "");
}

#[test]
fn what_may_not_be_set_is_rejected() {
    // RFC 6265bis §5.7.
    let (jar, all) = jar(
        "www.shop.lab",
        "/",
        &[
            "a=1; Domain=other.lab",
            "b=1; Domain=lab",
            "c=1; Secure",
            "__Secure-d=1",
            "__Host-e=1; Path=/",
            "f",
            "=g",
            "h=\u{1}",
            &format!("i={}", "x".repeat(4096)),
        ],
    );
    let expected = [
        Rejected::Domain("other.lab".into()),
        Rejected::PublicSuffix { name: "b".into(), domain: "lab".into() },
        Rejected::Secure("c".into()),
        Rejected::Prefix("__Secure-d".into()),
        Rejected::Prefix("__Host-e".into()),
        Rejected::Malformed,
        Rejected::Malformed,
        Rejected::Octets,
        Rejected::TooLarge,
    ];
    for (got, expected) in all.into_iter().zip(expected) {
        assert_eq!(got, Err(expected));
    }
    assert!(jar.all(NOW).is_empty());
}

#[test]
fn an_insecure_cookie_does_not_cover_a_secure_one() {
    let mut jar = Jar::default();
    let safe = Origin { host: "h.lab", path: "/", secure: true };
    jar.set("id=1; Secure; Path=/", safe, NOW).expect("over a safe connection");
    let open = Origin { secure: false, ..safe };
    let refused = jar.set("id=2; Path=/", open, NOW);
    assert_eq!(refused, Err(Rejected::Overlay { name: "id".into(), domain: "h.lab".into() }));
    assert_eq!(sent(&jar, "h.lab", "/", false), "");
    assert_eq!(sent(&jar, "h.lab", "/", true), "id=1");
}

#[test]
fn cookies_expire() {
    let (mut jar, _) = jar(
        "h",
        "/",
        &["a=1; Max-Age=10", "b=1; Expires=Wed, 15 Nov 2023 00:00:00 GMT; Max-Age=99999999", "c=1"],
    );
    let origin = Origin { host: "h", path: "/", secure: false };
    assert_eq!(jar.matching(origin, NOW + 11).len(), 2);
    assert_eq!(jar.matching(origin, NOW + 200_000).len(), 2);
    let gone = jar.set("c=; Max-Age=0", origin, NOW);
    assert!(matches!(gone, Ok(Stored::Removed(c)) if c.name == "c"));
    jar.end_session();
    assert_eq!(sent(&jar, "h", "/", false), "b=1; a=1");
}

#[test]
fn dates_are_read_in_any_order() {
    // RFC 6265bis §5.1.1.
    for (text, seconds) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
        ("Sun Nov  6 08:49:37 1994", 784_111_777),
        ("Tue, 19-Jan-2038 03:14:07 GMT", 2_147_483_647),
        ("20190101", 1_546_300_800),
    ] {
        assert_eq!(date::parse(text), Some(seconds), "{text}");
    }
    for bad in ["", "never", "Sun, 31 Feb 2020 00:00:00 GMT", "12:00", "2019-13-01", "2019-01-01"] {
        assert_eq!(date::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_full_jar_forgets_the_oldest() {
    let fields: Vec<String> = (0..DOMAIN_MAX + 5).map(|n| format!("c{n}=1")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let (jar, _) = jar("h", "/", &fields);
    assert_eq!(jar.all(NOW).len(), DOMAIN_MAX);
    assert!(!jar.all(NOW).iter().any(|c| c.name == "c0"));
}

proptest::proptest! {
    #[test]
    fn any_field_and_any_file_are_read_without_panic(text in "\\PC{0,60}|([a-z=;: -]|Max-Age|Expires|Domain|Path|\t|\n){0,30}") {
        let mut jar = Jar::default();
        let origin = Origin { host: "h.lab", path: "/a", secure: false };
        let _ = jar.set(&text, origin, NOW);
        let _ = date::parse(&text);
        read(&mut jar, &text, NOW);
        // What is written is read again as the same.
        let first = write(&jar, NOW);
        let mut again = Jar::default();
        read(&mut again, &first, NOW);
        proptest::prop_assert_eq!(again.all(NOW).len(), jar.all(NOW).iter().filter(|c| !c.domain.is_empty()).count());
    }
}
