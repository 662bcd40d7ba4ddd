//! Pacing: what it spreads, what it does not hold back, what it is good for.

mod common;

use common::{Narrow, Net, ms};
use netarium_base::{Duration, Event, Instant, SocketId, Tracer};
use netarium_stack::{OptionName, SocketOption, TcpConfig};

const SECOND: Duration = Duration::from_secs(1);

/// Two hosts of which the first is paced, if `paced`, and an established pair.
fn pair(delay: u64, paced: bool) -> (Net, SocketId, SocketId) {
    let mut net = Net::new(2);
    net.hosts[0].set_tcp_config(TcpConfig { pacing: paced, ..TcpConfig::default() });
    net.trace = Tracer::new(1_000_000);
    net.delay = ms(delay);
    let (c, s) = net.pair_after(ms(10 * delay));
    (net, c, s)
}

/// Sends all the time.
fn pour(net: &mut Net, (c, s): (SocketId, SocketId), span: Duration) {
    let end = net.now + span;
    let data = vec![0u8; 65_536];
    while net.now < end {
        while net.send(0, c, &data).is_ok() {}
        while net.recv(1, s, 65_536).is_ok() {}
        net.step();
    }
}

/// When segments with payload left, and how long they were; of the sender alone, since the other
/// end sends none.
fn sent(net: &Net) -> Vec<(Instant, u32)> {
    let data = |r: &netarium_base::Record| match r.event {
        Event::SegmentBuilt { len, .. } if len > 0 => Some((r.at, len)),
        _ => None,
    };
    net.trace.records().filter_map(data).collect()
}

/// Instants, each with how many segments left then.
fn bunches(sent: &[(Instant, u32)]) -> Vec<(Instant, usize)> {
    let mut all: Vec<(Instant, usize)> = Vec::new();
    for (at, _) in sent {
        match all.last_mut() {
            Some((last, n)) if last == at => *n += 1,
            _ => all.push((*at, 1)),
        }
    }
    all
}

/// The ceiling holds, in quanta of about a millisecond and two segments at least.
#[test]
fn a_ceiling_spaces_the_segments() {
    for (rate, segments) in [(1_000_000, 2), (8_000_000, 5)] {
        let (mut net, c, s) = pair(5, false);
        net.on(0, |st, cx| st.set_option(cx, c, SocketOption::MaxPacingRate(rate))).unwrap();
        pour(&mut net, (c, s), SECOND * 3);
        let from = Instant::ZERO + SECOND;
        let late: Vec<_> =
            sent(&net).into_iter().filter(|(at, _)| *at >= from && *at < from + SECOND).collect();
        let bytes: u64 = late.iter().map(|(_, len)| u64::from(*len)).sum();
        let share = bytes as f64 / f64::from(rate);
        assert!((0.98..=1.02).contains(&share), "{bytes} bytes in a second at {rate}");
        let quanta = bunches(&late);
        let takes = Duration::from_nanos(segments as u64 * 1_448 * 1_000_000_000 / u64::from(rate));
        for pair in quanta.windows(2) {
            let (gap, n) = (pair[1].0.since(pair[0].0), pair[0].1);
            assert_eq!(n, segments, "at {}", pair[0].0);
            let off = gap.as_nanos().abs_diff(takes.as_nanos());
            assert!(off <= segments as u64, "{gap} instead of {takes} at {}", pair[0].0);
        }
    }
}

/// 200 % of a window per round trip at first: the initial window takes half of one. The handshake
/// measured 80 ms, since its first segment waited for ARP.
#[test]
fn the_initial_window_takes_half_a_round_trip() {
    let (mut net, c, s) = pair(20, true);
    assert_eq!(net.hosts[0].tcp_info(net.now, c).unwrap().rtt, 80_000);
    pour(&mut net, (c, s), ms(60));
    let all = bunches(&sent(&net));
    let start = all[0].0;
    let first: Vec<_> = all.iter().filter(|(at, _)| *at < start + ms(35)).collect();
    assert_eq!(first.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [2; 5]);
    let gaps: Vec<_> = first.windows(2).map(|w| w[1].0.since(w[0].0)).collect();
    assert!(gaps.iter().all(|g| *g == ms(8)), "a tenth of the measured round trip: {gaps:?}");
    let (mut net, c, s) = pair(20, false);
    pour(&mut net, (c, s), ms(30));
    assert_eq!(bunches(&sent(&net))[0].1, 10, "without, at once");
    let timers =
        |r: &netarium_base::Record| matches!(r.event, Event::TimerSet { timer: "pacing", .. });
    assert!(!net.trace.records().any(timers));
}

/// A program writes 20 kB five times a second, over 10 Mbit/s with a queue of six frames: at once they
/// overflow it, paced they find room.
#[test]
fn a_shallow_queue_loses_less() {
    let run = |paced| {
        let (mut net, c, s) = pair(20, paced);
        net.narrow.insert(1, Narrow::new(10_000_000, 9_000));
        for _ in 0..50 {
            net.send(0, c, &[0; 20_000]).expect("room");
            net.run(ms(200));
            while net.recv(1, s, 65_536).is_ok() {}
        }
        let info = net.hosts[0].tcp_info(net.now, c).unwrap();
        (info.bytes_acked, info.total_retrans, net.narrow[&1].dropped)
    };
    let ((all, _, lost), (all_paced, copies, lost_paced)) = (run(false), run(true));
    assert!(lost >= 20, "{lost} of {all} bytes not paced");
    assert!(lost_paced * 10 <= lost, "{lost_paced} paced, {lost} not");
    assert!(all_paced >= 1_000_000, "{all_paced} bytes, {copies} copies");
}

fn repairs(net: &Net, which: &str) -> Vec<Instant> {
    let again = |r: &netarium_base::Record| {
        matches!(r.event, Event::Retransmission { kind, .. } if kind == which).then_some(r.at)
    };
    net.trace.records().filter_map(again).collect()
}

fn fired(net: &Net, which: &str) -> Vec<Instant> {
    let fired = |r: &netarium_base::Record| {
        matches!(r.event, Event::TimerFired { timer } if timer == which).then_some(r.at)
    };
    net.trace.records().filter_map(fired).collect()
}

/// Repairs are paced as new data is.
#[test]
fn repairs_are_paced() {
    let (mut net, c, s) = pair(20, false);
    let rate = 500_000;
    net.on(0, |st, cx| st.set_option(cx, c, SocketOption::MaxPacingRate(rate))).unwrap();
    let mut turn = 0;
    net.fate = Box::new(move |_, f| {
        turn += u32::from(!f.payload().is_empty());
        (!(40..50).contains(&turn) || f.payload().is_empty()).then_some(Duration::ZERO)
    });
    pour(&mut net, (c, s), SECOND);
    let copies = repairs(&net, "fast");
    assert!(copies.len() >= 10, "{copies:?}");
    let takes = Duration::from_nanos(2 * 1_448 * 1_000_000_000 / u64::from(rate));
    for three in copies.windows(3) {
        let gap = three[2].since(three[0]);
        assert!(gap + Duration::from_nanos(2) >= takes, "a third in the quantum: {copies:?}");
    }
}

/// What a time-out or a probe sends does not wait for its turn: two segments take two seconds here.
#[test]
fn timers_do_not_wait() {
    let (mut net, c, _) = pair(5, false);
    net.on(0, |st, cx| st.set_option(cx, c, SocketOption::MaxPacingRate(1_448))).unwrap();
    net.fate = Box::new(|_, f| f.payload().is_empty().then_some(Duration::ZERO));
    net.send(0, c, &[0; 10_000]).unwrap();
    net.run(SECOND);
    let (probe, rto) = (fired(&net, "loss-probe"), fired(&net, "retransmit"));
    assert!(!probe.is_empty() && !rto.is_empty(), "{probe:?} {rto:?}");
    let sent: Vec<Instant> = sent(&net).into_iter().map(|(at, _)| at).collect();
    assert!(sent.contains(&probe[0]), "{probe:?}: {sent:?}");
    assert_eq!(repairs(&net, "rto")[0], rto[0]);
    assert_eq!(sent[..2], [sent[0]; 2], "the first quantum");
    assert!(!fired(&net, "pacing").contains(&rto[0]));
}

/// What is set is read back; a later `u32::MAX` takes the ceiling away, and pacing with it.
#[test]
fn the_option_switches_pacing() {
    let (mut net, c, s) = pair(5, false);
    let read = |net: &mut Net| net.hosts[0].get_option(c, OptionName::MaxPacingRate);
    let set = |net: &mut Net, n| {
        net.on(0, |st, cx| st.set_option(cx, c, SocketOption::MaxPacingRate(n))).unwrap();
    };
    assert_eq!(read(&mut net), Ok(SocketOption::MaxPacingRate(u32::MAX)));
    let info = net.hosts[0].tcp_info(net.now, c).unwrap();
    assert_eq!(info.max_pacing_rate, u64::MAX);
    assert_eq!(
        info.pacing_rate,
        10 * 1_448 * 2 * 50,
        "20 ms; known also where it is off, as on Linux"
    );
    set(&mut net, 10_000);
    assert_eq!(read(&mut net), Ok(SocketOption::MaxPacingRate(10_000)));
    let info = net.hosts[0].tcp_info(net.now, c).unwrap();
    assert_eq!((info.pacing_rate, info.max_pacing_rate), (10_000, 10_000));
    assert!(net.send(0, c, &[0; 20_000]).is_ok());
    net.run(ms(200));
    assert_eq!(net.recv(1, s, 65_536).map(|d| d.len()), Ok(2 * 1_448), "two segments at once");
    set(&mut net, u32::MAX);
    net.run(ms(100));
    assert!(net.recv(1, s, 65_536).is_ok_and(|d| d.len() > 10_000), "what waited goes at once");
}
