//! What connection tracking makes of TCP segments: the states and transitions of Linux'
//! `nf_conntrack_proto_tcp`.
//!
//! Left out, and why: sequence numbers are not compared with the windows seen (Linux'
//! `tcp_be_liberal = 1`), so a RST ends tracking even when the end point will ignore it; the
//! shorter time-out after three retransmissions is not applied. A segment in the middle of an
//! unknown connection begins a flow (Linux' `tcp_loose = 1`).

use netarium_wire::{TcpFlags, TcpHeader};

use super::session::{Direction, Flags, Session};
use super::timeouts::Timeout;

/// The state of a tracked TCP connection, seen from the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpState {
    /// Nothing was seen, or the flow is not TCP.
    None,
    /// A SYN was seen.
    SynSent,
    /// SYNs were seen in both directions (simultaneous open).
    SynSent2,
    /// SYN and SYN+ACK were seen.
    SynRecv,
    /// The handshake is complete, or was assumed to be.
    Established,
    /// One FIN was seen.
    FinWait,
    /// The first FIN was acknowledged.
    CloseWait,
    /// Both FINs were seen.
    LastAck,
    /// The last FIN was acknowledged.
    TimeWait,
    /// A RST was seen.
    Close,
}

impl TcpState {
    /// The name that `conntrack -L` prints.
    pub const fn name(self) -> &'static str {
        match self {
            TcpState::None => "NONE",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynSent2 => "SYN_SENT2",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait => "FIN_WAIT",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
        }
    }

    fn timeout(self) -> Timeout {
        match self {
            TcpState::None | TcpState::SynSent | TcpState::SynSent2 => Timeout::SynSent,
            TcpState::SynRecv => Timeout::SynRecv,
            TcpState::Established => Timeout::Established,
            TcpState::FinWait => Timeout::FinWait,
            TcpState::CloseWait => Timeout::CloseWait,
            TcpState::LastAck => Timeout::LastAck,
            TcpState::TimeWait => Timeout::TimeWait,
            TcpState::Close => Timeout::Close,
        }
    }

    /// The word for a change to this state in trace events.
    pub(crate) const fn event(self) -> &'static str {
        match self {
            TcpState::None | TcpState::SynSent | TcpState::SynSent2 => "opening",
            TcpState::SynRecv => "answered",
            TcpState::Established => "established",
            TcpState::FinWait | TcpState::CloseWait | TcpState::LastAck => "closing",
            TcpState::TimeWait => "closed",
            TcpState::Close => "reset",
        }
    }
}

/// What a segment is, to connection tracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
}

impl Segment {
    /// `None` for combinations of flags that no TCP sends.
    fn of(flags: TcpFlags) -> Option<Segment> {
        let core =
            flags & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::FIN | TcpFlags::RST | TcpFlags::URG);
        let without_urgent = core - TcpFlags::URG;
        let syn_ack = TcpFlags::SYN | TcpFlags::ACK;
        match without_urgent {
            f if f == TcpFlags::SYN => Some(Segment::Syn),
            f if f == TcpFlags::ACK => Some(Segment::Ack),
            f if f == TcpFlags::FIN | TcpFlags::ACK => Some(Segment::Fin),
            f if f == syn_ack && core == f => Some(Segment::SynAck),
            f if core == f && (f == TcpFlags::RST || f == TcpFlags::RST | TcpFlags::ACK) => {
                Some(Segment::Rst)
            }
            _ => None,
        }
    }
}

/// Where a segment leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    To(TcpState),
    /// Let it pass: its receiver decides, and tells us with its answer.
    Ignore,
    /// Not part of this connection.
    Invalid,
    /// The connection is over; the segment begins another one, if it was closed by a FIN or by a RST
    /// of the same side. Else it is ignored until the SYN+ACK comes.
    Reopen,
}

/// The transitions. `state` is [`TcpState::None`] for the first packet of a flow.
fn next(segment: Segment, dir: Direction, state: TcpState) -> Next {
    use Direction::{Original, Reply};
    use Next::{Ignore, Invalid, Reopen, To};
    use TcpState::{
        Close, CloseWait, Established, FinWait, LastAck, None, SynRecv, SynSent, SynSent2, TimeWait,
    };
    match (segment, dir, state) {
        (Segment::Rst, _, None) => Invalid,
        (Segment::Rst, _, _) => To(Close),

        (Segment::Syn, Original, None | SynSent) => To(SynSent),
        (Segment::Syn, Original, SynSent2) => To(SynSent2),
        (Segment::Syn, Original, TimeWait | Close) => Reopen,
        (Segment::Syn, Original, _) => Ignore,
        (Segment::Syn, Reply, SynSent | SynSent2) => To(SynSent2),
        (Segment::Syn, Reply, TimeWait) => Reopen,
        (Segment::Syn, Reply, _) => Invalid,

        (Segment::SynAck, Original, SynSent2 | SynRecv) => To(SynRecv),
        (Segment::SynAck, Original, _) => Invalid,
        (Segment::SynAck, Reply, SynSent | SynSent2) => To(SynRecv),
        (Segment::SynAck, Reply, None) => Invalid,
        (Segment::SynAck, Reply, _) => Ignore,

        (Segment::Fin, _, None | SynSent | SynSent2) => Invalid,
        (Segment::Fin, _, SynRecv | Established) => To(FinWait),
        (Segment::Fin, _, FinWait | CloseWait | LastAck) => To(LastAck),
        (Segment::Fin, _, TimeWait | Close) => To(state),

        (Segment::Ack, Original, None | SynRecv) => To(Established),
        (Segment::Ack, Original, SynSent | SynSent2) => Invalid,
        (Segment::Ack, Reply, None) => Invalid,
        (Segment::Ack, Reply, SynSent | SynSent2) => Ignore,
        (Segment::Ack, Reply, SynRecv) => To(SynRecv),
        (Segment::Ack, _, FinWait) => To(CloseWait),
        (Segment::Ack, _, LastAck) => To(TimeWait),
        (Segment::Ack, _, Established | CloseWait | TimeWait | Close) => To(state),
    }
}

/// The state that the first segment of a flow leads to; `None` when it cannot begin one.
pub(crate) fn first(header: &TcpHeader) -> Option<(TcpState, Timeout)> {
    match next(Segment::of(header.flags)?, Direction::Original, TcpState::None) {
        Next::To(TcpState::Established) => Some((TcpState::Established, Timeout::Unacknowledged)),
        Next::To(state) => Some((state, state.timeout())),
        _ => None,
    }
}

/// What a segment did to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Refresh the session under this time-out; the state may have changed.
    Refresh(Timeout),
    /// Leave the session as it is.
    Ignore,
    /// The segment does not belong to the session.
    Invalid,
    /// The session is over, the segment begins another one.
    Reopen,
    /// Nobody answered but with a RST: forget the session.
    Forget,
}

/// Applies a segment of `len` payload bytes to a session.
pub(crate) fn segment(s: &mut Session, dir: Direction, header: &TcpHeader, len: usize) -> Step {
    let Some(segment) = Segment::of(header.flags) else { return Step::Invalid };
    let old = s.tcp;
    let next = next(segment, dir, old);
    let (own_rst, other_rst) = match dir {
        Direction::Original => (Flags::RST_ORIGINAL, Flags::RST_REPLY),
        Direction::Reply => (Flags::RST_REPLY, Flags::RST_ORIGINAL),
    };
    let over = s.flags.intersects(Flags::CLOSING | own_rst);
    if next != Next::Invalid {
        s.flags.remove(other_rst);
        s.flags.set(own_rst, segment == Segment::Rst);
    }
    let new = match next {
        Next::To(new) => new,
        Next::Reopen if over => return Step::Reopen,
        Next::Invalid => return Step::Invalid,
        Next::Ignore | Next::Reopen => match ignored(s, segment, dir, header, len) {
            Some(state) => state,
            None => return Step::Ignore,
        },
    };
    s.flags.remove(Flags::IGNORED_SYN);
    s.tcp = new;
    if new == TcpState::FinWait {
        s.flags.insert(Flags::CLOSING);
    }
    if segment == Segment::Rst && !s.flags.contains(Flags::SEEN_REPLY) {
        return Step::Forget;
    }
    let both_established = new == TcpState::Established
        && matches!(old, TcpState::SynRecv | TcpState::Established)
        && s.flags.contains(Flags::SEEN_REPLY);
    if both_established {
        s.flags.insert(Flags::ASSURED);
    }
    let unanswered = new == TcpState::Established && !s.flags.contains(Flags::SEEN_REPLY);
    Step::Refresh(if unanswered { Timeout::Unacknowledged } else { new.timeout() })
}

/// A SYN in the middle of a connection is ignored but remembered: when the other side answers it
/// with a SYN+ACK, it was our memory that was out of date, and the connection is a new one.
fn ignored(
    s: &mut Session,
    segment: Segment,
    dir: Direction,
    header: &TcpHeader,
    len: usize,
) -> Option<TcpState> {
    if segment == Segment::Syn && dir == Direction::Original {
        s.flags.insert(Flags::IGNORED_SYN);
        s.ignored_syn_end = header.seq.wrapping_add(len as u32 + 1);
    }
    let answers = segment == Segment::SynAck
        && dir == Direction::Reply
        && s.flags.contains(Flags::IGNORED_SYN)
        && header.ack == s.ignored_syn_end;
    answers.then_some(TcpState::SynRecv)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [TcpState; 10] = [
        TcpState::None,
        TcpState::SynSent,
        TcpState::SynSent2,
        TcpState::SynRecv,
        TcpState::Established,
        TcpState::FinWait,
        TcpState::CloseWait,
        TcpState::LastAck,
        TcpState::TimeWait,
        TcpState::Close,
    ];

    fn grid(dir: Direction) -> String {
        let segments = [Segment::Syn, Segment::SynAck, Segment::Fin, Segment::Ack, Segment::Rst];
        let cell = |n: Next| match n {
            Next::To(s) => {
                let code = ["no", "ss", "s2", "sr", "es", "fw", "cw", "la", "tw", "cl"];
                code[STATES.iter().position(|x| *x == s).unwrap()]
            }
            Next::Ignore => "--",
            Next::Invalid => "!!",
            Next::Reopen => "->",
        };
        let row = |segment| STATES.map(|s| cell(next(segment, dir, s))).join(" ");
        segments.map(row).join("\n")
    }

    /// Every segment in every state, against the table of the kernel's documentation. Columns:
    /// none, syn-sent, syn-sent2, syn-recv, established, fin-wait, close-wait, last-ack,
    /// time-wait, close; rows: SYN, SYN+ACK, FIN, ACK, RST.
    #[test]
    fn all_pairs() {
        assert_eq!(
            grid(Direction::Original),
            "ss ss s2 -- -- -- -- -- -> ->\n\
             !! !! sr sr !! !! !! !! !! !!\n\
             !! !! !! fw fw la la la tw cl\n\
             es !! !! es es cw cw tw tw cl\n\
             !! cl cl cl cl cl cl cl cl cl"
        );
        assert_eq!(
            grid(Direction::Reply),
            "!! s2 s2 !! !! !! !! !! -> !!\n\
             !! sr sr -- -- -- -- -- -- --\n\
             !! !! !! fw fw la la la tw cl\n\
             !! -- -- sr es cw cw tw tw cl\n\
             !! cl cl cl cl cl cl cl cl cl"
        );
    }

    #[test]
    fn flags_that_no_tcp_sends_are_nothing() {
        let f = |bits| Segment::of(TcpFlags::from_bits_truncate(bits));
        assert_eq!(f(0x02), Some(Segment::Syn));
        assert_eq!(f(0xc2), Some(Segment::Syn), "an ECN-setup SYN (RFC 3168 §6.1.1)");
        assert_eq!(f(0x12), Some(Segment::SynAck));
        assert_eq!(f(0x19), Some(Segment::Fin));
        assert_eq!(f(0x14), Some(Segment::Rst));
        for odd in [0x00, 0x01, 0x03, 0x06, 0x07, 0x29, 0x3f, 0x08, 0x20] {
            assert_eq!(f(odd), None, "{odd:#x}");
        }
    }
}
