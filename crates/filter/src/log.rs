//! The host's log of packets that met a LOG rule, in the kernel's words.

use std::collections::VecDeque;
use std::fmt::Write as _;

use netarium_base::trace::Text;
use netarium_base::{Duration, IfIndex, Instant};
use netarium_wire::{Frame, TcpFlags, TcpHeader, protocol};

use crate::target::Log;
use crate::tuple::icmp_of;

/// How many lines are kept; the oldest go first.
pub const LINES_MAX: usize = 1_000;
/// How many lines are written in one second; what is more is counted only.
pub const LINES_PER_SECOND: u32 = 100;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Instant,
    /// What the rule says first.
    pub prefix: Text,
    /// syslog's level, 0 to 7.
    pub level: u8,
    /// The interface by which the packet came.
    pub input: Option<IfIndex>,
    /// The interface by which it leaves.
    pub output: Option<IfIndex>,
    /// The packet, from `MAC=` or `SRC=` on.
    pub packet: String,
}

impl LogLine {
    /// The line as `dmesg` shows it behind the time, with interface names from `name`.
    pub fn text<'a>(&self, name: impl Fn(IfIndex) -> Option<&'a str>) -> String {
        let name = |i: Option<IfIndex>| i.and_then(&name).unwrap_or_default();
        let (input, output) = (name(self.input), name(self.output));
        format!("{}IN={input} OUT={output} {}", self.prefix, self.packet)
    }
}

/// The latest lines.
#[derive(Debug, Default)]
pub(crate) struct HostLog {
    lines: VecDeque<LogLine>,
    suppressed: u64,
    second: (Instant, u32),
}

impl HostLog {
    pub(crate) fn lines(&self) -> impl ExactSizeIterator<Item = &LogLine> {
        self.lines.iter()
    }

    pub(crate) fn suppressed(&self) -> u64 {
        self.suppressed
    }

    pub(crate) fn note(
        &mut self,
        now: Instant,
        log: &Log,
        (input, output): (Option<IfIndex>, Option<IfIndex>),
        frame: &Frame,
    ) {
        if now.since(self.second.0) >= Duration::from_secs(1) {
            self.second = (now, 0);
        }
        if self.second.1 >= LINES_PER_SECOND {
            self.suppressed += 1;
            return;
        }
        self.second.1 += 1;
        if self.lines.len() >= LINES_MAX {
            self.lines.pop_front();
        }
        let packet = packet(frame, input.is_some());
        let prefix = log.prefix.clone();
        self.lines.push_back(LogLine { at: now, prefix, level: log.level, input, output, packet });
    }
}

/// A packet in the words of the kernel's `nf_log_ipv4`.
fn packet(frame: &Frame, arrived: bool) -> String {
    let mut out = String::new();
    if arrived && frame.head().len() >= 14 {
        let mac: Vec<_> = frame.head()[..14].iter().map(|b| format!("{b:02x}")).collect();
        let _ = write!(out, "MAC={} ", mac.join(":"));
    }
    let (Some(src), Some(dst)) = (frame.src_ip(), frame.dst_ip()) else { return out };
    let ip = frame.network();
    let _ = write!(out, "SRC={src} DST={dst} LEN={} ", frame.ip_len());
    if src.is_ipv4() && ip.len() >= 20 {
        let flags = u16::from_be_bytes([ip[6], ip[7]]);
        let _ = write!(
            out,
            "TOS=0x{:02X} PREC=0x{:02X} TTL={} ID={} ",
            ip[1] & 0x1e,
            ip[1] & 0xe0,
            ip[8],
            u16::from_be_bytes([ip[4], ip[5]])
        );
        for (bit, word) in [(0x8000, "CE "), (0x4000, "DF "), (0x2000, "MF ")] {
            out.push_str(if flags & bit != 0 { word } else { "" });
        }
    }
    transport(&mut out, frame);
    out
}

fn transport(out: &mut String, frame: &Frame) {
    let ports = frame.ports().unwrap_or_default();
    let _ = match (frame.protocol(), TcpHeader::of(frame), icmp_of(frame)) {
        (_, Some(tcp), _) => {
            let reserved = frame.transport().get(12).map_or(0, |b| b & 0x0f);
            let _ = write!(
                out,
                "PROTO=TCP SPT={} DPT={} WINDOW={} RES=0x{reserved:02x} ",
                ports.0, ports.1, tcp.window
            );
            let names = [
                (TcpFlags::URG, "URG "),
                (TcpFlags::ACK, "ACK "),
                (TcpFlags::PSH, "PSH "),
                (TcpFlags::RST, "RST "),
                (TcpFlags::SYN, "SYN "),
                (TcpFlags::FIN, "FIN "),
            ];
            names.iter().filter(|(f, _)| tcp.flags.contains(*f)).for_each(|(_, n)| out.push_str(n));
            write!(out, "URGP={} ", tcp.urgent)
        }
        (Some(protocol::UDP), ..) => {
            let length =
                frame.transport().get(4..6).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
            write!(out, "PROTO=UDP SPT={} DPT={} LEN={length} ", ports.0, ports.1)
        }
        (Some(protocol::ICMP), _, Some(icmp)) => {
            let _ = write!(out, "PROTO=ICMP TYPE={} CODE={} ", icmp.kind, icmp.code);
            match icmp.kind {
                0 | 8 => write!(out, "ID={} SEQ={} ", icmp.rest >> 16, icmp.rest & 0xffff),
                _ => Ok(()),
            }
        }
        (Some(other), ..) => write!(out, "PROTO={other} "),
        (None, ..) => Ok(()),
    };
}
