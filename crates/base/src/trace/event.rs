//! The schema of trace events. One macro invocation is the single source of the Rust type, the
//! JSON form ([`Event::fields`]) and the documentation ([`SCHEMA`]).

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::id::{IfIndex, LinkEnd, LinkId, Pid, SocketId};
use crate::time::Instant;

use super::reason::DropReason;

/// A shared, immutable text (a command line, a rule, a URL).
pub type Text = Arc<str>;

/// The kinds of [`Event::Retransmission`]: its timer fired; after that, as acknowledgements come in;
/// others were reported as received; a probe of the tail; the path takes less; the peer's SYN came
/// again.
pub const RETRANSMISSION_KINDS: &[&str] =
    &["rto", "slow-start", "fast", "tail loss probe", "path MTU", "syn"];

/// The reasons of [`Event::Congestion`]: growth, loss, errors taken back, and others.
pub const CONGESTION_REASONS: &[&str] = &[
    "slow-start",
    "careful slow-start",
    "hystart careful",
    "hystart resume",
    "hystart exit",
    "cubic",
    "avoidance",
    "fast retransmit",
    "prr",
    "recovered",
    "timeout",
    "probe repaired a loss",
    "lost SYNs",
    "ECN echo",
    "reduced",
    "undone",
    "undone by duplicates",
    "spurious timeout",
    "idle",
    "unused",
    "path MTU",
];

/// A field's value on its way into JSON or prose.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An unsigned number.
    U64(u64),
    /// A signed number.
    I64(i64),
    /// A text.
    Str(String),
    /// A link; printed by its name.
    Link(LinkId),
    /// Absent.
    None,
}

macro_rules! values {
    ($($ty:ty => |$v:ident| $e:expr;)*) => {$(
        impl From<&$ty> for Value {
            fn from($v: &$ty) -> Value { $e }
        }
    )*};
}

values! {
    u8 => |v| Value::U64((*v).into());
    u16 => |v| Value::U64((*v).into());
    u32 => |v| Value::U64((*v).into());
    u64 => |v| Value::U64(*v);
    i32 => |v| Value::I64((*v).into());
    &'static str => |v| Value::Str((*v).to_owned());
    Text => |v| Value::Str(v.as_ref().to_owned());
    IpAddr => |v| Value::Str(v.to_string());
    SocketAddr => |v| Value::Str(v.to_string());
    Option<IpAddr> => |v| v.map_or(Value::None, |a| Value::Str(a.to_string()));
    LinkId => |v| Value::Link(*v);
    LinkEnd => |v| Value::Str(match v { LinkEnd::A => "a", LinkEnd::B => "b" }.to_owned());
    IfIndex => |v| Value::U64(v.0.into());
    Pid => |v| Value::U64(v.0.into());
    SocketId => |v| Value::Str(format!("{}.{}", v.index, v.generation));
    Instant => |v| Value::U64(v.as_nanos());
    DropReason => |v| Value::Str(v.name().to_owned());
}

/// The documentation of one kind of event.
#[derive(Clone, Copy, Debug)]
pub struct EventDoc {
    /// Its name in JSON, predicates and filters.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// Its fields.
    pub fields: &'static [FieldDoc],
}

/// The documentation of one field.
#[derive(Clone, Copy, Debug)]
pub struct FieldDoc {
    /// Its name.
    pub name: &'static str,
    /// Its Rust type.
    pub ty: &'static str,
    /// What it means, with its unit.
    pub doc: &'static str,
}

/// A field's value as it stands in the event, to compare with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldRef<'a> {
    /// A number.
    Number(i128),
    /// A text.
    Text(&'a str),
    /// An address.
    Address(IpAddr),
    /// An address and a port.
    Endpoint(SocketAddr),
    /// A link; known by its name.
    Link(LinkId),
    /// A socket.
    Socket(SocketId),
    /// A point in virtual time.
    Time(Instant),
    /// Absent.
    None,
}

macro_rules! refs {
    ($($ty:ty => |$v:ident| $e:expr;)*) => {$(
        impl<'a> From<&'a $ty> for FieldRef<'a> {
            fn from($v: &'a $ty) -> FieldRef<'a> { $e }
        }
    )*};
}

refs! {
    u8 => |v| FieldRef::Number((*v).into());
    u16 => |v| FieldRef::Number((*v).into());
    u32 => |v| FieldRef::Number((*v).into());
    u64 => |v| FieldRef::Number((*v).into());
    i32 => |v| FieldRef::Number((*v).into());
    &'static str => |v| FieldRef::Text(v);
    Text => |v| FieldRef::Text(v);
    IpAddr => |v| FieldRef::Address(*v);
    SocketAddr => |v| FieldRef::Endpoint(*v);
    Option<IpAddr> => |v| v.map_or(FieldRef::None, FieldRef::Address);
    LinkId => |v| FieldRef::Link(*v);
    LinkEnd => |v| FieldRef::Text(match v { LinkEnd::A => "a", LinkEnd::B => "b" });
    IfIndex => |v| FieldRef::Number(v.0.into());
    Pid => |v| FieldRef::Number(v.0.into());
    SocketId => |v| FieldRef::Socket(*v);
    Instant => |v| FieldRef::Time(*v);
    DropReason => |v| FieldRef::Text(v.name());
}

macro_rules! events {
    ($(
        $(#[doc = $doc:literal])*
        $variant:ident = $name:literal {
            $($(#[doc = $fdoc:literal])* $field:ident: $ty:ty,)*
        }
    )*) => {
        /// Something that happened.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Event {
            $($(#[doc = $doc])* $variant { $($(#[doc = $fdoc])* $field: $ty,)* },)*
        }

        impl Event {
            /// The event's name in JSON, predicates and filters.
            pub fn name(&self) -> &'static str {
                match self { $(Event::$variant { .. } => $name,)* }
            }

            /// The field of this name, if this kind of event has it.
            pub fn field(&self, name: &str) -> Option<FieldRef<'_>> {
                match self {
                    $(Event::$variant { $($field,)* } => {
                        $(if name == stringify!($field) {
                            return Some(FieldRef::from($field));
                        })*
                    })*
                }
                None
            }

            /// Calls `f` with each field's name and value, in the order of the schema.
            pub fn fields(&self, f: &mut dyn FnMut(&'static str, Value)) {
                match self {
                    $(Event::$variant { $($field,)* } => {
                        $(f(stringify!($field), Value::from($field));)*
                    })*
                }
            }
        }

        /// Every kind of event, documented.
        pub const SCHEMA: &[EventDoc] = &[$(
            EventDoc {
                name: $name,
                doc: concat!($($doc),*),
                fields: &[$(FieldDoc {
                    name: stringify!($field),
                    ty: stringify!($ty),
                    doc: concat!($($fdoc),*),
                },)*],
            },
        )*];
    };
}

events! {
    /// The world began.
    WorldStarted = "world.started" {
        /// The seed of all chance.
        seed: u64,
    }
    /// The operator, or the lab file's schedule, asked for something.
    Command = "command" {
        /// The command in the words of the command line.
        text: Text,
    }
    /// Something arrived from outside the world: bytes of a real connection, credit, program input.
    Input = "input" {
        /// What kind of input.
        kind: &'static str,
        /// The outside connection or session it belongs to.
        port: u64,
        /// How many bytes it carries or grants.
        bytes: u64,
    }
    /// A program was started on a host.
    ProcessStarted = "process.started" {
        /// Its process id.
        pid: Pid,
        /// Its command line.
        command: Text,
    }
    /// A program ended.
    ProcessExited = "process.exited" {
        /// Its process id.
        pid: Pid,
        /// Its exit code; 128 + signal number when it was killed.
        code: i32,
    }
    /// A program's timer fired or another of its own waits ended.
    ProcessWoken = "process.woken" {
        /// Its process id.
        pid: Pid,
        /// What woke it.
        by: &'static str,
    }
    /// A program called into the socket layer.
    Call = "call" {
        /// Its process id; 0 for the world's own calls.
        pid: Pid,
        /// The call: connect, listen, accept, send, recv, shutdown, close…
        call: &'static str,
        /// The socket.
        socket: SocketId,
        /// Bytes handed over or received.
        bytes: u64,
    }
    /// A TCP segment was built.
    SegmentBuilt = "tcp.segment" {
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// Flag bits as in the header, FIN = 1 … CWR = 128.
        flags: u16,
        /// Payload bytes.
        len: u32,
        /// Window as it stands in the header, unscaled.
        window: u16,
        /// Which of the reasons to send asked for it.
        reason: &'static str,
    }
    /// A packet other than a TCP segment was built.
    PacketBuilt = "packet.built" {
        /// Its protocol: udp, icmp…
        protocol: &'static str,
        /// What it is: datagram, echo-request, port-unreachable…
        kind: &'static str,
        /// Payload bytes.
        len: u32,
    }
    /// A frame was handed to a link. From here on the link has it: when it must wait in the link's
    /// queue, `frame.queued` stands before this event, at the same time, and no event tells when
    /// its first bit leaves.
    FrameSent = "frame.sent" {
        /// The link.
        link: LinkId,
        /// The end it entered.
        end: LinkEnd,
        /// Bytes from the destination MAC to the end of the payload.
        len: u32,
    }
    /// A frame that is being handed to a link has to wait in its queue, because earlier frames are
    /// still being sent. Its `frame.sent` follows at the same time.
    FrameQueued = "frame.queued" {
        /// The link.
        link: LinkId,
        /// The end it waits at.
        end: LinkEnd,
        /// Frames in the queue, this one included.
        depth: u32,
    }
    /// A link does to a frame under way what its settings ask. It stands behind the frame's
    /// `frame.sent`.
    FrameFault = "frame.fault" {
        /// The link.
        link: LinkId,
        /// The end the frame entered.
        end: LinkEnd,
        /// duplicated: a copy arrives, too; reordered: it takes longer, and later frames overtake
        /// it; corrupted: one of its bits is turned over.
        fault: &'static str,
        /// reordered: by how many nanoseconds it is late; corrupted: which bit, from 0, the first
        /// of the destination MAC; duplicated: which copy, 1.
        amount: u64,
    }
    /// A frame arrived at the far end of a link.
    FrameDelivered = "frame.delivered" {
        /// The link.
        link: LinkId,
        /// The end it arrived at.
        end: LinkEnd,
        /// Bytes from the destination MAC to the end of the payload.
        len: u32,
    }
    /// A frame or packet ended here.
    Dropped = "drop" {
        /// Why.
        reason: DropReason,
        /// Bytes from the destination MAC to the end of the payload.
        len: u32,
    }
    /// A packet was cut, because it is longer than the way allows.
    Fragmented = "ip.fragmented" {
        /// How many fragments it became.
        fragments: u32,
        /// The longest packet that the interface takes, bytes.
        mtu: u32,
    }
    /// The last missing fragment of a packet arrived: it is whole.
    Reassembled = "ip.reassembled" {
        /// How many fragments it was.
        fragments: u32,
        /// Bytes of the whole packet, its IP header included.
        len: u32,
    }
    /// An interface went into promiscuous mode or came out of it: from now on programs that listen
    /// on it see frames for others, too, or no longer do.
    InterfaceMode = "iface.mode" {
        /// promiscuous, normal.
        mode: &'static str,
    }
    /// A step of address resolution.
    Arp = "arp" {
        /// request, reply, learned, stale, probe, failed…
        step: &'static str,
        /// The address in question.
        address: IpAddr,
    }
    /// A route was chosen for a packet.
    RouteChosen = "route" {
        /// Destination of the packet.
        destination: IpAddr,
        /// Next hop; none when the destination is on the link.
        via: Option<IpAddr>,
        /// Interface it leaves by.
        iface: IfIndex,
    }
    /// A firewall rule, or a chain's default, decided about a packet.
    RuleMatched = "rule" {
        /// input, output or forward.
        hook: &'static str,
        /// The rule as written, or «default».
        rule: Text,
        /// accept, drop or reject.
        verdict: &'static str,
    }
    /// Connection tracking took note of a flow or changed its state.
    Tracked = "conntrack" {
        /// new, established, closing, expired…
        state: &'static str,
    }
    /// Network address translation rewrote a packet.
    Translated = "nat" {
        /// source or destination.
        side: &'static str,
        /// Address and port before.
        before: SocketAddr,
        /// Address and port after.
        after: SocketAddr,
    }
    /// A TCP connection changed its state.
    TcpState = "tcp.state" {
        /// The connection's socket.
        socket: SocketId,
        /// State before, as RFC 9293 names it.
        from: &'static str,
        /// State after.
        to: &'static str,
        /// What made it change.
        trigger: &'static str,
    }
    /// A timer of a TCP connection was set, or a running one moved.
    TimerSet = "timer.set" {
        /// Which timer.
        timer: &'static str,
        /// When it is due.
        due: Instant,
    }
    /// A timer of a TCP connection was stopped before it was due.
    TimerCancelled = "timer.cancelled" {
        /// Which timer.
        timer: &'static str,
    }
    /// A timer fired.
    TimerFired = "timer.fired" {
        /// Which timer.
        timer: &'static str,
    }
    /// Data that was sent before is sent again.
    Retransmission = "tcp.retransmission" {
        /// Why: `rto` (its timer fired), `slow-start` (after that, as acknowledgements come in),
        /// `fast` (others were reported as received), `tail loss probe`, `path MTU`, `syn` (the
        /// peer's SYN came again).
        kind: &'static str,
        /// First sequence number sent again.
        seq: u32,
        /// Bytes sent again.
        len: u32,
        /// When it was last sent, in nanoseconds of virtual time.
        since: Instant,
    }
    /// The congestion window changed.
    Congestion = "tcp.congestion" {
        /// New congestion window, bytes.
        cwnd: u32,
        /// Slow-start threshold, bytes; 4294967295 as long as there is none.
        ssthresh: u32,
        /// Bytes sent and taken to be under way: neither acknowledged, nor reported as received, nor
        /// lost.
        inflight: u32,
        /// Smoothed round-trip time, microseconds; 0 before the first measurement.
        srtt: u32,
        /// Its mean deviation, microseconds (RFC 6298 §2).
        rttvar: u32,
        /// Why. Growth: `slow-start`, `careful slow-start`, `hystart careful`, `hystart resume`,
        /// `hystart exit`, `cubic`, `avoidance` (Reno's). Loss: `fast retransmit`, `prr`,
        /// `recovered`, `timeout`, `probe repaired a loss`, `lost SYNs`, `ECN echo`, `reduced`.
        /// Errors taken back: `undone`, `undone by duplicates`, `spurious timeout`. Besides:
        /// `idle`, `unused`, `path MTU`.
        reason: &'static str,
    }
    /// A receive or send window changed in a way that matters.
    Window = "tcp.window" {
        /// New window, bytes.
        window: u32,
        /// `closed` (no byte fits any more) or `opened`.
        reason: &'static str,
    }
    /// An HTTP request was read by a server or sent by a client.
    HttpRequest = "http.request" {
        /// Its method.
        method: Text,
        /// Its target as written.
        target: Text,
    }
    /// An HTTP response was sent by a server or read by a client.
    HttpResponse = "http.response" {
        /// Its status code.
        status: u16,
        /// Bytes of the body, as far as known.
        bytes: u64,
    }
    /// A DNS query was sent or taken in (RFC 1035 §4.1.1).
    DnsQuery = "dns.query" {
        /// sent: to a server; received: from a client.
        side: &'static str,
        /// The name asked for.
        name: Text,
        /// The type of record asked for: A, NS, PTR…
        kind: Text,
        /// The query's id.
        id: u16,
        /// The other side.
        peer: IpAddr,
    }
    /// A DNS response was sent or taken in.
    DnsResponse = "dns.response" {
        /// sent: to a client; received: from a server.
        side: &'static str,
        /// The name that was asked for.
        name: Text,
        /// The type of record that was asked for.
        kind: Text,
        /// The response code: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED…
        rcode: u16,
        /// Records in the answer section.
        answers: u16,
        /// The other side.
        peer: IpAddr,
    }
    /// A resolver took a step towards an answer.
    DnsStep = "dns.step" {
        /// cached, coalesced, referral, alias, answer, nxdomain, nodata, timeout, lame, rejected,
        /// truncated, limit, servfail…
        step: &'static str,
        /// The name that it is about.
        name: Text,
        /// In words: which server, which zone, what was wrong.
        detail: Text,
    }
    /// The switch learned, moved or forgot a MAC address.
    SwitchTable = "switch" {
        /// learned, moved, aged, full.
        step: &'static str,
        /// The port's number.
        port: IfIndex,
    }
    /// Something was said to be wrong that is nobody's packet: a limit hit, an endless loop stopped.
    Note = "note" {
        /// What.
        text: Text,
    }
}
