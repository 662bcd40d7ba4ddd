//! What may differ between Linux and us, and why. The same list stands in `docs/tcp.md`.

use super::generate::Step;
use netarium_wire::TcpFlags;

use super::sides::{Answer, Reply};

/// How often a difference may be excused, in thousandths of all steps: about twice what it is. More
/// would be something else that hides behind it.
pub(crate) fn ceiling(why: &str) -> usize {
    match why {
        "text behind a FIN" => 14,
        "a segment without ACK, outside of the window" => 6,
        "SACK of text behind a FIN" | "at the far edge of the window" => 4,
        "options when SYNs cross" | "text on a SYN+ACK" => 3,
        _ => 1,
    }
}

/// How many steps a script has at least, on average, before it ends or is excused.
pub(crate) const LEAST_STEPS: usize = 13;

/// Whether two replies are the same: windows compared loosely, and acknowledgements of new data may
/// come now or later.
pub(crate) fn same(ours: &Reply, linux: &Reply) -> bool {
    if ours.result == linux.result && alike(&ours.segments, &linux.segments) {
        return true;
    }
    if ours.behind_fin {
        return false;
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
        // How much of a write a full buffer still takes depends on how memory is counted.
        Step::Write(n) if alike(&ours.segments, &linux.segments) => {
            let part = |r: &Reply| r.result.is_some_and(|took| (1..*n as i64).contains(&took));
            return (part(ours) && part(linux)).then_some("how much a full send buffer takes");
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
    if ours.behind_fin {
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
    // Linux cuts a bunch by the options that its first segment has: the same bytes, cut elsewhere.
    if ours.segments.iter().any(|s| s.options.contains("sack"))
        && let (Some(we), Some(they)) = (Bunch::of(ours), Bunch::of(linux))
        && we.is_cut_elsewhere(&they, ours.behind_fin)
    {
        return Some("segment sizes while SACK is reported");
    }
    let all_data = |reply: &Reply| reply.segments.iter().all(|s| s.len > 0);
    let (we, they) = (ours.segments.len(), linux.segments.len());
    let both = we.min(they);
    let agree = alike(&ours.segments[..both], &linux.segments[..both]);
    // RFC 9293 §3.10.7.4 lets a window shrink by a segment with the same numbers; Linux believes that
    // only of a closed one.
    let only_linux = we == 0 && they > 0 && all_data(linux);
    if ours.shrunk && (only_linux || at_the_edge(ours, linux)) {
        return Some("a window that shrinks in place");
    }
    // Header prediction of Linux lets text in order forget that a newer segment set the window.
    let one_silent = only_linux || (they == 0 && we > 0 && all_data(ours));
    if ours.overtaken && one_silent {
        return Some("a window that came ahead of the stream");
    }
    // Linux saves what the congestion window has left for a larger bunch.
    let waits = they == 0 && we > 0 && all_data(ours) && linux.result == ours.result;
    if waits && ours.segments[0].seq != ours.acked {
        return Some("bunches of Linux that wait for more");
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

/// What a bunch of data segments, one behind the other, comes to, however it was cut.
struct Bunch {
    start: u32,
    end: u32,
    /// How many they are.
    count: usize,
    ack: u32,
    /// Of each, but for whether it is pushed.
    flags: TcpFlags,
    /// Of its first segment.
    options: String,
}

impl Bunch {
    /// `None` when something else is among them, or a hole.
    fn of(reply: &Reply) -> Option<Bunch> {
        let first = reply.segments.first()?;
        let flags = |s: &Answer| s.flags | TcpFlags::PSH;
        let mut end = first.seq;
        for s in &reply.segments {
            if s.len == 0 || s.seq != end || s.ack != first.ack || flags(s) != flags(first) {
                return None;
            }
            end = end.wrapping_add(s.len as u32);
        }
        let (options, count) = (first.options.clone(), reply.segments.len());
        Some(Bunch { start: first.seq, end, count, ack: first.ack, flags: flags(first), options })
    }

    /// The same bytes in other segments; or as many segments, where the congestion window, which
    /// counts these, is the limit. What SACK says of text behind a FIN is nobody's business.
    fn is_cut_elsewhere(&self, other: &Bunch, behind_fin: bool) -> bool {
        (self.start, self.ack, self.flags) == (other.start, other.ack, other.flags)
            && (behind_fin || self.options == other.options)
            && (self.end == other.end || self.count == other.count)
    }
}

/// One acknowledgement of each, which differ in how far the peer's window reaches.
fn at_the_edge(ours: &Reply, linux: &Reply) -> bool {
    let ([we], [they]) = (&ours.segments[..], &linux.segments[..]) else { return false };
    (they.seq.wrapping_sub(we.seq) as i32) > 0
        && we.len == 0
        && we.is_like(&Answer { seq: we.seq, ..they.clone() })
}

fn alike(ours: &[Answer], linux: &[Answer]) -> bool {
    ours.len() == linux.len() && ours.iter().zip(linux).all(|(a, b)| a.is_like(b))
}
