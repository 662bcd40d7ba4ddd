//! What a segment does in a state, after RFC 9293 §3.10.7 with RFC 5961.
//!
//! Where the text leaves a choice or is silent, there is no script (`None`).

use super::events::Segment;
use super::states::{IRS, PEER_WINDOW, State, Variables};

/// What follows from a segment.
#[derive(Clone, Debug)]
pub(super) struct Reaction {
    /// Where it is written.
    pub(super) section: &'static str,
    /// In words.
    pub(super) why: &'static str,
    pub(super) answer: Answer,
    pub(super) after: After,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Nothing,
    Now(String),
    /// Within the time that an acknowledgement may be delayed.
    Soon(String),
}

/// Where the connection is afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct After {
    state: State,
    snd_una: u32,
    snd_nxt: u32,
    rcv_nxt: u32,
    /// The handshake has just completed: the program accepts the connection first.
    accept: bool,
}

impl After {
    pub(super) fn comment(self) -> &'static str {
        match self.state {
            State::Closed => "The connection is gone: an ACK is answered by a reset.",
            State::Listen => "The listener still listens.",
            State::SynSent => "The handshake can still complete.",
            State::SynReceived => "The handshake can still complete.",
            State::TimeWait => "In TIME-WAIT the FIN that arrives again is acknowledged again.",
            _ => "An old segment shows the numbers, TCP_INFO the state.",
        }
    }

    /// Events that show where the connection is.
    pub(super) fn probe(self) -> String {
        let (una, snd, rcv) = (self.snd_una, self.snd_nxt, self.rcv_nxt);
        match self.state {
            State::Closed => {
                format!("+.01 < . {rcv}:{rcv}(0) ack 4444 win 32767\n+0 > R 4444:4444(0)\n")
            }
            State::Listen => "\
                +.01 < 40001 > 8080 S 500000:500000(0) win 32767 <mss 1460>\n\
                +0 > 8080 > 40001 S. 0:0(0) ack 500001 <...>\n"
                .to_owned(),
            State::SynSent => format!(
                // At once: a bad acknowledgement may have the SYN sent again early.
                "+.001 < S. {IRS}:{IRS}(0) ack 1 win 32767 <mss 1460>\n\
                 +0 > . 1:1(0) ack {}\n+0 getsockopt(3, SOL_SOCKET, SO_ERROR, [0], [4]) = 0\n",
                IRS + 1
            ),
            State::SynReceived => format!(
                "+.01 < P. {rcv}:{}(10) ack 1 win 32767\n+0~+.2 > . 1:1(0) ack {}\n",
                rcv + 10,
                rcv + 10
            ),
            State::TimeWait => format!(
                "+.01 < F. {}:{}(0) ack {una} win 32767\n+0 > . {snd}:{snd}(0) ack {rcv}\n",
                rcv - 1,
                rcv - 1
            ),
            state => {
                let old = rcv - 10;
                let mut text = format!(
                    "+.01 < P. {old}:{}(5) ack {una} win 32767\n+0 > . {snd}:{snd}(0) ack {rcv}\n",
                    old + 5
                );
                if self.accept {
                    text.insert_str(0, "+0 accept(3, ..., ...) = 4\n");
                }
                if let Some(name) = state.tcp_info() {
                    text += &format!("+0 %{{ assert tcpi_state == {name}, tcpi_state }}%\n");
                }
                text
            }
        }
    }
}

/// What a segment does; `None` where the RFCs do not say, or where this TCP does on purpose what
/// Linux does.
pub(super) fn reaction(state: State, segment: &Segment) -> Option<Reaction> {
    if deviates(state, segment) {
        return None;
    }
    match state {
        State::Closed => closed(segment),
        State::Listen => listen(segment),
        State::SynSent => syn_sent(segment),
        _ => numbered(state, segment),
    }
}

/// Where Linux, and this TCP with it, departs from the letter of the RFCs.
fn deviates(state: State, s: &Segment) -> bool {
    let v = state.variables();
    // A reset with the number of the FIN that was acknowledged already is taken: it is the answer
    // of a peer that has forgotten the connection.
    let forgotten = matches!(state, State::CloseWait | State::Closing | State::LastAck)
        && s.rst
        && s.seq == v.rcv_nxt.wrapping_sub(1);
    // TIME-WAIT acknowledges whatever does not fit, even if it is acceptable.
    let time_wait = state == State::TimeWait
        && !s.rst
        && !s.syn
        && (s.ack.is_none() || (s.len() == 0 && s.seq != v.rcv_nxt));
    forgotten || time_wait
}

fn unchanged(state: State) -> After {
    let Variables { snd_una, snd_nxt, rcv_nxt, .. } = state.variables();
    After { state, snd_una, snd_nxt, rcv_nxt, accept: false }
}

/// RFC 9293 §3.10.7.1.
fn closed(s: &Segment) -> Option<Reaction> {
    let (why, answer) = match (s.rst, s.ack) {
        (true, _) => ("a reset is discarded", Answer::Nothing),
        (_, Some(ack)) => ("a reset with the number acknowledged", reset(ack)),
        (_, None) => {
            let ack = s.seq.wrapping_add(s.len());
            let text = format!("R. 0:0(0) ack {ack}");
            ("a reset with number 0 that acknowledges the segment", Answer::Now(text))
        }
    };
    let after = After { state: State::Closed, rcv_nxt: IRS, ..unchanged(State::Closed) };
    Some(Reaction { section: "RFC 9293 §3.10.7.1", why, answer, after })
}

fn reset(seq: u32) -> Answer {
    Answer::Now(format!("R {seq}:{seq}(0)"))
}

/// RFC 9293 §3.10.7.2.
fn listen(s: &Segment) -> Option<Reaction> {
    let (why, answer) = match (s.rst, s.ack, s.syn) {
        (true, ..) => ("a reset is ignored", Answer::Nothing),
        (_, Some(ack), _) => ("any acknowledgement is bad here: a reset", reset(ack)),
        // What else a SYN carries may be queued or ignored: no choice is tested.
        (_, _, true) if s.fin || s.data > 0 => return None,
        (_, _, true) => return None,
        _ => ("neither SYN nor ACK nor RST: dropped", Answer::Nothing),
    };
    let after = unchanged(State::Listen);
    Some(Reaction { section: "RFC 9293 §3.10.7.2", why, answer, after })
}

/// RFC 9293 §3.10.7.3.
fn syn_sent(s: &Segment) -> Option<Reaction> {
    let section = "RFC 9293 §3.10.7.3";
    let same = unchanged(State::SynSent);
    let nothing = |why| Some(Reaction { section, why, answer: Answer::Nothing, after: same });
    let acceptable = match s.ack {
        // ISS is 0, SND.NXT is 1.
        Some(1) => true,
        Some(_) if s.rst => return nothing("a reset with a bad acknowledgement is dropped"),
        Some(ack) => {
            let why = "a bad acknowledgement is answered by a reset, the connection stays";
            return Some(Reaction { section, why, answer: reset(ack), after: same });
        }
        None => false,
    };
    if s.rst {
        if !acceptable {
            return nothing("a reset without acknowledgement is dropped");
        }
        let why = "a reset that acknowledges the SYN ends the connection";
        let after = After { state: State::Closed, rcv_nxt: IRS, ..same };
        return Some(Reaction { section, why, answer: Answer::Nothing, after });
    }
    if !s.syn {
        return nothing("without SYN or RST: dropped");
    }
    // Data and FIN beside a SYN may wait or be processed: no choice is tested.
    if s.fin || s.data > 0 {
        return None;
    }
    let rcv_nxt = IRS + 1;
    if acceptable {
        let why = "the SYN is acknowledged: established";
        let answer = Answer::Now(format!(". 1:1(0) ack {rcv_nxt}"));
        let after = After { state: State::Established, snd_una: 1, rcv_nxt, ..same };
        return Some(Reaction { section, why, answer, after });
    }
    let why = "a SYN alone: simultaneous open, SYN+ACK";
    let answer = Answer::Now(format!("S. 0:0(0) ack {rcv_nxt} <...>"));
    let after = After { state: State::SynReceived, rcv_nxt, ..same };
    Some(Reaction { section, why, answer, after })
}

/// RFC 9293 §3.10.7.4, first check.
fn is_acceptable(v: &Variables, s: &Segment) -> bool {
    let inside = |seq: u32| seq.wrapping_sub(v.rcv_nxt) < v.rcv_wnd;
    match s.len() {
        0 => inside(s.seq),
        len => inside(s.seq) || inside(s.seq.wrapping_add(len - 1)),
    }
}

/// RFC 9293 §3.10.7.4: SYN-RECEIVED and the synchronized states.
fn numbered(state: State, s: &Segment) -> Option<Reaction> {
    let v = state.variables();
    let same = unchanged(state);
    let ack = Answer::Now(format!(". {0}:{0}(0) ack {1}", v.snd_nxt, v.rcv_nxt));
    let section = "RFC 9293 §3.10.7.4";
    let answer = |section, why, answer| Some(Reaction { section, why, answer, after: same });
    if !is_acceptable(&v, s) {
        if s.rst {
            return answer(section, "not acceptable, a reset is dropped", Answer::Nothing);
        }
        // The SYN that arrives again is answered by the SYN+ACK again on every system, and a SYN
        // in TIME-WAIT may open anew (MAY-2).
        if s.syn && matches!(state, State::SynReceived | State::TimeWait) {
            return None;
        }
        return answer(section, "not acceptable: an ACK, and it is dropped", ack);
    }
    if s.rst {
        return reset_arrives(state, s);
    }
    if s.syn {
        if matches!(state, State::SynReceived | State::TimeWait) {
            return None;
        }
        let why = "a SYN in the window is answered by a challenge ACK";
        return answer("RFC 5961 §4.2", why, ack);
    }
    let Some(number) = s.ack else {
        return answer(section, "without ACK it is dropped", Answer::Nothing);
    };
    acknowledged(state, s, number)
}

/// RFC 5961 §3.2, RFC 9293 §3.10.7.4, second check.
fn reset_arrives(state: State, s: &Segment) -> Option<Reaction> {
    let v = state.variables();
    let section = "RFC 5961 §3.2";
    if s.seq == v.rcv_nxt {
        let state = if state == State::SynReceived { State::Listen } else { State::Closed };
        let after = After { state, ..unchanged(state) };
        let after = After { rcv_nxt: v.rcv_nxt, ..after };
        let why = "a reset with exactly the next number ends the connection";
        return Some(Reaction { section, why, answer: Answer::Nothing, after });
    }
    // Linux drops it in TIME-WAIT and answers a half-open one with what it knows: not tested.
    if matches!(state, State::TimeWait | State::SynReceived) {
        return None;
    }
    let why = "a reset inside the window is answered by a challenge ACK";
    let answer = Answer::Now(format!(". {0}:{0}(0) ack {1}", v.snd_nxt, v.rcv_nxt));
    Some(Reaction { section, why, answer, after: unchanged(state) })
}

/// The fifth check: the acknowledgement, then text and FIN.
fn acknowledged(state: State, s: &Segment, ack: u32) -> Option<Reaction> {
    let v = state.variables();
    let mut after = unchanged(state);
    let from_una = ack.wrapping_sub(v.snd_una);
    let new = from_una != 0 && from_una <= v.snd_nxt - v.snd_una;
    if state == State::SynReceived {
        if !new {
            let why = "an acknowledgement that does not cover our SYN: a reset";
            return Some(Reaction {
                section: "RFC 9293 §3.10.7.4",
                why,
                answer: reset(ack),
                after: unchanged(state),
            });
        }
        (after.state, after.accept) = (State::Established, true);
    }
    // Linux goes back by no more than was ever acknowledged: the first byte has the number 1. What
    // is below was never sent, and nobody can acknowledge it.
    let old = v.snd_una.wrapping_sub(ack) <= PEER_WINDOW.min(v.snd_una.saturating_sub(1));
    if !new && !old {
        // Neither new, nor within the largest window the peer ever offered.
        if state == State::TimeWait {
            return None;
        }
        let why = "an acknowledgement out of range: an ACK, and it is dropped";
        let answer = Answer::Now(format!(". {0}:{0}(0) ack {1}", v.snd_nxt, v.rcv_nxt));
        return Some(Reaction { section: "RFC 5961 §5.2", why, answer, after: unchanged(state) });
    }
    if new {
        after.snd_una = ack;
        after.state = match after.state {
            State::FinWait1 => State::FinWait2,
            State::Closing => State::TimeWait,
            State::LastAck => State::Closed,
            other => other,
        };
    }
    text_and_fin(state, s, after)
}

fn text_and_fin(before: State, s: &Segment, mut after: After) -> Option<Reaction> {
    let v = before.variables();
    let section = "RFC 9293 §3.10.7.4";
    let quiet = |why, after| Some(Reaction { section, why, answer: Answer::Nothing, after });
    if s.data == 0 && !s.fin {
        return quiet("nothing to answer", after);
    }
    if before.has_fin() || before == State::SynReceived {
        // Text behind a FIN «should not occur» and is ignored; a second FIN is nobody's case. Data
        // beside the ACK that completes a handshake is not this test.
        let only_text = s.data > 0 && !s.fin && s.seq.wrapping_sub(v.rcv_nxt) < v.rcv_wnd;
        let still = after.state == before && before != State::TimeWait;
        if !before.has_fin() || !only_text || !still {
            return None;
        }
        return quiet("text behind the peer's FIN is ignored", after);
    }
    let ahead = s.seq.wrapping_sub(v.rcv_nxt);
    if ahead != 0 && ahead < v.rcv_wnd {
        let why = "beyond a gap: an ACK at once";
        let answer = Answer::Now(format!(". {0}:{0}(0) ack {1}", v.snd_nxt, v.rcv_nxt));
        return Some(Reaction { section: "RFC 5681 §4.2", why, answer, after });
    }
    after.rcv_nxt = s.seq.wrapping_add(s.len());
    let text = format!(". {0}:{0}(0) ack {1}", v.snd_nxt, after.rcv_nxt);
    if !s.fin {
        let why = "text in order is taken and acknowledged";
        return Some(Reaction { section, why, answer: Answer::Soon(text), after });
    }
    after.state = match after.state {
        State::Established => State::CloseWait,
        State::FinWait1 => State::Closing,
        State::FinWait2 => State::TimeWait,
        other => other,
    };
    let why = "the peer's FIN is taken and acknowledged";
    Some(Reaction { section, why, answer: Answer::Soon(text), after })
}
