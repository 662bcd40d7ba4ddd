//! Loss recovery between two hosts: what is lost, late, doubled or marked on the way, and what the
//! sender makes of it.

mod common;

use common::{Mishap, Net, ms};
use netarium_base::{Duration, Event, Instant, SocketId};
use netarium_stack::tcp::config::Ecn;
use netarium_stack::tcp::info::CaState;
use netarium_stack::{SocketOption, TcpConfig, TcpInfo};
use netarium_wire::{TcpFlags, TcpHeader};

/// Two hosts whose settings `change` chooses, and an established pair.
fn pair_with(delay: u64, change: impl Fn(&mut TcpConfig)) -> (Net, SocketId, SocketId) {
    let mut net = Net::new(2);
    for h in &mut net.hosts {
        let mut config = TcpConfig::default();
        change(&mut config);
        h.set_tcp_config(config);
    }
    net.delay = ms(delay);
    let (c, s) = net.pair_after(ms(10 * delay));
    (net, c, s)
}

/// Loses the data segments that `lost` names, by their turn; copies count too.
fn lose(net: &mut Net, lost: impl Fn(u32) -> bool + 'static) {
    let mut turn = 0;
    net.fate = Box::new(move |_, f| {
        let data = !f.payload().is_empty();
        turn += u32::from(data);
        (!data || !lost(turn)).then_some(Duration::ZERO)
    });
}

fn kinds(net: &Net) -> Vec<&'static str> {
    let kind = |e: &Event| match e {
        Event::Retransmission { kind, .. } => Some(*kind),
        _ => None,
    };
    net.trace.records().filter_map(|r| kind(&r.event)).collect()
}

fn reasons(net: &Net) -> Vec<&'static str> {
    let reason = |e: &Event| match e {
        Event::Congestion { reason, .. } => Some(*reason),
        _ => None,
    };
    net.trace.records().filter_map(|r| reason(&r.event)).collect()
}

fn info(net: &Net, id: SocketId) -> TcpInfo {
    net.hosts[0].tcp_info(net.now, id).unwrap()
}

/// RFC 6675, RFC 8985: five holes in one flight are repaired in a round trip.
#[test]
fn many_losses_of_a_flight_are_repaired_at_once() {
    let (mut net, c, s) = pair_with(20, |_| {});
    lose(&mut net, |n| [12, 14, 15, 18, 21].contains(&n));
    let took = net.transfer((0, c), (1, s), 60_000, Duration::from_secs(10));
    assert_eq!(kinds(&net), ["fast"; 5]);
    assert!(took < ms(200), "{took}: three rounds for the data, one for the repair");
}

/// Each change of the window says what it was decided from.
#[test]
fn a_change_of_the_window_tells_what_was_known() {
    let (mut net, c, s) = pair_with(20, |_| {});
    lose(&mut net, |n| n == 30);
    net.transfer((0, c), (1, s), 100_000, Duration::from_secs(10));
    let told: Vec<_> = net
        .trace
        .records()
        .filter_map(|r| match r.event {
            Event::Congestion { cwnd, inflight, srtt, rttvar, reason, .. } => {
                Some((reason, cwnd, inflight, srtt, rttvar))
            }
            _ => None,
        })
        .collect();
    let (_, cwnd, inflight, srtt, rttvar) =
        *told.iter().find(|t| t.0 == "fast retransmit").expect("a loss");
    assert!((40_000..60_000).contains(&srtt), "twice 20 ms, and delayed acknowledgements: {srtt}");
    assert!(rttvar < 20_000, "{rttvar}");
    assert!(inflight > 0 && inflight < cwnd, "the lost and the SACKed are not: {told:?}");
}

/// RFC 8985 §1: a copy that is lost as well is noticed without a time-out.
#[test]
fn a_lost_copy_is_sent_again_in_recovery() {
    let (mut net, c, s) = pair_with(20, |_| {});
    let (mut turn, mut hole, mut losses) = (0, None, 0);
    net.fate = Box::new(move |_, f| {
        let Some(h) = TcpHeader::of(f).filter(|_| !f.payload().is_empty()) else {
            return Some(Duration::ZERO);
        };
        turn += 1;
        if turn == 30 {
            hole = Some(h.seq);
        }
        // The segment and its first copy.
        losses += u32::from(hole == Some(h.seq));
        (hole != Some(h.seq) || losses > 2).then_some(Duration::ZERO)
    });
    net.transfer((0, c), (1, s), 400_000, Duration::from_secs(10));
    assert_eq!(kinds(&net), ["fast"; 2]);
}

/// RFC 8985 §7: the lost end of a flight is found by a probe, long before the time-out.
#[test]
fn a_lost_tail_is_probed() {
    let (mut net, c, s) = pair_with(20, |_| {});
    lose(&mut net, |n| n == 4 || n == 5);
    let took = net.transfer((0, c), (1, s), 5 * 1448, Duration::from_secs(10));
    assert_eq!(kinds(&net), ["tail loss probe", "fast"]);
    assert!(took < ms(250), "{took}: the time-out alone is 240 ms from the last answer on");
    let (mut net, c, s) = pair_with(20, |config| config.early_retrans = false);
    lose(&mut net, |n| n == 4 || n == 5);
    net.transfer((0, c), (1, s), 5 * 1448, Duration::from_secs(10));
    assert_eq!(kinds(&net)[0], "rto", "switched off");
}

/// RFC 5682, RFC 3522: the path stalls longer than the time-out; what was a mistake is taken back.
#[test]
fn a_spurious_time_out_is_undone() {
    for timestamps in [true, false] {
        let (mut net, c, s) = pair_with(20, |config| config.timestamps = timestamps);
        net.transfer((0, c), (1, s), 100_000, Duration::from_secs(10));
        let before = info(&net, c);
        let again = net.hosts[0].stats().tcp_retransmits;
        // The way there stands still for 600 ms; then everything arrives in order.
        net.delay = ms(620);
        // More than the window lets out: RFC 5682 needs new data to decide.
        net.send(0, c, &vec![0; 90_000]).unwrap();
        for t in 0..60 {
            net.delay = ms(620 - 10 * t);
            net.run(ms(10));
        }
        net.delay = ms(20);
        net.run(Duration::from_secs(3));
        while net.recv(1, s, 100_000).is_ok_and(|d| !d.is_empty()) {}
        net.run(Duration::from_secs(1));
        let after = info(&net, c);
        let copies = net.hosts[0].stats().tcp_retransmits - again;
        let told = reasons(&net);
        assert!(told.contains(&"timeout"), "timestamps {timestamps}: {told:?}");
        assert!(after.snd_ssthresh >= before.snd_cwnd, "{timestamps}: {after:?} {told:?}");
        assert!(after.snd_cwnd >= before.snd_cwnd / 2, "{timestamps}: {after:?}");
        assert!(copies <= 4, "{copies} copies");
        assert_eq!((after.ca_state, after.lost, after.unacked), (CaState::Open, 0, 0));
    }
}

/// RFC 8985 §3.3: reordering costs copies at first, then is known and tolerated.
#[test]
fn reordering_is_learnt() {
    let (mut net, c, s) = pair_with(20, |_| {});
    let mut n = 0;
    net.fate = Box::new(move |_, f| {
        n += u32::from(!f.payload().is_empty());
        // Every ninth segment takes 4 ms more.
        Some(if n % 9 == 0 && !f.payload().is_empty() { ms(4) } else { Duration::ZERO })
    });
    net.transfer((0, c), (1, s), 1_000_000, Duration::from_secs(60));
    let first = net.hosts[0].stats().tcp_retransmits;
    net.transfer((0, c), (1, s), 1_000_000, Duration::from_secs(60));
    let later = net.hosts[0].stats().tcp_retransmits - first;
    let i = info(&net, c);
    assert!(i.reord_seen > 0);
    assert!(first <= 20 && later <= 3, "{first} copies, then {later}: {i:?}");
}

/// RFC 6582: without SACK one hole per round trip, without a time-out.
#[test]
fn without_sack_partial_acknowledgements_lead() {
    let (mut net, c, s) = pair_with(20, |config| config.sack = false);
    lose(&mut net, |n| [12, 14, 17].contains(&n));
    let took = net.transfer((0, c), (1, s), 80_000, Duration::from_secs(10));
    assert_eq!(kinds(&net), ["fast"; 3]);
    assert!(took < ms(400), "{took}");
}

/// RFC 3042: the first two duplicates let new segments out, which bring the third.
#[test]
fn limited_transmit_makes_small_windows_recover() {
    for sack in [true, false] {
        let (mut net, c, s) = pair_with(20, |config| {
            config.sack = sack;
            config.initial_window = 3;
            config.early_retrans = false;
        });
        lose(&mut net, |n| n == 1);
        net.transfer((0, c), (1, s), 10 * 1448, Duration::from_secs(10));
        assert_eq!(kinds(&net), ["fast"], "sack {sack}");
    }
}

/// RFC 3168 §6.1: marks instead of losses: echoed until CWR, one reduction per round trip, nothing
/// sent twice; nothing of it unless both agreed.
#[test]
fn marks_slow_the_sender_down_once_per_round() {
    for (client, server, on) in [
        (Ecn::On, Ecn::ServerOnly, true),
        (Ecn::On, Ecn::Off, false),
        (Ecn::ServerOnly, Ecn::On, false),
    ] {
        let mut net = Net::new(2);
        for (h, ecn) in [(0, client), (1, server)] {
            net.hosts[h].set_tcp_config(TcpConfig { ecn, ..TcpConfig::default() });
        }
        net.delay = ms(20);
        let (c, s) = net.pair_after(ms(200));
        let mut n = 0;
        net.mishap = Box::new(move |_, f| {
            n += u32::from(!f.payload().is_empty());
            // Three marks close together, once.
            Mishap { mark: (40..43).contains(&n), ..Mishap::default() }
        });
        net.transfer((0, c), (1, s), 300_000, Duration::from_secs(10));
        let echoes = reasons(&net).iter().filter(|r| **r == "ECN echo").count();
        assert_eq!(echoes, usize::from(on), "{client:?} {server:?}");
        assert!(kinds(&net).is_empty());
        let i = info(&net, c);
        assert_eq!(i.options & 8 != 0, on);
        assert_eq!(i.delivered_ce > 0, on);
        if on {
            let (ece, cwr) = (count(&net, TcpFlags::ECE), count(&net, TcpFlags::CWR));
            assert!(ece >= 2 && cwr == 2, "SYN and one segment carry CWR: {ece} {cwr}");
            assert!(i.snd_ssthresh < 100, "{i:?}");
        }
    }
}

fn count(net: &Net, flag: TcpFlags) -> usize {
    let has = |e: &Event| match e {
        Event::SegmentBuilt { flags, .. } => flags & flag.bits() != 0,
        _ => false,
    };
    net.trace.records().filter(|r| has(&r.event)).count()
}

/// RFC 3168 §6.1.5: only data that was never sent is marked as capable.
#[test]
fn copies_and_pure_acks_are_not_capable() {
    let (mut net, c, s) = pair_with(20, |config| config.ecn = Ecn::On);
    let mut seen = std::collections::BTreeSet::new();
    let mut turn = 0;
    net.fate = Box::new(move |_, f| {
        let Some(h) = TcpHeader::of(f) else { return Some(Duration::ZERO) };
        let new = !f.payload().is_empty() && seen.insert(h.seq);
        assert_eq!(f.tos() & 3, if new { 2 } else { 0 }, "{h:?}");
        turn += u32::from(new);
        (turn % 20 != 0 || !new).then_some(Duration::ZERO)
    });
    net.transfer((0, c), (1, s), 200_000, Duration::from_secs(10));
    assert!(kinds(&net).len() >= 5);
}

/// A retransmission names the time at which that very segment was sent before.
#[test]
fn copies_know_when_they_were_sent_before() {
    let (mut net, c, s) = pair_with(20, |_| {});
    lose(&mut net, |n| n % 11 == 3);
    net.transfer((0, c), (1, s), 200_000, Duration::from_secs(20));
    let mut last = std::collections::BTreeMap::new();
    let mut copies = 0;
    for r in net.trace.records() {
        match r.event {
            Event::Retransmission { seq, since, .. } => {
                copies += 1;
                assert_eq!(last.get(&seq), Some(&since), "segment {seq}");
            }
            Event::SegmentBuilt { seq, len, .. } if len > 0 => _ = last.insert(seq, r.at),
            _ => {}
        }
    }
    assert!(copies > 10);
}

/// Sequence numbers wrap in the middle of a lossy transfer.
#[test]
fn recovery_goes_round_the_circle() {
    let mut probe = Net::new(2);
    probe.connect(0, "10.0.0.2:80");
    let first = |net: &Net| {
        net.trace.records().find_map(|r| match r.event {
            Event::SegmentBuilt { seq, .. } => Some(seq),
            _ => None,
        })
    };
    probe.run(ms(10));
    let iss = first(&probe).unwrap();
    let mut net = Net::new(2);
    // The clock of initial sequence numbers ticks every 4 µs (RFC 6528 §3).
    let ticks = (u32::MAX - 60_000).wrapping_sub(iss);
    net.now = Instant::ZERO + Duration::from_micros(u64::from(ticks) * 4);
    net.delay = ms(20);
    let (c, s) = net.pair_after(ms(200));
    assert!(first(&net).unwrap() > u32::MAX - 70_000);
    lose(&mut net, |n| n % 13 == 5);
    net.transfer((0, c), (1, s), 300_000, Duration::from_secs(60));
    assert!(!kinds(&net).contains(&"rto"), "{:?}", kinds(&net));
}

/// RFC 8985 §7.4.2: a loss that the probe itself repaired is a loss all the same.
#[test]
fn the_window_pays_for_what_a_probe_repaired() {
    let (mut net, c, s) = pair_with(20, |_| {});
    net.transfer((0, c), (1, s), 100_000, Duration::from_secs(10));
    let before = info(&net, c);
    lose(&mut net, |n| n == 4);
    // Not in `transfer`: the flight ends with the loss.
    net.send(0, c, &[0; 4 * 1448]).unwrap();
    net.run(Duration::from_secs(2));
    net.send(0, c, &[0; 100]).unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(kinds(&net), ["tail loss probe"]);
    assert!(reasons(&net).contains(&"probe repaired a loss"), "{:?}", reasons(&net));
    let after = info(&net, c);
    assert!(after.snd_ssthresh < before.snd_cwnd, "{after:?}");
}

/// Many small lost segments go again in few large ones.
#[test]
fn small_losses_go_again_together() {
    let (mut net, c, s) = pair_with(20, |_| {});
    let nodelay = SocketOption::NoDelay(true);
    net.on(0, |st, cx| st.set_option(cx, c, nodelay)).unwrap();
    lose(&mut net, |n| n <= 9);
    for i in 0..9u8 {
        net.send(0, c, &[i; 100]).unwrap();
    }
    net.run(Duration::from_secs(3));
    assert_eq!(net.recv(1, s, 2000).map(|d| d.len()), Ok(900));
    let copies = kinds(&net);
    assert!(copies.len() <= 3, "{copies:?}: a probe, and what the time-out or SACK repairs");
}
