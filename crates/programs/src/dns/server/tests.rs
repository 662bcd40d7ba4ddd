//! What the authoritative server answers, as text.

use std::fmt::Write as _;

use hickory_proto::op::{Edns, Message, OpCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::answer::{Zones, respond};
use crate::dns::zone::Zone;
use crate::dns::{message, text};

const LAB: &str = "$TTL 3600
@ SOA ns.nic hostmaster.nic 1 7200 3600 1209600 300
@ NS ns.nic
ns.nic A 10.0.0.2
shop NS ns1.shop
ns1.shop A 10.0.0.3
glueless NS ns1.shop
alias CNAME www.shop
away CNAME www.example.
loop CNAME loop2
loop2 CNAME loop
mail MX 10 ns.nic
big TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"
";

fn name(text: &str) -> Name {
    text::parse_name(text, &Name::root()).unwrap()
}

fn zones() -> Zones {
    let mut zones = Zones::new(false);
    let zone = Zone::parse(&name("lab."), "lab", LAB, &|_| Err(String::new())).unwrap();
    zones.insert(name("lab."), Some(zone));
    zones.insert(name("broken.lab."), None);
    zones
}

fn ask(change: impl FnOnce(&mut Message), tcp: bool) -> Option<Message> {
    let mut query = message::query(7, name("mail.lab."), RecordType::MX);
    change(&mut query);
    let answered = respond(&zones(), &query.to_vec().unwrap(), tcp)?;
    assert!(tcp || answered.bytes.len() <= 4_096);
    Some(message::decode(&answered.bytes).expect("the server's messages can be read"))
}

fn shown(response: &Message) -> String {
    let m = &response.metadata;
    let mut out = text::rcode(m.response_code);
    for (set, word) in [
        (m.authoritative, "aa"),
        (m.truncation, "tc"),
        (m.recursion_desired, "rd"),
        (m.recursion_available, "ra"),
    ] {
        if set {
            let _ = write!(out, " {word}");
        }
    }
    for (mark, section) in
        [('=', &response.answers), ('^', &response.authorities), ('+', &response.additionals)]
    {
        for record in section {
            let _ = write!(
                out,
                "\n{mark} {}",
                text::record(record).split_whitespace().collect::<Vec<_>>().join(" ")
            );
        }
    }
    out
}

fn check(asked: &str, rtype: RecordType, expect: &str) {
    let response =
        ask(|q| q.queries[0] = hickory_proto::op::Query::query(name(asked), rtype), false);
    assert_eq!(shown(&response.unwrap()), expect, "{asked} {rtype}");
}

#[test]
fn answers_referrals_and_what_is_not_there() {
    use RecordType::{A, ANY, DS, MX, NS, SOA};
    let auth = "^ lab. 3600 IN NS ns.nic.lab.\n+ ns.nic.lab. 3600 IN A 10.0.0.2";
    check("mail.lab.", MX, &format!("NOERROR aa\n= mail.lab. 3600 IN MX 10 ns.nic.lab.\n{auth}"));
    check(
        "lab.",
        NS,
        "NOERROR aa\n= lab. 3600 IN NS ns.nic.lab.\n+ ns.nic.lab. 3600 IN A 10.0.0.2",
    );
    let soa = "^ lab. 300 IN SOA ns.nic.lab. hostmaster.nic.lab. 1 7200 3600 1209600 300";
    check("nope.lab.", A, &format!("NXDOMAIN aa\n{soa}"));
    check("mail.lab.", A, &format!("NOERROR aa\n{soa}"));
    check("nic.lab.", A, &format!("NOERROR aa\n{soa}"));
    let shop = "^ shop.lab. 3600 IN NS ns1.shop.lab.\n+ ns1.shop.lab. 3600 IN A 10.0.0.3";
    check("www.shop.lab.", A, &format!("NOERROR\n{shop}"));
    check("shop.lab.", SOA, &format!("NOERROR\n{shop}"));
    check("shop.lab.", DS, &format!("NOERROR aa\n{soa}"));
    check(
        "glueless.lab.",
        A,
        "NOERROR\n^ glueless.lab. 3600 IN NS ns1.shop.lab.\n+ ns1.shop.lab. 3600 IN A 10.0.0.3",
    );
    check(
        "alias.lab.",
        A,
        &format!("NOERROR aa\n= alias.lab. 3600 IN CNAME www.shop.lab.\n{shop}"),
    );
    check("away.lab.", A, "NOERROR aa\n= away.lab. 3600 IN CNAME www.example.");
    check(
        "loop.lab.",
        A,
        "NOERROR aa\n= loop.lab. 3600 IN CNAME loop2.lab.\n= loop2.lab. 3600 IN CNAME loop.lab.",
    );
    check("mail.lab.", ANY, "NOERROR aa\n= mail.lab. 3789 IN HINFO \"RFC8482\" \"\"");
    check("www.example.", A, "REFUSED");
    check("x.broken.lab.", A, "SERVFAIL");
    check("lab.", RecordType::AXFR, "NOTIMP");
    // The question's letters come back as they were.
    check("MAIL.Lab.", MX, &format!("NOERROR aa\n= MAIL.Lab. 3600 IN MX 10 ns.nic.lab.\n{auth}"));
}

#[test]
fn what_is_no_query_for_us() {
    let code = |change: fn(&mut Message)| shown(&ask(change, false).unwrap());
    assert!(
        ask(|q| q.metadata.message_type = hickory_proto::op::MessageType::Response, false)
            .is_none()
    );
    assert!(respond(&zones(), &[0; 11], false).is_none());
    assert_eq!(code(|q| q.metadata.op_code = OpCode::Status), "NOTIMP");
    assert_eq!(code(|q| q.queries.clear()), "FORMERR");
    assert_eq!(code(|q| q.queries.push(q.queries[0].clone())), "FORMERR");
    assert_eq!(
        code(|q| {
            q.queries[0].set_query_class(DNSClass::CH);
        }),
        "REFUSED"
    );
    let garbage = respond(&zones(), &[0, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c, 0, 1], false);
    let garbage = garbage.unwrap();
    assert_eq!(shown(&garbage.response), "FORMERR rd");
    assert_eq!(garbage.bytes[..2], [0, 9]);
}

#[test]
fn edns_is_answered_in_kind() {
    let edns = |version, size: u16| {
        move |q: &mut Message| {
            let mut edns = Edns::new();
            edns.set_version(version).set_max_payload(size).set_dnssec_ok(true);
            q.set_edns(edns);
        }
    };
    let response = ask(edns(0, 4_096), false).unwrap();
    let got = response.edns.as_ref().unwrap();
    assert_eq!((got.version(), got.max_payload(), got.flags().dnssec_ok), (0, 1_232, true));
    assert!(ask(|_| {}, false).unwrap().edns.is_none());
    let response = ask(edns(1, 4_096), false).unwrap();
    assert_eq!(shown(&response), "BADVERS");
    assert_eq!(response.edns.unwrap().version(), 0);
}

#[test]
fn long_answers_are_truncated_unless_asked_for_otherwise() {
    let big = |q: &mut Message| {
        q.queries[0] = hickory_proto::op::Query::query(name("big.lab."), RecordType::TXT);
    };
    assert_eq!(shown(&ask(big, false).unwrap()), "NOERROR aa tc");
    let whole = ask(big, true).unwrap();
    assert_eq!((whole.answers.len(), whole.metadata.truncation), (1, false));
    let with_edns = ask(
        |q| {
            big(q);
            q.set_edns({
                let mut edns = Edns::new();
                edns.set_max_payload(1_232);
                edns
            });
        },
        false,
    );
    assert_eq!(with_edns.unwrap().answers.len(), 1);
}

proptest::proptest! {
    /// Whatever comes: silence or a message that can be read, never longer than allowed.
    #[test]
    fn any_bytes_are_answered_or_not(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        if let Some(answered) = respond(&zones(), &bytes, false) {
            proptest::prop_assert!(answered.bytes.len() <= 1_232);
            proptest::prop_assert!(message::decode(&answered.bytes).is_some());
        }
    }

    /// Queries with bytes turned over.
    #[test]
    fn damaged_queries_are_answered_or_not(at in 0..40_usize, to: u8, rtype: u16) {
        let mut bytes = message::query(1, name("www.shop.lab."), RecordType::from(rtype)).to_vec().unwrap();
        let at = at % bytes.len();
        bytes[at] = to;
        if let Some(answered) = respond(&zones(), &bytes, false) {
            proptest::prop_assert!(message::decode(&answered.bytes).is_some());
        }
    }
}
