//! `ss -o`, `-m` and `-i`: timers, memory, and what TCP knows about a connection.

use std::fmt::Write as _;

use netarium_stack::{OptionName, SocketInfo, SocketOption, TcpInfo};
use netarium_world::process::Process;

/// ` timer:(keepalive,119min,0)`
pub(super) fn timer(process: &Process, info: &SocketInfo) -> String {
    let Some((name, due)) = info.timer else { return String::new() };
    let left = due.since(process.now()).as_millis();
    let name = if name == "probe" { "persist" } else { name };
    let tries = process.with_stack(|stack, cx| {
        stack.tcp_info(cx.now, info.id).map_or(0, |i| i.retransmits.max(i.probes))
    });
    format!(" timer:({name},{},{tries})", span(left))
}

/// Milliseconds as iproute2 writes them: `200ms`, `1.204sec`, `58sec`, `119min`.
fn span(ms: u64) -> String {
    let (seconds, minutes) = (ms / 1_000, ms / 60_000);
    let rest = ms % 1_000;
    if minutes > 0 {
        let seconds = seconds % 60;
        let more =
            if minutes <= 9 && seconds > 0 { format!("{seconds}sec") } else { String::new() };
        format!("{minutes}min{more}")
    } else if seconds > 9 {
        format!("{seconds}sec")
    } else if seconds > 0 {
        format!("{seconds}.{rest:03}sec")
    } else {
        format!("{rest}ms")
    }
}

/// ` skmem:(…)`: buffers, and what waits in them.
pub(super) fn memory(process: &Process, info: &SocketInfo) -> String {
    if info.state == "TIME_WAIT" {
        return String::new();
    }
    let size = |name| {
        process.with_stack(|stack, _| match stack.get_option(info.id, name) {
            Ok(SocketOption::RecvBuffer(n) | SocketOption::SendBuffer(n)) => n,
            _ => 0,
        })
    };
    let (receive, send) = (size(OptionName::RecvBuffer), size(OptionName::SendBuffer));
    let listens = info.state == "LISTEN";
    let (r, w) = if listens { (0, 0) } else { (info.recv_queue, info.send_queue) };
    format!(" skmem:(r{r},rb{receive},t0,tb{send},f0,w{w},o0,bl0,d0)")
}

/// ` ts sack cubic wscale:7,7 rto:201 …`
pub(super) fn tcp(process: &Process, info: &SocketInfo) -> String {
    let known = process.with_stack(|stack, cx| {
        let name = match stack.get_option(info.id, OptionName::Congestion) {
            Ok(SocketOption::Congestion(c)) => c.name(),
            _ => "cubic",
        };
        stack.tcp_info(cx.now, info.id).map(|i| (i, name))
    });
    let Ok((i, congestion)) = known else { return String::new() };
    if info.state == "LISTEN" {
        return format!(" {congestion} cwnd:10");
    }
    connection(&i, congestion)
}

/// A number of microseconds as milliseconds, as `%g` writes it.
fn ms(us: u32) -> String {
    let text = format!("{}.{:03}", us / 1_000, us % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn connection(i: &TcpInfo, congestion: &str) -> String {
    let mut out = String::new();
    for (bit, name) in [(1, "ts"), (2, "sack"), (8, "ecn"), (16, "ecnseen")] {
        if i.options & bit != 0 {
            let _ = write!(out, " {name}");
        }
    }
    let _ = write!(out, " {congestion}");
    if i.options & 4 != 0 {
        let _ = write!(out, " wscale:{},{}", i.snd_wscale, i.rcv_wscale);
    }
    counts(&mut out, i);
    if let Some(rate) = rate(i) {
        let _ = write!(out, " send {rate}bps");
    }
    let ago = [
        ("lastsnd", i.last_data_sent),
        ("lastrcv", i.last_data_recv),
        ("lastack", i.last_ack_recv),
    ];
    for (name, ms) in ago.into_iter().filter(|(_, ms)| *ms > 0) {
        let _ = write!(out, " {name}:{ms}");
    }
    if i.pacing_rate > 0 && i.pacing_rate != u64::MAX {
        let bits = |bytes: u64| bytes.saturating_mul(8);
        let _ = write!(out, " pacing_rate {}bps", bits(i.pacing_rate));
        if i.max_pacing_rate > 0 && i.max_pacing_rate != u64::MAX {
            let _ = write!(out, "/{}bps", bits(i.max_pacing_rate));
        }
    }
    recovery(&mut out, i);
    out
}

/// Time-outs, sizes, windows, and how much went each way.
fn counts(out: &mut String, i: &TcpInfo) {
    let mut put = |name: &str, text: String, shown: bool| {
        if shown {
            let _ = write!(out, " {name}:{text}");
        }
    };
    let n = |v: u64| v.to_string();
    let u = |v: u32| v.to_string();
    // Linux counts this one in whole ticks of its clock.
    put("rto", u(i.rto.div_ceil(1_000)), i.rto > 0);
    put("backoff", n(i.backoff.into()), i.backoff > 0);
    put("rtt", format!("{}/{}", ms(i.rtt), ms(i.rttvar)), i.rtt > 0);
    put("ato", ms(i.ato), i.ato > 0);
    put("mss", u(i.snd_mss), i.snd_mss > 0);
    put("pmtu", u(i.pmtu), i.pmtu > 0);
    put("rcvmss", u(i.rcv_mss), i.rcv_mss > 0);
    put("advmss", u(i.advmss), i.advmss > 0);
    put("cwnd", u(i.snd_cwnd), i.snd_cwnd > 0);
    put("ssthresh", u(i.snd_ssthresh), i.snd_ssthresh < 0xffff);
    put("bytes_sent", n(i.bytes_sent), i.bytes_sent > 0);
    put("bytes_retrans", n(i.bytes_retrans), i.bytes_retrans > 0);
    put("bytes_acked", n(i.bytes_acked), i.bytes_acked > 0);
    put("bytes_received", n(i.bytes_received), i.bytes_received > 0);
    put("segs_out", u(i.segs_out), i.segs_out > 0);
    put("segs_in", u(i.segs_in), i.segs_in > 0);
    put("data_segs_out", u(i.data_segs_out), i.data_segs_out > 0);
    put("data_segs_in", u(i.data_segs_in), i.data_segs_in > 0);
}

/// What came of what was sent, and what the receiver measured.
fn recovery(out: &mut String, i: &TcpInfo) {
    let mut put = |name: &str, text: String, shown: bool| {
        if shown {
            let _ = write!(out, " {name}:{text}");
        }
    };
    let u = |v: u32| v.to_string();
    put("delivered", u(i.delivered), i.delivered > 0);
    put("delivered_ce", u(i.delivered_ce), i.delivered_ce > 0);
    put("busy", format!("{}ms", i.busy_time / 1_000), i.busy_time >= 1_000);
    for (name, us) in [("rwnd_limited", i.rwnd_limited), ("sndbuf_limited", i.sndbuf_limited)] {
        // Linux counts whole ticks.
        put(name, part_of_busy(us, i.busy_time), us >= 1_000);
    }
    put("unacked", u(i.unacked), i.unacked > 0);
    put("retrans", format!("{}/{}", i.retrans, i.total_retrans), i.retrans + i.total_retrans > 0);
    put("lost", u(i.lost), i.lost > 0);
    put("sacked", u(i.sacked), i.sacked > 0);
    put("dsack_dups", u(i.dsack_dups), i.dsack_dups > 0);
    put("reordering", u(i.reordering), i.reordering != 3);
    put("reord_seen", u(i.reord_seen), i.reord_seen > 0);
    put("rcv_rtt", ms(i.rcv_rtt), i.rcv_rtt > 0);
    put("rcv_space", u(i.rcv_space), i.rcv_space > 0);
    put("rcv_ssthresh", u(i.rcv_ssthresh), i.rcv_ssthresh > 0);
    put("notsent", u(i.notsent_bytes), i.notsent_bytes > 0);
    put("minrtt", ms(i.min_rtt), i.min_rtt > 0 && i.min_rtt != u32::MAX);
    put("rcv_ooopack", u(i.rcv_ooopack), i.rcv_ooopack > 0);
    put("snd_wnd", u(i.snd_wnd), i.snd_wnd > 0);
}

/// `120ms(37.5%)`: microseconds in milliseconds, and as a part of the busy time.
fn part_of_busy(us: u64, busy: u64) -> String {
    let per_mille = (us.saturating_mul(2_000) / busy.max(1)).div_ceil(2);
    format!("{}ms({}.{}%)", us / 1_000, per_mille / 10, per_mille % 10)
}

/// Bits per second that the congestion window allows.
fn rate(i: &TcpInfo) -> Option<u64> {
    let bits = u64::from(i.snd_cwnd) * u64::from(i.snd_mss) * 8;
    (bits > 0 && i.rtt > 0).then(|| bits.saturating_mul(1_000_000) / u64::from(i.rtt))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order and the conditions of iproute2's `tcp_stats_print`.
    #[test]
    fn what_limits_and_what_is_lost_is_said_in_order() {
        let tail = |i: &TcpInfo| {
            let text = connection(i, "cubic");
            text.split_once(" lastack:1").expect("an age").1.to_owned()
        };
        let quiet = TcpInfo { last_ack_recv: 1, reordering: 3, ..TcpInfo::default() };
        assert_eq!(tail(&quiet), "");
        let busy = TcpInfo {
            delivered: 9,
            delivered_ce: 2,
            busy_time: 1_000_000,
            rwnd_limited: 123_456,
            sndbuf_limited: 999,
            unacked: 5,
            retrans: 1,
            total_retrans: 4,
            lost: 2,
            sacked: 3,
            dsack_dups: 1,
            reordering: 7,
            reord_seen: 1,
            ..quiet
        };
        assert_eq!(
            tail(&busy),
            " delivered:9 delivered_ce:2 busy:1000ms rwnd_limited:123ms(12.3%) unacked:5 \
             retrans:1/4 lost:2 sacked:3 dsack_dups:1 reordering:7 reord_seen:1"
        );
        let paced = TcpInfo { pacing_rate: 1_000, max_pacing_rate: 2_000, delivered: 1, ..quiet };
        assert_eq!(tail(&paced), " pacing_rate 8000bps/16000bps delivered:1");
        let open = TcpInfo { pacing_rate: 1_000, max_pacing_rate: u64::MAX, ..quiet };
        assert_eq!(tail(&open), " pacing_rate 8000bps");
        let buffer = TcpInfo { busy_time: 3_000, sndbuf_limited: 2_000, ..quiet };
        assert_eq!(tail(&buffer), " busy:3ms sndbuf_limited:2ms(66.7%)");
    }

    #[test]
    fn spans_and_milliseconds() {
        for (ms, text) in [
            (200, "200ms"),
            (1_204, "1.204sec"),
            (58_000, "58sec"),
            (7_140_000, "119min"),
            (90_000, "1min30sec"),
        ] {
            assert_eq!(span(ms), text);
        }
        assert_eq!(
            (ms(204_000).as_str(), ms(18).as_str(), ms(1_500).as_str()),
            ("204", "0.018", "1.5")
        );
    }
}
