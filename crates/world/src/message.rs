//! What crosses a world's border: [`Input`] in, [`Output`] out, and nothing else.
//!
//! Outside connections and sessions are *message ports*. Both directions are bounded by credit: a
//! side may send at most as many bytes as the other side has granted. Who sends more is reset.
//!
//! The life of a connection: `Open`, then [`Output::Accepted`] with the first credit, or
//! [`Output::Reset`] with the reason. `Data` and `Credit` flow both ways; [`Output::Credit`] grants
//! again what the lab's socket took. The port ends with `Eof` in both directions, or with `Reset`
//! from either. The life of a session: `Exec`, then [`Output::Accepted`], `Data` and `Credit`, and
//! at the end [`Output::Exit`]. Messages to a port that has ended are ignored: they were under way
//! when it ended. A port that cannot be opened is answered by [`Output::Reset`], whatever it was to
//! become, so that whoever waits for it learns why.
//!
//! Datagrams: `OpenUdp` makes a port of one real client's datagrams, `Accepted` grants credit as for
//! connections, and each [`Input::Datagram`] and [`Output::Datagram`] costs [`datagram_cost`] of it.
//! What the lab has no credit for stays in its socket's buffer, where there is room for it, as at any
//! socket that nobody reads. `Reset` from the outside ends such a port; there is no `Eof`.
//!
//! The other way round: a lab program asks for a connection to a real server
//! ([`Process::outside`](crate::process::Process::outside)) by [`Output::Open`], with a port from
//! [`LAB_PORTS`] on. The outside answers by [`Input::Accepted`] with the first credit or by
//! [`Input::Refused`]; from then on it is a connection like any other. Whether it may be, the
//! outside decides.
//!
//! [`Input::Client`] says which address of the gateway's network a real client has from now on.
//!
//! An operator's [`Command`] belongs to no port; [`World::command`](crate::World::command) answers
//! it. One that cannot be obeyed changes nothing and is noted in the trace.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use crate::edit::{Directions, ForwardPort, InboundRule, LinkChange};
use crate::switch::MirrorSpec;

/// An outside connection or session. Who opens it chooses it, and never uses it twice in one world.
/// The outside chooses below [`LAB_PORTS`].
pub type PortId = u64;

/// Ports from here on are the lab's: the world opens connections to the outside by itself (a lab
/// host's port that continues to a real server) and both sides must choose without asking each other. An `Open` or `Exec` from outside with such a port is answered by [`Output::Reset`].
pub const LAB_PORTS: PortId = 1 << 63;

/// The most bytes that one [`Output::Data`] carries.
pub const DATA_MAX: usize = 256 * 1024;
/// The credit that [`Output::Accepted`] grants a connection, bytes.
pub const CONNECTION_CREDIT: u32 = 256 * 1024;
/// The credit that [`Output::Accepted`] grants a session's standard input, bytes.
pub const STDIN_CREDIT: u32 = 64 * 1024;
/// The most credit a port keeps, bytes; grants beyond it are cut.
pub const CREDIT_MAX: u32 = 64 * 1024 * 1024;

/// The longest UDP payload (RFC 768: 65,535 less the header, in an IPv4 packet), bytes.
pub const DATAGRAM_MAX: usize = 65_507;
/// The credit that [`Output::Accepted`] grants a port of datagrams.
pub const DATAGRAM_CREDIT: u32 = 256 * 1024;

/// How much credit a datagram of `len` bytes costs: empty ones are not free.
pub const fn datagram_cost(len: usize) -> u32 {
    len as u32 + 64
}

/// Everything that can influence a running world. Applied between events, stamped with the world's
/// now, and journalled in the order applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A real client connected to a published port, or asks for a connection through the proxy.
    Open {
        /// The new port.
        port: PortId,
        /// A label of the real client: `127.0.0.1:51234`.
        client: String,
        /// The host that opens the connection; the gateway when not given.
        from: Option<String>,
        /// Which address of that host it comes from, instead of the one that its routes choose; the
        /// connection is reset when the host has no such address.
        source: Option<IpAddr>,
        /// Where to.
        to: Target,
    },
    /// A real client sent its first datagram to a published UDP port.
    OpenUdp {
        /// The new port.
        port: PortId,
        /// A label of the real client: `127.0.0.1:51234`.
        client: String,
        /// The host that the datagrams come from; the gateway when not given.
        from: Option<String>,
        /// Which address of that host they come from, instead of the one that its routes choose.
        source: Option<IpAddr>,
        /// Where to.
        to: Target,
    },
    /// A datagram of at most [`DATAGRAM_MAX`] bytes.
    Datagram {
        /// The port.
        port: PortId,
        /// What it carries.
        bytes: Vec<u8>,
    },
    /// The real server that the lab asked for by [`Output::Open`] is connected.
    Accepted {
        /// The port.
        port: PortId,
        /// How many bytes it can take at first.
        credit: u32,
    },
    /// The real server that the lab asked for cannot be had.
    Refused {
        /// The port.
        port: PortId,
        /// Why, in words.
        reason: String,
    },
    /// A real client has this address from now on: the gateway takes it as one of its own, when it
    /// is of a network of the gateway's and no host has it. One that cannot be is noted in the trace.
    Client {
        /// The address.
        address: IpAddr,
        /// Who it is, in words: `curl on 127.0.0.1`.
        label: String,
    },
    /// Bytes of a connection, or a session's standard input.
    Data {
        /// The port.
        port: PortId,
        /// The bytes; at most as many as the port has credit for.
        bytes: Vec<u8>,
    },
    /// The outside sends no more bytes.
    Eof {
        /// The port.
        port: PortId,
    },
    /// The outside is gone: a connection is reset, a session's program is hung up (signal 1).
    Reset {
        /// The port.
        port: PortId,
    },
    /// The outside can take this many bytes more.
    Credit {
        /// The port.
        port: PortId,
        /// How many.
        bytes: u32,
    },
    /// Runs a program on a host, as a foreground session.
    Exec {
        /// The new port.
        port: PortId,
        /// The host.
        host: String,
        /// Program and arguments.
        argv: Vec<String>,
        /// Whether standard input will come; otherwise it is at its end from the start.
        stdin: bool,
        /// How many bytes of output the outside can take at first, both streams together.
        credit: u32,
    },
    /// Sends a signal to a session's program.
    Signal {
        /// The port.
        port: PortId,
        /// 1 HUP, 2 INT, 9 KILL or 15 TERM; others do nothing.
        signal: u8,
    },
    /// A file of the lab's folder was written or removed.
    FileWrite {
        /// Its path, relative to the folder.
        path: String,
        /// What it contains now; `None` when it was removed.
        bytes: Option<Vec<u8>>,
    },
    /// The operator wants something changed.
    Command(Command),
}

/// What outside clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        })
    }
}

/// Where a connection from outside leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// An address and port.
    Addr(SocketAddr),
    /// A port of a name, which the host that opens the connection looks up as its programs do: in
    /// its hosts files, else by asking its name servers, which takes virtual time. Of several
    /// addresses the first to which there is a route is taken.
    Name {
        /// The name, or an address in words, IPv6 with or without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl From<SocketAddr> for Target {
    fn from(to: SocketAddr) -> Target {
        Target::Addr(to)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Addr(to) => to.fmt(f),
            Target::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// What an operator changes in a running world. It displays as the words of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Starts a program on a host in the background, as the lab file does: without a session, and
    /// without keeping the world from being idle.
    Start {
        /// The host.
        host: String,
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// Sends a signal to a process of a host.
    Kill {
        /// The host.
        host: String,
        /// The process id.
        pid: u32,
        /// 1 HUP, 2 INT, 9 KILL or 15 TERM.
        signal: u8,
    },
    /// Takes a link down, or up again. What is handed to a link that is down is dropped; what was
    /// handed over before still arrives, as light that is in a fibre when its end is unplugged.
    LinkUp {
        /// The link: `web.home`.
        link: String,
        /// Up or down.
        up: bool,
    },
    /// Drops what is under way on a link, in both directions: with [`LinkUp`](Command::LinkUp) down,
    /// a cable that is cut in the middle.
    CutInFlight {
        /// The link: `web.home`.
        link: String,
    },
    /// Parts hosts from each other. What is under way still arrives, unless it is cut, too.
    Partition {
        /// Its name.
        name: String,
        /// The hosts of each side; with one side, those from all other hosts.
        sides: Vec<Vec<String>>,
        /// Whether frames under way between the sides are dropped.
        in_flight: bool,
    },
    /// Ends a partition.
    Heal {
        /// Its name; all when not given.
        name: Option<String>,
    },
    /// Has a switch copy what passes some of its ports to another one.
    Mirror {
        /// The switch.
        switch: String,
        /// Which ports; `None` ends it.
        mirror: Option<MirrorSpec>,
    },
    /// Changes a setting of a link.
    Link {
        /// The link: `web.home`.
        link: String,
        /// Which of its wires.
        directions: Directions,
        /// What becomes another.
        change: LinkChange,
    },
    /// Forwards an outside port of a NAT router to a host inside.
    AddForward {
        /// The router.
        host: String,
        /// The outside port, which is not forwarded yet.
        from: ForwardPort,
        /// The inside address and port.
        to: SocketAddr,
    },
    /// Takes a forward away. Connections that it led inside go on: connection tracking knows them.
    RemoveForward {
        /// The router.
        host: String,
        /// The outside port.
        from: ForwardPort,
    },
    /// Adds an inbound rule. A host without a firewall gets one that lets in what no rule names.
    AddRule {
        /// The host.
        host: String,
        /// The rule.
        rule: InboundRule,
        /// The number of the rule (from 1) before which it stands; behind all when not given.
        before: Option<u32>,
    },
    /// Takes an inbound rule away. Flows that it let in are tracked, and go on.
    RemoveRule {
        /// The host.
        host: String,
        /// The rule's name, or what it says: `allow tcp/80`.
        rule: String,
    },
    /// Says what happens to new flows that no inbound rule names.
    InboundDefault {
        /// The host.
        host: String,
        /// Whether they are dropped.
        deny: bool,
    },
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Start { host, argv } => write!(f, "start {host} {}", argv.join(" ")),
            Command::Kill { host, pid, signal } => write!(f, "kill -{signal} {host} {pid}"),
            Command::LinkUp { link, up } => {
                write!(f, "link {link} {}", if *up { "up" } else { "down" })
            }
            Command::CutInFlight { link } => write!(f, "link {link} cut in flight"),
            Command::Partition { name, sides, in_flight } => {
                write!(f, "partition {name}")?;
                sides.iter().try_for_each(|side| write!(f, " {}", side.join(",")))?;
                f.write_str(if *in_flight { " --in-flight" } else { "" })
            }
            Command::Heal { name } => write!(f, "heal {}", name.as_deref().unwrap_or("--all")),
            Command::Mirror { switch, mirror: None } => write!(f, "mirror {switch} off"),
            Command::Mirror { switch, mirror: Some(mirror) } => {
                write!(f, "mirror {switch} {mirror}")
            }
            Command::Link { link, directions, change } => match directions {
                Directions::Both => write!(f, "link {link} {change}"),
                Directions::Up => write!(f, "link {link} {change} --up"),
                Directions::Down => write!(f, "link {link} {change} --down"),
            },
            Command::AddForward { host, from, to } => {
                write!(f, "forward add {host} {from} {to}")
            }
            Command::RemoveForward { host, from } => write!(f, "forward remove {host} {from}"),
            Command::AddRule { host, rule, before } => {
                write!(f, "rule add {host} {rule}")?;
                rule.name.iter().try_for_each(|name| write!(f, " --name {name}"))?;
                before.iter().try_for_each(|n| write!(f, " --before {n}"))
            }
            Command::RemoveRule { host, rule } => write!(f, "rule remove {host} {rule}"),
            Command::InboundDefault { host, deny } => {
                write!(f, "rule default {host} {}", if *deny { "deny" } else { "allow" })
            }
        }
    }
}

/// Which stream bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A connection.
    Net,
    /// A program's standard output.
    Stdout,
    /// A program's standard error.
    Stderr,
}

/// What a world tells the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// The connection is established, or the program started.
    Accepted {
        /// The port.
        port: PortId,
        /// How many bytes the outside may send at first.
        credit: u32,
    },
    /// The outside may send this many bytes more.
    Credit {
        /// The port.
        port: PortId,
        /// How many.
        bytes: u32,
    },
    /// Bytes for the outside, at most [`DATA_MAX`].
    Data {
        /// The port.
        port: PortId,
        /// Which stream.
        stream: Stream,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A datagram for the outside.
    Datagram {
        /// The port.
        port: PortId,
        /// What it carries.
        bytes: Vec<u8>,
    },
    /// The network in the lab reported that a datagram did not arrive. The port goes on.
    Unreachable {
        /// The port.
        port: PortId,
        /// Why, in words: `Connection refused`.
        reason: String,
    },
    /// A lab program wants a connection to a real server.
    Open {
        /// The new port, from [`LAB_PORTS`] on.
        port: PortId,
        /// The host whose program asks.
        host: String,
        /// For whom: the lab's client, as `10.0.0.7:49152`.
        client: String,
        /// The real server.
        to: SocketAddr,
    },
    /// The lab sends no more bytes on this connection.
    Eof {
        /// The port.
        port: PortId,
    },
    /// The port is gone.
    Reset {
        /// The port.
        port: PortId,
        /// Why, in words.
        reason: String,
    },
    /// The session's program ended.
    Exit {
        /// The port.
        port: PortId,
        /// Its exit code: 128 + signal number when it was killed, 134 when it panicked, 127 when
        /// there is no such program.
        code: i32,
        /// What to tell about the end, when there is something to tell.
        message: Option<String>,
    },
}

impl Output {
    /// The port it is about.
    pub fn port(&self) -> Option<PortId> {
        match self {
            Output::Accepted { port, .. }
            | Output::Credit { port, .. }
            | Output::Data { port, .. }
            | Output::Datagram { port, .. }
            | Output::Unreachable { port, .. }
            | Output::Open { port, .. }
            | Output::Eof { port }
            | Output::Reset { port, .. }
            | Output::Exit { port, .. } => Some(*port),
        }
    }
}

impl Input {
    /// The port it is about.
    pub fn port(&self) -> Option<PortId> {
        match self {
            Input::Open { port, .. }
            | Input::OpenUdp { port, .. }
            | Input::Datagram { port, .. }
            | Input::Accepted { port, .. }
            | Input::Refused { port, .. }
            | Input::Data { port, .. }
            | Input::Eof { port }
            | Input::Reset { port }
            | Input::Credit { port, .. }
            | Input::Exec { port, .. }
            | Input::Signal { port, .. } => Some(*port),
            Input::Client { .. } | Input::FileWrite { .. } | Input::Command(_) => None,
        }
    }

    /// What kind of input it is, as trace events name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Input::Open { .. } => "open",
            Input::OpenUdp { .. } => "open-udp",
            Input::Datagram { .. } => "datagram",
            Input::Accepted { .. } => "accepted",
            Input::Refused { .. } => "refused",
            Input::Client { .. } => "client",
            Input::Data { .. } => "data",
            Input::Eof { .. } => "eof",
            Input::Reset { .. } => "reset",
            Input::Credit { .. } => "credit",
            Input::Exec { .. } => "exec",
            Input::Signal { .. } => "signal",
            Input::FileWrite { .. } => "file",
            Input::Command(_) => "command",
        }
    }

    /// How many bytes it carries or grants.
    pub fn bytes(&self) -> u64 {
        match self {
            Input::Data { bytes, .. } | Input::Datagram { bytes, .. } => bytes.len() as u64,
            Input::Credit { bytes, .. }
            | Input::Accepted { credit: bytes, .. }
            | Input::Exec { credit: bytes, .. } => u64::from(*bytes),
            Input::FileWrite { bytes: Some(bytes), .. } => bytes.len() as u64,
            _ => 0,
        }
    }
}
