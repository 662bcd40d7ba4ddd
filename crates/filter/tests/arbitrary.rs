//! Arbitrary sequences of frames: nothing panics, nothing grows beyond its limit, what is
//! translated is right and comes back. The body is what a fuzz target would call.

mod common;

use common::*;
use netarium_base::{Cause, Ctx, Duration, Instant};
use netarium_filter::InboundRule;
use netarium_wire::ip::Side;
use netarium_wire::{Frame, TcpFlags};
use proptest::prelude::*;

const LIMIT: usize = 12;

#[derive(Clone, Debug)]
enum Step {
    Tcp {
        inside: bool,
        host: u8,
        port: u8,
        peer: u8,
        flags: u16,
    },
    Udp {
        inside: bool,
        host: u8,
        port: u8,
        peer: u8,
    },
    Ping {
        inside: bool,
        host: u8,
        ident: u8,
        kind: u8,
    },
    /// The answer to what left last.
    Answer {
        flags: u16,
    },
    /// An ICMP error about what left last.
    Error {
        quote: usize,
        from: u8,
    },
    /// What left last, with a byte changed and its end cut off, from either side.
    Mangled {
        inside: bool,
        at: usize,
        byte: u8,
        cut: usize,
    },
    /// Any bytes behind an IPv4 ethertype.
    Bytes {
        inside: bool,
        bytes: Vec<u8>,
    },
    Wait {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    use any as a;
    let flags = prop_oneof![4 => Just(2u16), 3 => Just(0x10), 2 => Just(0x11), 1 => Just(4), 1 => 0..0x200u16];
    prop_oneof![
        6 => (a::<bool>(), 0..4u8, 0..3u8, 0..2u8, flags.clone())
            .prop_map(|(inside, host, port, peer, flags)| {
                Step::Tcp { inside, host, port, peer, flags }
            }),
        3 => (a::<bool>(), 0..4u8, 0..3u8, 0..2u8)
            .prop_map(|(inside, host, port, peer)| Step::Udp { inside, host, port, peer }),
        2 => (a::<bool>(), 0..4u8, 0..3u8, prop_oneof![Just(8u8), Just(0), Just(13), a::<u8>()])
            .prop_map(|(inside, host, ident, kind)| Step::Ping { inside, host, ident, kind }),
        6 => prop_oneof![3 => Just(0x12u16), 2 => Just(0x10), 1 => Just(0x11), 1 => Just(0x14)]
            .prop_map(|flags| Step::Answer { flags }),
        2 => (0..60usize, 0..3u8).prop_map(|(quote, from)| Step::Error { quote, from }),
        2 => (a::<bool>(), 0..80usize, a::<u8>(), 0..20usize)
            .prop_map(|(inside, at, byte, cut)| Step::Mangled { inside, at, byte, cut }),
        1 => (a::<bool>(), prop::collection::vec(a::<u8>(), 0..120))
            .prop_map(|(inside, bytes)| Step::Bytes { inside, bytes }),
        2 => prop_oneof![0..3000u64, 10_000..200_000u64].prop_map(|ms| Step::Wait { ms }),
    ]
}

fn ends_of(inside: bool, host: u8, port: u8, peer: u8) -> (String, String) {
    let port = 40_000 + u16::from(port);
    if inside {
        (format!("192.168.17.{}:{port}", 20 + host), format!("10.0.0.{}:80", 7 + peer))
    } else {
        let to = if peer == 0 { "10.0.0.2:65535" } else { "192.168.17.17:80" };
        (format!("10.0.0.{}:{port}", 7 + host), to.to_owned())
    }
}

/// The frame of a step, and whether it arrives inside.
fn frame_of(step: &Step, last: Option<&(bool, Box<Frame>)>) -> Option<(bool, Box<Frame>)> {
    let flags = TcpFlags::from_bits_truncate;
    Some(match *step {
        Step::Tcp { inside, host, port, peer, flags: f } => {
            let (src, dst) = ends_of(inside, host, port, peer);
            (inside, tcp(&src, &dst, flags(f)))
        }
        Step::Udp { inside, host, port, peer } => {
            let (src, dst) = ends_of(inside, host, port, peer);
            (inside, udp(&src, &dst))
        }
        Step::Ping { inside, host, ident, kind } => {
            let host = format!("{}{}", if inside { "192.168.17.2" } else { "10.0.0.1" }, host);
            (inside, ping(&host, if inside { FRIEND } else { ROUTER }, kind, ident.into()))
        }
        Step::Answer { flags: f } => {
            let (to_inside, f0) = last?;
            (*to_inside, answer(f0, flags(f))?)
        }
        Step::Error { quote, from } => {
            let (to_inside, f0) = last.filter(|(_, f)| f.src_ip().is_some_and(|a| a.is_ipv4()))?;
            (*to_inside, error_about(&format!("10.0.0.{}", 7 + from), f0, quote))
        }
        Step::Mangled { inside, at, byte, cut } => {
            let mut bytes = last?.1.to_vec();
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut);
            (inside, Frame::from_bytes(&bytes))
        }
        Step::Bytes { inside, ref bytes } => {
            let mut all = vec![0; 12];
            all.extend([8, 0]);
            all.extend(bytes);
            (inside, Frame::from_bytes(&all))
        }
        Step::Wait { .. } => return None,
    })
}

/// The packet with its ends exchanged.
fn answer(f: &Frame, flags: TcpFlags) -> Option<Box<Frame>> {
    let (src, dst) = (f.src_ip()?, f.dst_ip()?);
    if let Some(icmp) = netarium_wire::icmp::Icmp::of(f) {
        return Some(ping(&dst.to_string(), &src.to_string(), 0, icmp.ident()));
    }
    let (sport, dport) = f.ports()?;
    let (from, to) = (format!("{dst}:{dport}"), format!("{src}:{sport}"));
    let udp_packet = f.protocol() == Some(netarium_wire::protocol::UDP);
    Some(if udp_packet { udp(&from, &to) } else { tcp(&from, &to, flags) })
}

fn run(steps: &[Step]) -> Vec<String> {
    let mut r = Router::nat();
    r.filter.host_firewall(vec![InboundRule::allow_tcp(22)]).unwrap();
    r.filter.set_session_limit(LIMIT);
    let mut last: Option<(bool, Box<Frame>)> = None;
    for step in steps {
        if let Step::Wait { ms } = *step {
            r.after(Duration::from_millis(ms));
            continue;
        }
        let Some((inside, frame)) = frame_of(step, last.as_ref()) else { continue };
        // The stack never hands over what it cannot parse.
        let mut frame = Frame::from_bytes(&frame.to_vec());
        if frame.parse().is_err() {
            continue;
        }
        let before = r.filter.session_count();
        let evicted = r.filter.stats().evicted + r.filter.stats().expired;
        let out = r.arrive_frame(if inside { INSIDE } else { OUTSIDE }, frame.clone());
        match out {
            Out::Left(output, f) => {
                check_way_back(&r, &frame, &f);
                last = Some((output == INSIDE, f));
            }
            Out::Dropped(_) | Out::Rejected(_) => {
                let gone = r.filter.stats().evicted + r.filter.stats().expired - evicted;
                let now = r.filter.session_count() + gone as usize;
                assert!(now <= before, "a dropped packet leaves no session");
            }
            Out::Local(_) => {}
        }
        check_tables(&r);
    }
    r.events()
}

/// A session knows both sides of what left: the answer to the new form comes back to the old.
fn check_way_back(r: &Router, came: &Frame, left: &Frame) {
    let (Some((sport, dport)), Some((new_sport, new_dport))) = (came.ports(), left.ports()) else {
        return;
    };
    if left.meta.conntrack.is_none() || left.protocol() != came.protocol() {
        return;
    }
    let (src, dst) = (came.src_ip().unwrap(), came.dst_ip().unwrap());
    let found = r.sessions().into_iter().any(|s| {
        [(s.original, s.reply), (s.reply, s.original)].iter().any(|(there, back)| {
            (there.source(), there.destination()) == ((src, sport).into(), (dst, dport).into())
                && back.destination() == (left.src_ip().unwrap(), new_sport).into()
                && back.source() == (left.dst_ip().unwrap(), new_dport).into()
        })
    });
    // A refused connection is forgotten while its RST is still on the way.
    let refusing = netarium_wire::TcpHeader::of(left).is_some_and(|h| h.flags.contains(RST));
    assert!(found || refusing, "{} left as {}", ends(came), ends(left));
}

fn check_tables(r: &Router) {
    let sessions = r.sessions();
    assert!(sessions.len() <= LIMIT && sessions.len() == r.filter.session_count());
    let translated = sessions.iter().filter(|s| s.source_translated).count() as u32;
    let mapped: u32 = r.filter.mappings().map(|m| m.sessions).sum();
    assert_eq!(mapped, translated, "each translated session holds one mapping");
    assert!(r.filter.mappings().all(|m| m.sessions > 0));
    for (i, a) in sessions.iter().enumerate() {
        for b in &sessions[i + 1..] {
            let (x, y) = ([a.original, a.reply], [b.original, b.reply]);
            assert!(x.iter().all(|t| !y.contains(t)), "{a:?} and {b:?} cannot be told apart");
        }
    }
    match r.filter.next_deadline() {
        Some(_) => assert!(!sessions.is_empty()),
        None => assert!(sessions.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_frames_in_any_order(steps in prop::collection::vec(step(), 1..60)) {
        let first = run(&steps);
        prop_assert_eq!(first, run(&steps), "the same history, the same events");
    }

    /// Hooks in an order that no stack has, with handles that mean nothing here.
    #[test]
    fn misused_hooks_do_not_panic(
        calls in prop::collection::vec((0..5u8, any::<u32>(), step()), 1..40),
    ) {
        let mut r = Router::nat();
        let mut last: Option<(bool, Box<Frame>)> = None;
        for (hook, handle, step) in calls {
            let Some((inside, mut frame)) = frame_of(&step, last.as_ref()) else { continue };
            if hook % 2 == 0 {
                frame.meta.conntrack = core::num::NonZeroU32::new(handle);
            }
            let mut cx = Ctx::new(Instant::ZERO, Cause::NONE, &mut r.trace);
            let f = &mut r.filter;
            let _ = match hook {
                0 => f.prerouting(&mut cx, netarium_filter::LOOPBACK, &Own, &mut frame),
                1 => f.input(&mut cx, INSIDE, &mut frame),
                2 => f.forward(&mut cx, OUTSIDE, INSIDE, &mut frame),
                3 => f.output(&mut cx, OUTSIDE, &Own, &mut frame),
                _ => f.postrouting(&mut cx, OUTSIDE, ip(ROUTER), &r.ports, &mut frame),
            };
            if frame.parse().is_ok() && frame.len() > 34 {
                frame.rewrite(Side::Source, at("10.0.0.9:9"));
                last = Some((inside, frame));
            }
        }
    }
}
