//! The states of a connection and the one table of their transitions (RFC 9293 §3.3.2, figure 5).
//!
//! Code asks [`State::next`], the trace prints the names, the test walks all pairs, the diagram in
//! `docs/` is drawn from [`TRANSITIONS`]: there is no second place where a transition is written.

/// The eleven states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a connection request. Only listeners are in it; a connection begins beside it.
    Listen,
    /// A SYN was sent.
    SynSent,
    /// A SYN was received and answered.
    SynReceived,
    /// Data flows.
    Established,
    /// We closed first; the FIN is not acknowledged.
    FinWait1,
    /// We closed first; the FIN is acknowledged, the peer's is awaited.
    FinWait2,
    /// The peer closed first; the program has not closed yet.
    CloseWait,
    /// Both closed at once; our FIN is not acknowledged.
    Closing,
    /// The peer closed first, then we did; our FIN is not acknowledged.
    LastAck,
    /// Both are closed; old segments die out.
    TimeWait,
}

impl State {
    /// All states, in the order of the RFC.
    pub const ALL: [State; 11] = [
        State::Closed,
        State::Listen,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];

    /// The name as RFC 9293 writes it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }

    /// The name as Linux' netstat writes it.
    pub const fn netstat(self) -> &'static str {
        match self {
            State::Closed => "CLOSE",
            State::Listen => "LISTEN",
            State::SynSent => "SYN_SENT",
            State::SynReceived => "SYN_RECV",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN_WAIT1",
            State::FinWait2 => "FIN_WAIT2",
            State::CloseWait => "CLOSE_WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST_ACK",
            State::TimeWait => "TIME_WAIT",
        }
    }

    /// The number in Linux' `struct tcp_info`.
    pub const fn linux_number(self) -> u8 {
        match self {
            State::Established => 1,
            State::SynSent => 2,
            State::SynReceived => 3,
            State::FinWait1 => 4,
            State::FinWait2 => 5,
            State::TimeWait => 6,
            State::Closed => 7,
            State::CloseWait => 8,
            State::LastAck => 9,
            State::Listen => 10,
            State::Closing => 11,
        }
    }

    /// Whether the handshake is complete and the connection not gone.
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent | State::SynReceived)
    }

    /// Whether data from the peer is still taken.
    pub const fn may_receive(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// Whether the program may still send.
    pub const fn may_send(self) -> bool {
        matches!(self, State::Established | State::CloseWait)
    }
}

/// What makes a connection change its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The program asks to connect.
    ActiveOpen,
    /// A SYN arrived.
    Syn,
    /// A SYN with an acknowledgement of ours arrived.
    SynAck,
    /// Our SYN was acknowledged.
    AckOfSyn,
    /// The program closed or shut down its sending half.
    Close,
    /// The peer's FIN arrived, in order.
    Fin,
    /// Our FIN was acknowledged.
    AckOfFin,
    /// Twice the maximum segment lifetime has passed, or the wait for the peer's FIN was given up.
    Expired,
    /// A reset arrived.
    Reset,
    /// The program aborted the connection.
    Abort,
    /// Nothing came back for too long.
    TimedOut,
    /// The network reported that the peer cannot be reached.
    Unreachable,
}

impl Trigger {
    /// All triggers.
    pub const ALL: [Trigger; 12] = [
        Trigger::ActiveOpen,
        Trigger::Syn,
        Trigger::SynAck,
        Trigger::AckOfSyn,
        Trigger::Close,
        Trigger::Fin,
        Trigger::AckOfFin,
        Trigger::Expired,
        Trigger::Reset,
        Trigger::Abort,
        Trigger::TimedOut,
        Trigger::Unreachable,
    ];

    /// The trigger as the trace prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Trigger::ActiveOpen => "connect",
            Trigger::Syn => "SYN received",
            Trigger::SynAck => "SYN+ACK received",
            Trigger::AckOfSyn => "ACK of SYN received",
            Trigger::Close => "close",
            Trigger::Fin => "FIN received",
            Trigger::AckOfFin => "ACK of FIN received",
            Trigger::Expired => "wait is over",
            Trigger::Reset => "RST received",
            Trigger::Abort => "abort",
            Trigger::TimedOut => "no answer",
            Trigger::Unreachable => "unreachable",
        }
    }
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// State before.
    pub from: State,
    /// What happens.
    pub trigger: Trigger,
    /// State after.
    pub to: State,
    /// What is sent, as in the RFC's figure.
    pub action: &'static str,
}

macro_rules! transitions {
    ($($from:ident, $trigger:ident => $to:ident, $action:literal;)*) => {
        /// Every transition there is.
        pub const TRANSITIONS: &[Transition] = &[$(Transition {
            from: State::$from,
            trigger: Trigger::$trigger,
            to: State::$to,
            action: $action,
        }),*];

        impl State {
            /// The state after `trigger`; `None` when the trigger means nothing in this state.
            pub const fn next(self, trigger: Trigger) -> Option<State> {
                match (self, trigger) {
                    $((State::$from, Trigger::$trigger) => Some(State::$to),)*
                    _ => None,
                }
            }
        }
    };
}

transitions! {
    // RFC 9293 §3.5: opening.
    Closed, ActiveOpen => SynSent, "SYN";
    // The connection that the SYN begins; the listener itself stays in LISTEN.
    Listen, Syn => SynReceived, "SYN,ACK";
    SynSent, SynAck => Established, "ACK";
    SynSent, Syn => SynReceived, "SYN,ACK";
    SynReceived, AckOfSyn => Established, "";
    // RFC 9293 §3.6: closing.
    SynReceived, Close => FinWait1, "FIN";
    Established, Close => FinWait1, "FIN";
    CloseWait, Close => LastAck, "FIN";
    SynReceived, Fin => CloseWait, "ACK";
    Established, Fin => CloseWait, "ACK";
    FinWait1, AckOfFin => FinWait2, "";
    FinWait1, Fin => Closing, "ACK";
    FinWait2, Fin => TimeWait, "ACK";
    Closing, AckOfFin => TimeWait, "";
    LastAck, AckOfFin => Closed, "";
    TimeWait, Expired => Closed, "";
    FinWait2, Expired => Closed, "";
    // RFC 9293 §3.10.5, §3.10.7.4: the ends that are not orderly.
    SynSent, Close => Closed, "";
    SynSent, Reset => Closed, "";
    SynReceived, Reset => Closed, "";
    Established, Reset => Closed, "";
    FinWait1, Reset => Closed, "";
    FinWait2, Reset => Closed, "";
    CloseWait, Reset => Closed, "";
    Closing, Reset => Closed, "";
    LastAck, Reset => Closed, "";
    TimeWait, Reset => Closed, "";
    SynSent, Abort => Closed, "";
    SynReceived, Abort => Closed, "RST";
    Established, Abort => Closed, "RST";
    FinWait1, Abort => Closed, "RST";
    FinWait2, Abort => Closed, "RST";
    CloseWait, Abort => Closed, "RST";
    Closing, Abort => Closed, "";
    LastAck, Abort => Closed, "";
    TimeWait, Abort => Closed, "";
    SynSent, TimedOut => Closed, "";
    SynReceived, TimedOut => Closed, "";
    Established, TimedOut => Closed, "";
    FinWait1, TimedOut => Closed, "";
    CloseWait, TimedOut => Closed, "";
    Closing, TimedOut => Closed, "";
    LastAck, TimedOut => Closed, "";
    FinWait2, TimedOut => Closed, "";
    SynSent, Unreachable => Closed, "";
    SynReceived, Unreachable => Closed, "";
    // A new SYN takes over the pair of end points (RFC 9293 §3.6.1, MAY-2; RFC 6191).
    TimeWait, Syn => Closed, "";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9293 figure 5: every state but LISTEN (which connections never enter) can be reached
    /// and left, and no pair is written twice.
    #[test]
    fn the_table_is_whole() {
        for s in State::ALL.into_iter().filter(|s| *s != State::Listen) {
            assert!(TRANSITIONS.iter().any(|t| t.to == s), "{s:?} cannot be reached");
            assert!(TRANSITIONS.iter().any(|t| t.from == s), "{s:?} cannot be left");
        }
        for (i, a) in TRANSITIONS.iter().enumerate() {
            for b in &TRANSITIONS[i + 1..] {
                assert!((a.from, a.trigger) != (b.from, b.trigger), "{a:?} is written twice");
            }
        }
    }

    #[test]
    fn all_pairs_agree_with_the_table() {
        for s in State::ALL {
            for t in Trigger::ALL {
                let line = TRANSITIONS.iter().find(|l| l.from == s && l.trigger == t);
                assert_eq!(s.next(t), line.map(|l| l.to));
            }
        }
    }

    /// An abort and a reset end every state that has a connection.
    #[test]
    fn every_connection_can_be_ended() {
        for s in State::ALL.into_iter().filter(|s| !matches!(s, State::Closed | State::Listen)) {
            assert_eq!(s.next(Trigger::Abort), Some(State::Closed), "{s:?}");
            assert_eq!(s.next(Trigger::Reset), Some(State::Closed), "{s:?}");
        }
    }
}
