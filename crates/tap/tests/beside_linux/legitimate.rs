//! What may differ between Linux and us, and why. The same list stands in `docs/tcp.md`.

use super::generate::Step;
use netarium_wire::TcpFlags;

use super::sides::{Answer, Reply};

/// Whether two replies are the same: windows compared loosely, and acknowledgements of new data may
/// come now or later.
pub(crate) fn same(ours: &Reply, linux: &Reply) -> bool {
    if ours.result == linux.result && alike(&ours.segments, &linux.segments) {
        return true;
    }
    let (we, they) = (ours.without_timing(), linux.without_timing());
    let timed = ours.timed_ack().zip(linux.timed_ack());
    ours.result == linux.result
        && timed.is_none_or(|(a, b)| a == b)
        && we.len() == they.len()
        && we.iter().zip(&they).all(|(a, b)| a.is_like(b))
}

/// Why this difference is none to repair; the script ends there.
pub(crate) fn reason(step: &Step, ours: &Reply, linux: &Reply) -> Option<&'static str> {
    use TcpFlags as F;
    let any = |reply: &Reply, flag| reply.segments.iter().any(|s| s.flags.contains(flag));
    if let Some(why) = sending(ours, linux) {
        return Some(why);
    }
    let seg = match step {
        Step::Segment(seg) => seg,
        // RFC 9293 §3.10.4 lets a FIN follow the data; Linux counts it as a byte of the window.
        Step::Close | Step::Shutdown if any(ours, F::FIN) && linux.segments.is_empty() => {
            return Some("a FIN into a closed window");
        }
        // RFC 9293 §3.10.5: ABORT in LAST-ACK and CLOSING deletes the connection; Linux resets.
        Step::Close if any(linux, F::RST) && ours.segments.is_empty() => {
            return Some("unread data in LAST-ACK");
        }
        // Linux takes such a socket apart: it is not connected any more, where ours is at its end.
        Step::Read(_) if (ours.result, linux.result) == (Some(0), Some(-107)) => {
            return Some("reading after a shutdown while connecting");
        }
        _ => return None,
    };
    // How much room the rest of a window has depends on how memory is counted.
    if seg.seq.wrapping_sub(ours.expects) > 50_000 && seg.seq.wrapping_sub(ours.expects) < 100_000 {
        return Some("at the far edge of the window");
    }
    // Text behind a FIN makes no sense; what SACK says of it is nobody's business.
    let without = |reply: &Reply| {
        let plain = |s: &Answer| Answer { options: String::new(), ..s.clone() };
        reply.segments.iter().map(plain).collect::<Vec<_>>()
    };
    if ours.fin_received && alike(&without(ours), &without(linux)) {
        return Some("SACK of text behind a FIN");
    }
    // RFC 9293 §3.10.7.4, seventh: text behind the peer's FIN is ignored; Linux resets.
    if seg.len > 0 && ours.fin_received {
        return Some("text behind a FIN");
    }
    // What nobody holds any more is in Linux, from FIN-WAIT-2 on, a smaller thing that judges less.
    if ours.is_left {
        return Some("FIN-WAIT-2 of nobody");
    }
    // RFC 9293 §3.10.7.4, first before fifth: the sequence number is judged, and answered, before
    // the missing ACK is; Linux drops such a segment unseen.
    let silent = linux.segments.is_empty() && !ours.segments.is_empty();
    if silent && !seg.flags.intersects(F::ACK | F::RST | F::SYN) {
        return Some("a segment without ACK, outside of the window");
    }
    // Header prediction of Linux does not judge the acknowledgement number of data in order.
    let old = seg.len > 0
        && seg.flags.contains(F::ACK)
        && seg.flags.difference(F::ACK | F::PSH).is_empty();
    if old && seg.ack as i32 <= 0 && linux.segments.iter().all(|s| s.news) {
        return Some("an old ACK with text in order");
    }
    // RFC 7323 §1.3 answers with what the peer offered; Linux repeats the options of its SYN.
    if ours.crosses_syns() && linux.crosses_syns() && seg.flags.contains(F::SYN) {
        return Some("options when SYNs cross");
    }
    // RFC 9293 §3.10.7.3, fourth: text on a SYN+ACK is kept; Linux lets it be sent again.
    if seg.flags.contains(F::SYN | F::ACK) && seg.len > 0 {
        return Some("text on a SYN+ACK");
    }
    None
}

/// One sends less than the other at once.
fn sending(ours: &Reply, linux: &Reply) -> Option<&'static str> {
    // Linux cuts a bunch by the options that its first segment has.
    let bytes = |reply: &Reply| reply.segments.iter().map(|s| s.len).sum::<usize>();
    if ours.segments.iter().any(|s| s.options.contains("sack"))
        && bytes(ours) > 0
        && bytes(linux) > 0
    {
        return Some("segment sizes while SACK is reported");
    }
    let all_data = |reply: &Reply| reply.segments.iter().all(|s| s.len > 0);
    let (we, they) = (ours.segments.len(), linux.segments.len());
    let both = we.min(they);
    let agree = alike(&ours.segments[..both], &linux.segments[..both]);
    // RFC 9293 §3.10.7.4 lets a window shrink by a segment with the same numbers; Linux believes that
    // only of a closed one.
    if ours.result.is_some() && we == 0 && they > 0 && all_data(linux) {
        return Some("a window that shrinks in place");
    }
    if !agree || both == 0 || !all_data(ours) || !all_data(linux) {
        return None;
    }
    match we.cmp(&they) {
        // RFC 9293 §3.8.6.2.1: a part that fills neither a segment nor half the window waits; Linux
        // sends it in one bunch with what precedes it.
        std::cmp::Ordering::Less => Some("less than a segment into a small window"),
        // Linux saves the rest of the congestion window for a larger bunch.
        std::cmp::Ordering::Greater => Some("bunches of Linux that wait for more"),
        std::cmp::Ordering::Equal => None,
    }
}

fn alike(ours: &[Answer], linux: &[Answer]) -> bool {
    ours.len() == linux.len() && ours.iter().zip(linux).all(|(a, b)| a.is_like(b))
}
