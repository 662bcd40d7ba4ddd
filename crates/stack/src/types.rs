//! The words of the socket layer and of one host's tables.

use core::net::{IpAddr, SocketAddr};

use bitflags::bitflags;
use netarium_base::{Cause, IfIndex, Instant, NodeId, Pid, Seed, SocketId};
use netarium_wire::icmp::kind;
use netarium_wire::{Cidr, Mac};

/// What a host is made of before it has interfaces.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The host's id in its world.
    pub node: NodeId,
    /// The host's name; its chance (initial sequence numbers, ports, ids) derives from it.
    pub name: String,
    /// The world's seed.
    pub seed: Seed,
    /// Whether packets for others are forwarded: a router.
    pub forwarding: bool,
}

/// An interface of a host.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its number, from 1; 1 is `lo`.
    pub index: IfIndex,
    /// Its name: `lo`, `eth0`…
    pub name: String,
    /// Its MAC address; zero on `lo`.
    pub mac: Mac,
    /// The largest IP packet it carries, bytes.
    pub mtu: u16,
    /// Its addresses, each with the prefix of its network.
    pub addresses: Vec<Cidr>,
    /// Whether it sends and receives.
    pub up: bool,
    /// How many packet sockets have put it into promiscuous mode.
    pub promiscuous: u16,
    /// What passed through it.
    pub counters: IfCounters,
}

/// How long an address is good that was given for a time only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Until when it may be used; then it is taken away.
    pub valid_until: Instant,
    /// Until when new connections should use it.
    pub preferred_until: Instant,
}

/// How a packet's source is compared with the way back to it (RFC 3704, Linux' `rp_filter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReversePath {
    /// Not at all.
    #[default]
    Off,
    /// The way back must lead out by the interface that the packet came in by.
    Strict,
    /// There must be a way back, whichever.
    Loose,
}

/// Counters of an interface. Bytes count whole frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IfCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Received frames dropped before IP looked at them.
    pub rx_dropped: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames that could not be sent.
    pub tx_dropped: u64,
}

/// An entry of the routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which destinations.
    pub to: Cidr,
    /// The next hop; none when they are on the link.
    pub via: Option<IpAddr>,
    /// The interface that leads there.
    pub iface: IfIndex,
    /// Lower wins among routes of the same prefix length.
    pub metric: u32,
    /// Preferred source address.
    pub source: Option<IpAddr>,
}

bitflags! {
    /// What a socket is ready for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct Readiness: u8 {
        /// `recv` or `accept` would not block: data, end of stream, a connection or an error.
        const READABLE = 1;
        /// `send` would not block, or a `connect` has ended.
        const WRITABLE = 2;
        /// An error waits to be taken.
        const ERROR = 4;
        /// The peer has closed and so have we, or the connection is gone.
        const HANGUP = 8;
        /// An urgent byte waits (POLLPRI).
        const PRIORITY = 16;
    }
}

/// A socket became ready.
#[derive(Clone, Copy, Debug)]
pub struct SocketEvent {
    /// The socket.
    pub socket: SocketId,
    /// Everything it is ready for now.
    pub readiness: Readiness,
    /// The event that made it so.
    pub cause: Cause,
}

/// The kinds of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketKind {
    /// A byte stream.
    Tcp,
    /// Datagrams.
    Udp,
    /// ICMP echo, as Linux' unprivileged `IPPROTO_ICMP` datagram sockets. The port is the echo
    /// identifier; data starts with the sequence number, two bytes in network order.
    Ping,
    /// Every frame of an interface: see [`packet`](crate::packet).
    Packet,
}

/// Which half of a connection to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// No more receiving.
    Read,
    /// No more sending: a FIN follows the data.
    Write,
    /// Both.
    Both,
}

/// Where a datagram came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvMeta {
    /// Address and port of the sender (for `Ping` the echo identifier).
    pub from: SocketAddr,
    /// The address it was sent to.
    pub to: IpAddr,
    /// The time to live it arrived with.
    pub ttl: u8,
    /// Its arrival: what a program does about this datagram is caused by it, also when several
    /// waited.
    pub cause: Cause,
}

/// An ICMP error that concerns a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// Who reported it.
    pub from: IpAddr,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Sequence number of the echo request it is about; 0 for other sockets.
    pub seq: u16,
    /// «Fragmentation needed»: the MTU of the hop that was too small, bytes.
    pub mtu: Option<u16>,
}

/// A row of `netstat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketInfo {
    /// The socket. For half-open and TIME_WAIT connections, which no program holds, an id of
    /// their own that no call accepts.
    pub id: SocketId,
    /// Its kind.
    pub kind: SocketKind,
    /// The process that holds it; 0 when none does.
    pub pid: Pid,
    /// Local address; unspecified when bound to every address.
    pub local: SocketAddr,
    /// The peer, once there is one.
    pub remote: Option<SocketAddr>,
    /// Linux' name of the state (`LISTEN`, `ESTABLISHED`, `FIN_WAIT1`…); empty for datagrams.
    pub state: &'static str,
    /// Bytes that wait for `recv`; for a listener, connections that wait for `accept`.
    pub recv_queue: u32,
    /// Bytes not yet acknowledged; for a listener, the backlog.
    pub send_queue: u32,
    /// The timer that runs, and when it is due.
    pub timer: Option<(&'static str, Instant)>,
}

/// How far the resolution of a neighbour has come (RFC 4861 §7.3.2, which Linux uses for ARP too).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Asked, not yet answered.
    Incomplete,
    /// Confirmed lately.
    Reachable,
    /// Known, but not confirmed lately.
    Stale,
    /// In use while stale; a probe follows unless something confirms it.
    Delay,
    /// Probes are being sent.
    Probe,
    /// Nobody answered.
    Failed,
}

/// A row of `ip neigh` or `arp -a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourInfo {
    /// The neighbour's address.
    pub address: IpAddr,
    /// Its MAC address, when known.
    pub mac: Option<Mac>,
    /// The interface it is on.
    pub iface: IfIndex,
    /// How far its resolution has come.
    pub state: NeighbourState,
}

/// How TCP repaired losses, by what set it off; the names are those of Linux' `TcpExt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// TCPFastRetrans: segments sent again because later ones were reported as received.
    pub fast: u64,
    /// TCPSlowStartRetrans: segments sent again after a time-out, as acknowledgements came in.
    pub slow_start: u64,
    /// TCPTimeouts: retransmission timers that fired, of SYNs too.
    pub timeouts: u64,
    /// TCPLossProbes: probes of the tail, with old data or new (RFC 8985 §7).
    pub probes: u64,
    /// TCPSynRetrans: SYNs sent again.
    pub syn: u64,
}

impl Repairs {
    /// Adds what another has counted, and leaves it at nothing.
    pub(crate) fn take(&mut self, other: &mut Repairs) {
        let more = std::mem::take(other);
        self.fast += more.fast;
        self.slow_start += more.slow_start;
        self.timeouts += more.timeouts;
        self.probes += more.probes;
        self.syn += more.syn;
    }
}

/// Counters of a host in the words of SNMP (RFC 4293, 4022, 4113), as `netstat -s` prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackStats {
    /// IP packets received.
    pub ip_in_receives: u64,
    /// IP packets handed to a protocol of this host.
    pub ip_in_delivers: u64,
    /// IP packets forwarded.
    pub ip_forwarded: u64,
    /// IP packets made here.
    pub ip_out_requests: u64,
    /// IP packets without a route.
    pub ip_out_no_routes: u64,
    /// IP packets received with a malformed header or bad checksum.
    pub ip_in_errors: u64,
    /// Fragments received that were to be put together.
    pub ip_reasm_reqds: u64,
    /// Packets put together.
    pub ip_reasm_oks: u64,
    /// Fragments and packets that could not be put together.
    pub ip_reasm_fails: u64,
    /// Packets given up because their fragments did not come in time.
    pub ip_reasm_timeouts: u64,
    /// Packets cut into fragments.
    pub ip_frag_oks: u64,
    /// Packets that were too long and could not be cut.
    pub ip_frag_fails: u64,
    /// Fragments made.
    pub ip_frag_creates: u64,
    /// ICMP messages received.
    pub icmp_in: u64,
    /// ICMP messages sent.
    pub icmp_out: u64,
    /// ICMP messages received, by the kinds of [`ICMP_KINDS`](StackStats::ICMP_KINDS).
    pub icmp_in_kinds: [u32; 6],
    /// ICMP messages sent, by the same kinds.
    pub icmp_out_kinds: [u32; 6],
    /// ICMP messages held back by the rate limit.
    pub icmp_rate_limited: u64,
    /// Connections opened by `connect`.
    pub tcp_active_opens: u64,
    /// Connections opened by a peer.
    pub tcp_passive_opens: u64,
    /// Attempts that failed.
    pub tcp_attempt_fails: u64,
    /// Connections that ended by a reset.
    pub tcp_estab_resets: u64,
    /// Segments received.
    pub tcp_in_segments: u64,
    /// Segments sent, without retransmissions.
    pub tcp_out_segments: u64,
    /// Segments retransmitted.
    pub tcp_retransmits: u64,
    /// What repaired losses, and how often.
    pub tcp_repairs: Repairs,
    /// Segments with errors.
    pub tcp_in_errors: u64,
    /// Segments sent with RST.
    pub tcp_out_resets: u64,
    /// SYNs dropped because a listener's queues were full.
    pub tcp_listen_drops: u64,
    /// SYNs and handshakes dropped because a listener's accept queue was full.
    pub tcp_listen_overflows: u64,
    /// SYN cookies sent.
    pub tcp_cookies_sent: u64,
    /// SYN cookies that came back.
    pub tcp_cookies_received: u64,
    /// ACKs for a listener that carried no cookie of ours, while cookies were in use.
    pub tcp_cookies_failed: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub tcp_challenge_acks: u64,
    /// Challenge ACKs that the host's limit held back.
    pub tcp_challenges_limited: u64,
    /// Transitions asked for that the table does not have: defects, each also a note in the trace.
    pub tcp_bad_transitions: u64,
    /// Connections ended at `close` because too many were closing or in TIME-WAIT already.
    pub tcp_orphan_drops: u64,
    /// Datagrams received.
    pub udp_in: u64,
    /// Datagrams sent.
    pub udp_out: u64,
    /// Datagrams for a port without a socket.
    pub udp_no_ports: u64,
    /// Datagrams dropped because a socket's buffer was full.
    pub udp_in_errors: u64,
}

impl StackStats {
    /// The kinds of ICMP messages that are counted one by one (RFC 792), smallest first.
    pub const ICMP_KINDS: [u8; 6] = [
        kind::ECHO_REPLY,
        kind::UNREACHABLE,
        kind::REDIRECT,
        kind::ECHO_REQUEST,
        kind::TIME_EXCEEDED,
        kind::PARAMETER_PROBLEM,
    ];

    pub(crate) fn count_icmp_in(&mut self, of: u8) {
        if let Some(at) = Self::ICMP_KINDS.iter().position(|k| *k == of) {
            self.icmp_in_kinds[at] = self.icmp_in_kinds[at].saturating_add(1);
        }
    }

    pub(crate) fn count_icmp_out(&mut self, of: Option<u8>) {
        self.icmp_out += 1;
        if let Some(at) = Self::ICMP_KINDS.iter().position(|k| Some(*k) == of) {
            self.icmp_out_kinds[at] = self.icmp_out_kinds[at].saturating_add(1);
        }
    }
}
