//! Packets as scripts write them, and as reports show them.

use std::fmt;

use netarium_wire::TcpFlags;

/// Which way a packet goes, seen from the host under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `<`: it arrives.
    In,
    /// `>`: it is sent.
    Out,
}

/// The ECN field of an IP header (RFC 3168 §5), or what is expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecn {
    /// `[noecn]`.
    None,
    /// `[ect0]`.
    Ect0,
    /// `[ect1]`.
    Ect1,
    /// `[ce]`.
    Ce,
    /// `[ect01]`: ECT(0) or ECT(1); only for packets that are expected.
    Ect01,
}

impl Ecn {
    /// The two bits; ECT(0) for `ect01`.
    pub fn bits(self) -> u8 {
        match self {
            Ecn::None => 0,
            Ecn::Ect1 => 1,
            Ecn::Ect0 | Ecn::Ect01 => 2,
            Ecn::Ce => 3,
        }
    }

    /// Whether a TOS byte's ECN field is as asked.
    pub fn accepts(self, tos: u8) -> bool {
        match self {
            Ecn::Ect01 => matches!(tos & 3, 1 | 2),
            other => tos & 3 == other.bits(),
        }
    }

    /// Its name in scripts.
    pub fn name(self) -> &'static str {
        match self {
            Ecn::None => "noecn",
            Ecn::Ect0 => "ect0",
            Ecn::Ect1 => "ect1",
            Ecn::Ce => "ce",
            Ecn::Ect01 => "ect01",
        }
    }
}

/// A packet of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketSpec {
    /// Which way.
    pub direction: Direction,
    /// The ECN field, when given.
    pub ecn: Option<Ecn>,
    /// The whole TOS byte, when given.
    pub tos: Option<u8>,
    /// The time to live, when given.
    pub ttl: Option<u8>,
    /// Source and destination port, when given.
    pub ports: Option<(u16, u16)>,
    /// What is in it.
    pub transport: Transport,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment.
    Tcp(SegmentSpec),
    /// A UDP datagram of so many bytes.
    Udp(u16),
    /// An ICMP message.
    Icmp(Icmp),
}

/// A TCP segment in relative numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSpec {
    /// Control bits.
    pub flags: TcpFlags,
    /// First sequence number.
    pub seq: u32,
    /// Bytes of payload; packetdrill's TSO packets are larger than one segment.
    pub len: u32,
    /// Acknowledgement number.
    pub ack: AckSpec,
    /// Window, unscaled; none means any.
    pub window: Option<u16>,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options in order; none means any (`<...>`).
    pub options: Option<Vec<Opt>>,
}

/// An acknowledgement number; 0 when a script gives none.
pub type AckSpec = u32;

/// A TCP option of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opt {
    /// `nop`.
    Nop,
    /// `eol`.
    Eol,
    /// `mss 1460`.
    Mss(u16),
    /// `wscale 7`.
    Wscale(u8),
    /// `sackOK`.
    SackOk,
    /// `sack 1:2 3:4`.
    Sack(Vec<(u32, u32)>),
    /// `TS val 1 ecr 0`.
    Ts(u32, u32),
    /// `unknown 99 0a0b`, `FO 01…`, `md5 …`: a kind and its data.
    Unknown(u8, Vec<u8>),
}

impl Opt {
    /// Bytes it needs in a header.
    pub fn len(&self) -> usize {
        match self {
            Opt::Nop | Opt::Eol => 1,
            Opt::Mss(_) => 4,
            Opt::Wscale(_) => 3,
            Opt::SackOk => 2,
            Opt::Sack(blocks) => 2 + 8 * blocks.len(),
            Opt::Ts(..) => 10,
            Opt::Unknown(_, data) => 2 + data.len(),
        }
    }

    /// Never: every option has a kind.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// An ICMP message of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type number.
    pub kind: u8,
    /// Code number.
    pub code: u8,
    /// `mtu 1200` of «fragmentation needed».
    pub mtu: Option<u16>,
    /// `id 7` of an echo.
    pub id: u16,
    /// What it quotes: sequence number and bytes of a TCP segment.
    pub quoted: Option<(u32, u32)>,
    /// It quotes a UDP datagram instead.
    pub quotes_udp: bool,
}

/// The name of an ICMP type and code, as scripts write it.
const ICMP_NAMES: &[(&str, u8, &str, u8)] = &[
    ("unreachable", 3, "net_unreachable", 0),
    ("unreachable", 3, "host_unreachable", 1),
    ("unreachable", 3, "protocol_unreachable", 2),
    ("unreachable", 3, "port_unreachable", 3),
    ("unreachable", 3, "frag_needed", 4),
    ("unreachable", 3, "source_route_failed", 5),
    ("unreachable", 3, "net_unknown", 6),
    ("unreachable", 3, "host_unknown", 7),
    ("unreachable", 3, "source_host_isolated", 8),
    ("unreachable", 3, "net_prohibited", 9),
    ("unreachable", 3, "host_prohibited", 10),
    ("unreachable", 3, "net_unreachable_for_tos", 11),
    ("unreachable", 3, "host_unreachable_for_tos", 12),
    ("unreachable", 3, "packet_filtered", 13),
    ("unreachable", 3, "admin_prohibited", 13),
    ("unreachable", 3, "communication_prohibited", 13),
    ("unreachable", 3, "host_precedence_violation", 14),
    ("unreachable", 3, "precedence_violation", 14),
    ("unreachable", 3, "precedence_cutoff", 15),
    ("time_exceeded", 11, "exc_ttl", 0),
    ("time_exceeded", 11, "ttl_exceeded", 0),
    ("time_exceeded", 11, "ttl_exceeded_in_transit", 0),
    ("time_exceeded", 11, "exc_fragtime", 1),
    ("time_exceeded", 11, "frag_reassembly_time_exceeded", 1),
    ("echo_reply", 0, "", 0),
    ("echo_request", 8, "", 0),
    ("source_quench", 4, "", 0),
    ("redirect", 5, "net_redirect", 0),
    ("redirect", 5, "host_redirect", 1),
    ("redirect", 5, "net_redirect_for_tos", 2),
    ("redirect", 5, "host_redirect_for_tos", 3),
    ("parameter_problem", 12, "", 0),
    ("timestamp_request", 13, "", 0),
    ("timestamp_reply", 14, "", 0),
    ("information_request", 15, "", 0),
    ("information_reply", 16, "", 0),
    ("address_mask_request", 17, "", 0),
    ("address_mask_reply", 18, "", 0),
];

impl Icmp {
    /// Type and code of the words of a script; a number is taken as it is.
    pub(super) fn named(kind: &str, code: Option<&str>) -> Option<(u8, u8)> {
        let number = |s: &str| s.strip_prefix("type_").or(s.strip_prefix("code_"))?.parse().ok();
        let first = ICMP_NAMES.iter().find(|n| n.0 == kind).map(|n| n.1).or(number(kind))?;
        let Some(code) = code else { return Some((first, 0)) };
        let second = ICMP_NAMES.iter().find(|n| n.1 == first && n.2 == code).map(|n| n.3);
        Some((first, second.or(number(code))?))
    }

    /// Whether a word is a code of a type, not the next part of the packet.
    pub(super) fn is_code(kind: &str, word: &str) -> bool {
        word.starts_with("code_") || ICMP_NAMES.iter().any(|n| n.0 == kind && n.2 == word)
    }
}

/// The letters of flags, as scripts write them: `S.`, `P.`, `-`.
pub fn flags_text(flags: TcpFlags) -> String {
    const LETTERS: [(TcpFlags, char); 9] = [
        (TcpFlags::FIN, 'F'),
        (TcpFlags::SYN, 'S'),
        (TcpFlags::RST, 'R'),
        (TcpFlags::PSH, 'P'),
        (TcpFlags::URG, 'U'),
        (TcpFlags::ECE, 'E'),
        (TcpFlags::CWR, 'W'),
        (TcpFlags::AE, 'A'),
        (TcpFlags::ACK, '.'),
    ];
    if flags.is_empty() {
        return "-".to_owned();
    }
    LETTERS.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, letter)| letter).collect()
}

/// The flags that letters mean.
pub(super) fn flags_of(letters: &str) -> Result<TcpFlags, char> {
    letters.chars().try_fold(TcpFlags::empty(), |all, c| {
        Ok(all
            | match c {
                'F' => TcpFlags::FIN,
                'S' => TcpFlags::SYN,
                'R' => TcpFlags::RST,
                'P' => TcpFlags::PSH,
                'U' => TcpFlags::URG,
                'E' => TcpFlags::ECE,
                'W' | 'C' => TcpFlags::CWR,
                'A' => TcpFlags::AE,
                '.' => TcpFlags::ACK,
                other => return Err(other),
            })
    })
}

/// The bytes that an ICMP error quotes, for a report.
pub fn echoed(quoted: (u32, u32)) -> String {
    format!("[{}:{}({})]", quoted.0, quoted.0.wrapping_add(quoted.1), quoted.1)
}

impl fmt::Display for Opt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Opt::Nop => f.write_str("nop"),
            Opt::Eol => f.write_str("eol"),
            Opt::Mss(mss) => write!(f, "mss {mss}"),
            Opt::Wscale(shift) => write!(f, "wscale {shift}"),
            Opt::SackOk => f.write_str("sackOK"),
            Opt::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(from, to)| write!(f, " {from}:{to}"))
            }
            Opt::Ts(val, ecr) => write!(f, "TS val {val} ecr {ecr}"),
            Opt::Unknown(kind, data) => {
                write!(f, "unknown {kind} ")?;
                data.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
    }
}

impl fmt::Display for SegmentSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.seq.wrapping_add(self.len);
        write!(f, "{} {}:{end}({})", flags_text(self.flags), self.seq, self.len)?;
        if self.flags.contains(TcpFlags::ACK) || self.ack != 0 {
            write!(f, " ack {}", self.ack)?;
        }
        if let Some(window) = self.window {
            write!(f, " win {window}")?;
        }
        if self.flags.contains(TcpFlags::URG) || self.urgent != 0 {
            write!(f, " urg {}", self.urgent)?;
        }
        match &self.options {
            None => f.write_str(" <...>"),
            Some(options) if options.is_empty() => Ok(()),
            Some(options) => {
                let list: Vec<String> = options.iter().map(Opt::to_string).collect();
                write!(f, " <{}>", list.join(","))
            }
        }
    }
}

impl fmt::Display for Icmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ICMP_NAMES.iter().find(|n| n.1 == self.kind && n.3 == self.code);
        match name {
            Some((kind, _, code, _)) => write!(f, "icmp {}", format!("{kind} {code}").trim_end())?,
            None => write!(f, "icmp type_{} code_{}", self.kind, self.code)?,
        }
        if let Some(mtu) = self.mtu {
            write!(f, " mtu {mtu}")?;
        }
        if self.id != 0 {
            write!(f, " id {}", self.id)?;
        }
        match self.quoted {
            Some((_, len)) if self.quotes_udp => write!(f, " [udp ({len})]"),
            Some(quoted) => write!(f, " {}", echoed(quoted)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PacketSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.direction == Direction::In { "< " } else { "> " })?;
        match (self.ecn, self.tos, self.ttl) {
            (Some(ecn), _, _) => write!(f, "[{}] ", ecn.name())?,
            (_, Some(tos), _) => write!(f, "[tos {tos:#x}] ")?,
            (_, _, Some(ttl)) => write!(f, "(ttl {ttl}) ")?,
            _ => {}
        }
        let ports = self.ports.map(|(s, d)| format!("{s} > {d} ")).unwrap_or_default();
        match &self.transport {
            Transport::Tcp(segment) => write!(f, "{ports}{segment}"),
            Transport::Udp(len) => write!(f, "udp {ports}({len})"),
            Transport::Icmp(icmp) => icmp.fmt(f),
        }
    }
}
