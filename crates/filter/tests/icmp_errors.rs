//! ICMP errors about translated flows (RFC 5508 §4).

mod common;

use common::*;
use netarium_base::DropReason;
use netarium_wire::checksum::Sum;
use netarium_wire::icmp::kind;
use netarium_wire::{Frame, TcpFlags};

/// The quoted packet of an ICMP error, as a frame of its own with its checksums checked.
#[track_caller]
fn quoted(f: &Frame) -> Box<Frame> {
    let mut bytes = vec![0u8; 12];
    bytes.extend([8, 0]);
    bytes.extend(f.payload().to_vec());
    let mut q = Frame::from_bytes(&bytes);
    q.parse().expect("the quotation is a whole packet");
    assert_eq!(q.verify(), Ok(()), "the quotation's checksums");
    q
}

#[test]
fn an_error_from_outside_reaches_the_inside_host() {
    for about in [
        tcp("192.168.17.20:40000", "10.0.0.7:80", SYN),
        udp("192.168.17.20:40000", "10.0.0.7:53"),
        ping(PC, FRIEND, kind::ECHO_REQUEST, 40_000),
    ] {
        let mut r = Router::nat();
        let out = r.arrive(INSIDE, &about).left();
        let error = error_about("10.0.0.9", &out, 500);
        let e = r.arrive(OUTSIDE, &error).left();
        assert_eq!((e.src_ip(), e.dst_ip()), (Some(ip("10.0.0.9")), Some(ip(PC))));
        assert_eq!(quoted(&e).to_vec()[14..], about.to_vec()[14..], "as the host had sent it");
        assert_eq!(r.filter.session_count(), 1);
    }
}

#[test]
fn a_changed_port_is_changed_back_in_the_quotation() {
    let mut r = Router::nat();
    r.arrive(INSIDE, &tcp("192.168.17.21:40000", "10.0.0.7:80", SYN)).left();
    for about in [
        tcp("192.168.17.20:40000", "10.0.0.7:80", SYN),
        ping(WEB, FRIEND, kind::ECHO_REQUEST, 9),
        ping(PC, FRIEND, kind::ECHO_REQUEST, 9),
    ] {
        let out = r.arrive(INSIDE, &about).left();
        let e = r.arrive(OUTSIDE, &error_about("10.0.0.9", &out, 500)).left();
        assert_eq!(quoted(&e).to_vec()[14..], about.to_vec()[14..]);
    }
}

#[test]
fn a_quoted_checksum_of_ones_does_not_become_none() {
    // RFC 768: a sum of 0 is sent as ones, because 0 says that there is none.
    let about = (1024..u16::MAX)
        .map(|port| udp(&format!("192.168.17.20:{port}"), "10.0.0.7:53"))
        .find(|f| f.to_vec()[40..42] == [0xff, 0xff])
        .expect("one port in 65,536 gives this sum");
    let mut r = Router::nat();
    let out = r.arrive(INSIDE, &about).left();
    let e = r.arrive(OUTSIDE, &error_about("10.0.0.9", &out, 500)).left();
    assert_eq!(quoted(&e).to_vec()[14..], about.to_vec()[14..]);
}

#[test]
fn eight_quoted_bytes_are_enough() {
    let mut r = Router::nat();
    let about = tcp("192.168.17.20:40000", "10.0.0.7:80", SYN);
    let out = r.arrive(INSIDE, &about).left();
    let e = r.arrive(OUTSIDE, &error_about("10.0.0.9", &out, 8)).left();
    let q = e.payload().to_vec();
    assert_eq!(q.len(), 28);
    assert_eq!(q, about.to_vec()[14..14 + 28]);
    assert!(Sum::of(&q[..20]).is_valid());
}

#[test]
fn an_error_from_inside_seems_to_come_from_the_router() {
    let mut r = Router::nat();
    let about = tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN);
    let inside = r.arrive(OUTSIDE, &about).left();
    let e = r.arrive(INSIDE, &error_about("192.168.17.99", &inside, 500)).left();
    assert_eq!((e.src_ip(), e.dst_ip()), (Some(ip(ROUTER)), Some(ip(FRIEND))));
    assert_eq!(ends(&quoted(&e)), "10.0.0.7:4000 > 10.0.0.2:65535");
}

#[test]
fn the_routers_own_errors_quote_what_the_sender_sent() {
    // About a first packet from inside that got as far as the forward hook.
    let mut r = Router::nat();
    let about = tcp("192.168.17.20:40000", "10.0.0.7:80", SYN);
    let mut at_forward = Frame::from_bytes(&about.to_vec());
    prerouted(&mut r, INSIDE, &mut at_forward);
    let e = r.send(error_about(ROUTER_IN, &at_forward, 500)).left();
    assert_eq!(ends(&quoted(&e)), "192.168.17.20:40000 > 10.0.0.7:80");
    assert_eq!(r.filter.session_count(), 0, "the error confirms nothing");
    // About a later packet of a masqueraded flow.
    r.arrive(INSIDE, &about).left();
    let e = r.send(error_about(ROUTER_IN, &about, 500)).left();
    assert_eq!(ends(&quoted(&e)), "192.168.17.20:40000 > 10.0.0.7:80");
    assert_eq!(e.dst_ip(), Some(ip(PC)));
    // About a first packet of a forwarded flow: its target is the router's business.
    let about = tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN);
    let mut at_forward = Frame::from_bytes(&about.to_vec());
    prerouted(&mut r, OUTSIDE, &mut at_forward);
    assert_eq!(ends(&at_forward), "10.0.0.7:4000 > 192.168.17.17:80");
    let e = r.send(error_about(ROUTER, &at_forward, 500)).left();
    assert_eq!(ends(&quoted(&e)), "10.0.0.7:4000 > 10.0.0.2:65535");
}

fn prerouted(r: &mut Router, input: netarium_base::IfIndex, frame: &mut Frame) {
    let cause = netarium_base::Cause::NONE;
    let mut cx = netarium_base::Ctx::new(r.now, cause, &mut r.trace);
    let verdict = r.filter.prerouting(&mut cx, input, &Own, frame);
    assert_eq!(verdict, netarium_filter::Verdict::Accept);
}

#[test]
fn a_reset_for_a_rejected_forward_comes_from_the_router() {
    let mut r = Router::nat();
    let mut at_forward = tcp("10.0.0.7:4000", "10.0.0.2:65535", SYN);
    prerouted(&mut r, OUTSIDE, &mut at_forward);
    let rst = r.send(tcp("192.168.17.17:80", "10.0.0.7:4000", RST | TcpFlags::ACK)).left();
    assert_eq!(ends(&rst), "10.0.0.2:65535 > 10.0.0.7:4000");
    assert_eq!(r.filter.session_count(), 0);
}

#[test]
fn errors_about_nothing_known_are_invalid() {
    let mut r = Router::nat();
    let out = r.arrive(INSIDE, &tcp("192.168.17.20:40000", "10.0.0.7:80", SYN)).left();
    // About another flow; inside hosts never see it.
    let other = tcp("10.0.0.2:40001", "10.0.0.7:80", SYN);
    r.arrive(OUTSIDE, &error_about(FRIEND, &other, 500)).local();
    // To somebody who did not send the packet.
    let mut forged = error_about(FRIEND, &out, 500);
    forged.rewrite(netarium_wire::ip::Side::Destination, at("192.168.17.17:0"));
    assert_eq!(r.arrive(OUTSIDE, &forged).dropped(), DropReason::NatNoForward);
    // With a wrong checksum.
    let mut bytes = error_about(FRIEND, &out, 500).to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    r.arrive(OUTSIDE, &Frame::from_bytes(&bytes)).local();
    assert_eq!(r.filter.stats().invalid, 3);
}
