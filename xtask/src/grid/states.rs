//! The states of RFC 9293 §3.3.2, how a script reaches each, and the variables there.
//!
//! The peer's sequence numbers start at 100000, ours at 0 as scripts count. No option but the MSS
//! is in use, so that windows are as they are on the wire.

/// A state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

/// The variables of RFC 9293 §3.3.1 in a state, in the script's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variables {
    pub(super) snd_una: u32,
    pub(super) snd_nxt: u32,
    pub(super) rcv_nxt: u32,
    pub(super) rcv_wnd: u32,
}

/// The initial sequence number of the peer.
pub(super) const IRS: u32 = 100_000;
/// The window that the host offers in its SYN, and keeps without data: the prefixes check it.
const WINDOW: u32 = 64_240;
/// The window of the peer (MAX.SND.WND of RFC 5961 §5.2).
pub(super) const PEER_WINDOW: u32 = 32_767;

const LISTEN: &str = "\
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0
+0 bind(3, ..., ...) = 0
+0 listen(3, 5) = 0
";
const SYN: &str = "\
+0 < S 100000:100000(0) win 32767 <mss 1460>
+0 > S. 0:0(0) ack 100001 win 64240 <mss 1460>
";
const ACCEPT: &str = "\
+.1 < . 100001:100001(0) ack 1 win 32767
+0 accept(3, ..., ...) = 4
+0 close(3) = 0
";
const SHUTDOWN: &str = "\
+.01 shutdown(4, SHUT_WR) = 0
+0 > F. 1:1(0) ack 100001
";
const FIN_ACKED: &str = "+.01 < . 100001:100001(0) ack 2 win 32767\n";
const FIN: &str = "\
+.01 < F. 100001:100001(0) ack 1 win 32767
+0 > . 1:1(0) ack 100002
";

impl State {
    pub(super) const ALL: [State; 11] = [
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

    /// Its name in RFC 9293.
    pub(super) fn name(self) -> &'static str {
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

    /// Its name as a folder.
    pub(super) fn folder(self) -> String {
        self.name().to_lowercase()
    }

    /// Its name for `tcpi_state`, where a program can still ask.
    pub(super) fn tcp_info(self) -> Option<&'static str> {
        match self {
            State::Established => Some("TCP_ESTABLISHED"),
            State::FinWait1 => Some("TCP_FIN_WAIT1"),
            State::FinWait2 => Some("TCP_FIN_WAIT2"),
            State::CloseWait => Some("TCP_CLOSE_WAIT"),
            State::Closing => Some("TCP_CLOSING"),
            State::LastAck => Some("TCP_LAST_ACK"),
            _ => None,
        }
    }

    /// The events that lead to it.
    pub(super) fn prefix(self) -> String {
        let parts: &[&str] = match self {
            // A port that nobody listens on.
            State::Closed => {
                &["0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n", "+0 bind(3, ..., ...) = 0\n"]
            }
            State::Listen => &[LISTEN],
            State::SynSent => &[
                "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n",
                "+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n",
                "+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)\n",
                "+0 > S 0:0(0) win 64240 <...>\n",
            ],
            State::SynReceived => &[LISTEN, SYN],
            State::Established => &[LISTEN, SYN, ACCEPT],
            State::FinWait1 => &[LISTEN, SYN, ACCEPT, SHUTDOWN],
            State::FinWait2 => &[LISTEN, SYN, ACCEPT, SHUTDOWN, FIN_ACKED],
            State::CloseWait => &[LISTEN, SYN, ACCEPT, FIN],
            State::Closing => &[
                LISTEN,
                SYN,
                ACCEPT,
                SHUTDOWN,
                "+.01 < F. 100001:100001(0) ack 1 win 32767\n",
                "+0 > . 2:2(0) ack 100002\n",
            ],
            State::LastAck => &[
                LISTEN,
                SYN,
                ACCEPT,
                FIN,
                "+.01 shutdown(4, SHUT_WR) = 0\n",
                "+0 > F. 1:1(0) ack 100002\n",
            ],
            State::TimeWait => &[
                LISTEN,
                SYN,
                ACCEPT,
                SHUTDOWN,
                FIN_ACKED,
                "+.01 < F. 100001:100001(0) ack 2 win 32767\n",
                "+0 > . 2:2(0) ack 100002\n",
            ],
        };
        parts.concat()
    }

    /// The variables there; those that do not exist yet are 0.
    pub(super) fn variables(self) -> Variables {
        let (snd_una, snd_nxt, received) = match self {
            State::Closed | State::Listen => (0, 0, 0),
            State::SynSent => (0, 1, 0),
            State::SynReceived => (0, 1, 1),
            State::Established => (1, 1, 1),
            State::FinWait1 => (1, 2, 1),
            State::FinWait2 => (2, 2, 1),
            State::CloseWait => (1, 1, 2),
            State::Closing | State::LastAck => (1, 2, 2),
            State::TimeWait => (2, 2, 2),
        };
        let rcv_nxt = if received == 0 { IRS } else { IRS + received };
        Variables { snd_una, snd_nxt, rcv_nxt, rcv_wnd: WINDOW }
    }

    /// Both ends have synchronized their numbers (RFC 9293 §3.5.2), SYN-RECEIVED included.
    pub(super) fn has_numbers(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent)
    }

    /// The peer's FIN was received.
    pub(super) fn has_fin(self) -> bool {
        matches!(self, State::CloseWait | State::Closing | State::LastAck | State::TimeWait)
    }
}
