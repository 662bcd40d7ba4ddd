//! IPv4 and IPv6, in tcpdump's words.

use core::net::IpAddr;

use super::names::{ip_protocol, protocol_name};
use super::{Cut, DEPTH_MAX, Printer, Seen};
use crate::checksum::Sum;
use crate::frame::{Network, be16, be32};
use crate::ip::{Side, V4_HEADER, V6_HEADER, address_at, protocol, pseudo_header};

/// A transport packet and what its IP header says about it.
#[derive(Clone, Copy)]
pub(super) struct Transport<'a> {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    /// More fragments follow.
    pub(super) fragment: bool,
    pub(super) seen: Seen<'a>,
}

impl Transport<'_> {
    /// The checksum of this packet's first `len` bytes with its pseudo header: 0 when the one in it
    /// is right.
    pub(super) fn checksum(&self, len: usize) -> u16 {
        let bytes = &self.seen.b[..len.min(self.seen.b.len())];
        (pseudo_header(self.src, self.dst, self.protocol, len) + Sum::of(bytes)).checksum()
    }
}

/// What the checksum field should hold, when it holds `field` and the whole sums to `sum`.
pub(super) fn should_be(field: u16, sum: u16) -> u16 {
    let mut whole = u32::from(field) + u32::from(sum);
    whole = (whole & 0xffff) + (whole >> 16);
    whole = (whole & 0xffff) + (whole >> 16);
    whole as u16
}

impl Printer<'_> {
    pub(super) fn ipv4(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        let version = packet.need(1, "ip")?[0] >> 4;
        if version != 4 {
            let and = if version == 6 { ", wrong link-layer encapsulation" } else { "" };
            put!(self, "IP{version}{and} (invalid)");
            return Ok(());
        }
        if !self.o.ethernet {
            put!(self, "IP ");
        }
        let b = packet.head(V4_HEADER, "ip")?;
        let header = usize::from(b[0] & 0x0f) * 4;
        if packet.len < V4_HEADER {
            put!(self, "truncated-ip {}", packet.len);
            return Ok(());
        }
        if header < V4_HEADER {
            put!(self, "bad-hlen {header}");
            return Ok(());
        }
        let len = usize::from(be16(b, 2));
        if packet.len < len {
            put!(self, "truncated-ip - {} bytes missing! ", len - packet.len);
        }
        if len < header {
            put!(self, "bad-len {len}");
            return Ok(());
        }
        // What IP claims to carry counts, even when less arrived.
        let packet = Seen { len, ..packet.limit(len) };
        let (src, dst) = addresses(Network::Ipv4, b)?;
        if self.o.verbose > 0 {
            self.ipv4_header(b, header, packet)?;
        }
        let offset = be16(b, 6);
        if offset & 0x1fff != 0 {
            let (from, to) = (self.host(src), self.host(dst));
            put!(self, "{from} > {to}:{}", self.protocol(b[9]));
            return Ok(());
        }
        if packet.b.len() < header {
            if !has_ports(b[9]) {
                self.hosts(src, dst);
            }
            put!(self, " [remaining caplen({}) < header length({header})]", packet.b.len());
            return Err(Cut::here("ip"));
        }
        let seen = packet.skip(header);
        let fragment = offset & 0x2000 != 0;
        self.transport(Transport { src, dst, protocol: b[9], fragment, seen })
    }

    /// `-v`: the header's fields, on a line of their own.
    fn ipv4_header(&mut self, b: &[u8], header: usize, packet: Seen<'_>) -> Result<(), Cut> {
        put!(self, "(tos 0x{:x}{}", b[1], ["", ",ECT(1)", ",ECT(0)", ",CE"][usize::from(b[1] & 3)]);
        if b[8] > 0 {
            put!(self, ", ttl {}", b[8]);
        }
        let offset = be16(b, 6);
        let flags: Vec<&str> = [(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")]
            .into_iter()
            .filter(|(bit, _)| offset & bit != 0)
            .map(|(_, name)| name)
            .collect();
        let flags = if flags.is_empty() { "none".to_owned() } else { flags.join(", ") };
        put!(
            self,
            ", id {}, offset {}, flags [{flags}], proto {} ({}), length {}",
            be16(b, 4),
            usize::from(offset & 0x1fff) * 8,
            ip_protocol(b[9]),
            b[9],
            be16(b, 2)
        );
        let mut cut = false;
        if header > V4_HEADER {
            put!(self, ", options (");
            cut = self.ip_options(packet.limit(header).skip(V4_HEADER))?;
            put!(self, "{})", if cut { " [truncated-option]" } else { "" });
        }
        if let Some(whole) = packet.b.get(..header) {
            let sum = Sum::of(whole).checksum();
            if sum != 0 {
                let field = be16(b, 10);
                put!(self, ", bad cksum {field:x} (->{:x})!", should_be(field, sum));
            }
        }
        put!(self, ")\n    ");
        if cut {
            let (src, dst) = addresses(Network::Ipv4, b)?;
            self.hosts(src, dst);
            return Err(Cut::here("ip"));
        }
        Ok(())
    }

    /// RFC 791 §3.1. Whether an option is cut off.
    fn ip_options(&mut self, mut options: Seen<'_>) -> Result<bool, Cut> {
        let mut separator = "";
        while options.len > 0 {
            put!(self, "{separator}");
            separator = ",";
            let code = options.need(1, "ip")?[0];
            match option_name(code) {
                Some(name) => put!(self, "{name}"),
                None => put!(self, "unknown {code}"),
            }
            let len = if code < 2 { 1 } else { usize::from(options.need(2, "ip")?[1]) };
            if len < 2 && code >= 2 || len > options.len {
                put!(self, " [bad length {len}]");
                return Ok(false);
            }
            let Some(option) = options.b.get(..len) else { return Ok(true) };
            match code {
                0 => return Ok(false),
                7 | 131 | 137 => self.recorded_route(option),
                148 if len < 4 => put!(self, " [bad length {len}]"),
                148 if be16(option, 2) != 0 => put!(self, " value {}", be16(option, 2)),
                _ => {}
            }
            options = options.skip(len);
        }
        Ok(false)
    }

    fn recorded_route(&mut self, option: &[u8]) {
        let len = option.len();
        if len < 3 || (len + 1) & 3 != 0 {
            put!(self, " [bad length {len}]");
            if len < 3 {
                return;
            }
        }
        let pointer = usize::from(option[2]).wrapping_sub(1);
        if pointer < 3 || (pointer.wrapping_add(1)) & 3 != 0 || pointer > len + 1 {
            put!(self, " [bad ptr {}]", option[2]);
        }
        for at in (3..len).step_by(4) {
            let Some(address) = option.get(at..at + 4) else { return };
            let address = self.host(IpAddr::from([address[0], address[1], address[2], address[3]]));
            put!(self, " {address}");
            if pointer > at {
                put!(self, ",");
            }
        }
    }

    pub(super) fn ipv6(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        let b = packet.head(V6_HEADER, "ip6")?;
        if packet.len < V6_HEADER {
            put!(self, "truncated-ip6 {}", packet.len);
            return Ok(());
        }
        let version = b[0] >> 4;
        if !self.o.ethernet || (self.o.lenient && version != 6) {
            put!(self, "IP6 ");
        }
        if version != 6 {
            put!(self, "version error: {version} != 6");
            return Ok(());
        }
        let len = usize::from(be16(b, 4));
        if len != 0 && packet.len < len + V6_HEADER {
            put!(self, "truncated-ip6 - {} bytes missing!", len + V6_HEADER - packet.len);
        }
        if self.o.verbose > 0 {
            let flow = be32(b, 0);
            put!(self, "(");
            if flow & 0x0ff0_0000 != 0 {
                put!(self, "class 0x{:02x}, ", (flow >> 20) & 0xff);
            }
            if flow & 0x000f_ffff != 0 {
                put!(self, "flowlabel 0x{:05x}, ", flow & 0x000f_ffff);
            }
            put!(
                self,
                "hlim {}, next-header {} ({}) payload length: {len}) ",
                b[7],
                ip_protocol(b[6]),
                b[6]
            );
        }
        let (src, dst) = addresses(Network::Ipv6, b)?;
        let body = packet.skip(V6_HEADER);
        // A payload length of 0 stands for «the rest» (RFC 2675), and is printed as nothing.
        let body = if len == 0 { body.limit(0) } else { Seen { len, ..body.limit(len) } };
        self.transport(Transport { src, dst, protocol: b[6], fragment: false, seen: body })
    }

    fn transport(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        if !has_ports(t.protocol) {
            self.hosts(t.src, t.dst);
        }
        match (t.protocol, t.src) {
            (protocol::TCP, _) => self.tcp(t),
            (protocol::UDP, _) => self.udp(t),
            (protocol::ICMP, IpAddr::V4(_)) => self.icmp(t),
            (protocol::ICMPV6, IpAddr::V6(_)) => self.icmp6(t),
            (protocol::ICMP | 2, _) => {
                let name = ip_protocol(t.protocol);
                if t.src.is_ipv6() {
                    put!(self, "[{name} requires IPv4] (invalid)");
                    return Ok(());
                }
                self.other_protocol(t)
            }
            (protocol::ICMPV6, _) => {
                put!(self, "[ICMPv6 requires IPv6] (invalid)");
                Ok(())
            }
            (4 | 41, _) if self.depth < DEPTH_MAX => {
                self.depth += 1;
                let inner = if t.protocol == 4 { self.ipv4(t.seen) } else { self.ipv6(t.seen) };
                self.depth -= 1;
                inner
            }
            (59, _) => {
                put!(self, "no next header");
                Ok(())
            }
            _ => self.other_protocol(t),
        }
    }

    fn other_protocol(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        put!(self, "{} {}", self.protocol(t.protocol), t.seen.len);
        Ok(())
    }

    fn protocol(&self, number: u8) -> String {
        let name = self.o.names.and_then(|_| protocol_name(number));
        name.map_or_else(|| format!(" ip-proto-{number}"), |name| format!(" {name}"))
    }

    /// `10.0.0.1 > 10.0.0.2: `
    pub(super) fn hosts(&mut self, src: IpAddr, dst: IpAddr) {
        let (src, dst) = (self.host(src), self.host(dst));
        put!(self, "{src} > {dst}: ");
    }

    /// `10.0.0.1.4000 > 10.0.0.2.80: `
    pub(super) fn ends(&mut self, t: &Transport<'_>, src_port: u16, dst_port: u16) {
        let (src, dst) = (self.host(t.src), self.host(t.dst));
        let (from, to) = (self.port(t.protocol, src_port), self.port(t.protocol, dst_port));
        put!(self, "{src}.{from} > {dst}.{to}: ");
    }
}

/// Protocols that print addresses with their ports, or would.
fn has_ports(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP | 33 | 132)
}

fn option_name(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "EOL",
        1 => "NOP",
        7 => "RR",
        68 => "timestamp",
        82 => "traceroute",
        130 => "security",
        131 => "LSRR",
        137 => "SSRR",
        148 => "RA",
        _ => return None,
    })
}

fn addresses(network: Network, header: &[u8]) -> Result<(IpAddr, IpAddr), Cut> {
    let address = |side| address_at(network, header, side).ok_or(Cut::here("ip"));
    Ok((address(Side::Source)?, address(Side::Destination)?))
}
