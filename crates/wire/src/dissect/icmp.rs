//! ICMP, in tcpdump's words.

use core::net::{IpAddr, Ipv4Addr};

use super::ip::{Transport, should_be};
use super::{Cut, DEPTH_MAX, Printer, Seen};
use crate::checksum::Sum;
use crate::frame::{be16, be32};
use crate::icmp::kind;
use crate::ip::{V4_HEADER, protocol};

/// From this length on, RFC 4884's extensions may follow the quoted packet.
const EXTENDED: usize = 136;

impl Printer<'_> {
    pub(super) fn icmp(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        let seen = t.seen;
        let text = self.icmp_text(seen)?;
        put!(self, "ICMP {text}, length {}", seen.len);
        if self.o.verbose == 0 {
            return Ok(());
        }
        if let Some(whole) = seen.b.get(..seen.len).filter(|_| !t.fragment) {
            let (sum, field) = (Sum::of(whole).checksum(), be16(whole, 2));
            if sum != 0 {
                put!(self, " (wrong icmp cksum {field:x} (->{:x})!)", should_be(field, sum));
            }
        }
        let kind = seen.need(1, "icmp")?[0];
        if matches!(kind, 3 | 4 | 5 | 11 | 12) && self.depth < DEPTH_MAX {
            put!(self, "\n\t");
            let quoted = seen.skip(8);
            let len = usize::from(be16(quoted.need(4, "icmp")?, 2));
            self.depth += 1;
            self.ipv4(Seen { len, ..quoted.limit(len) })?;
            self.depth -= 1;
        }
        if matches!(kind, 3 | 11 | 12) && seen.len > EXTENDED {
            self.extensions(seen)?;
        }
        Ok(())
    }

    /// RFC 4884: only what says that it is there, by its length or by a right checksum.
    fn extensions(&mut self, seen: Seen<'_>) -> Result<(), Cut> {
        let head = seen.need(EXTENDED + 4, "icmp")?;
        let whole = seen.b.get(EXTENDED..seen.len);
        let sum = whole.map(|b| Sum::of(b).checksum());
        if head[5] == 0 && sum.is_some_and(|s| s != 0) {
            return Ok(());
        }
        let version = head[EXTENDED] >> 4;
        put!(self, "\n\tICMP Multi-Part extension v{version}");
        if version != 2 {
            put!(self, " packet not supported");
            return Ok(());
        }
        if let Some(sum) = sum {
            let (field, len) = (be16(head, EXTENDED + 2), seen.len - EXTENDED);
            let wrong = if sum == 0 { "" } else { "in" };
            put!(self, ", checksum 0x{field:04x} ({wrong}correct), length {len}");
        }
        Ok(())
    }

    fn icmp_text(&self, seen: Seen<'_>) -> Result<String, Cut> {
        let head = seen.need(2, "icmp")?;
        let (kind, code) = (head[0], head[1]);
        let whole = || seen.need(8, "icmp");
        Ok(match kind {
            kind::ECHO_REQUEST | kind::ECHO_REPLY => {
                let name = if kind == kind::ECHO_REQUEST { "request" } else { "reply" };
                let b = whole()?;
                format!("echo {name}, id {}, seq {}", be16(b, 4), be16(b, 6))
            }
            kind::UNREACHABLE => self.unreachable_text(code, seen)?,
            kind::REDIRECT => self.redirect_text(code, seen)?,
            kind::TIME_EXCEEDED => match (quoted_dst(seen)?, code).1 {
                0 => "time exceeded in-transit".into(),
                1 => "ip reassembly time exceeded".into(),
                other => format!("time exceeded-#{other}"),
            },
            kind::PARAMETER_PROBLEM if code != 0 => format!("parameter problem - code {code}"),
            kind::PARAMETER_PROBLEM => {
                format!("parameter problem - octet {}", seen.need(5, "icmp")?[4])
            }
            kind::SOURCE_QUENCH => "source quench".into(),
            10 => "router solicitation".into(),
            13 => {
                let b = whole()?;
                format!("time stamp query id {} seq {}", be16(b, 4), be16(b, 6))
            }
            14 => time_stamp_reply(seen.need(20, "icmp")?),
            15 => "information request".into(),
            16 => "information reply".into(),
            17 => "address mask request".into(),
            18 => format!("address mask is 0x{:08x}", be32(seen.need(12, "icmp")?, 8)),
            other => format!("type-#{other}"),
        })
    }

    /// RFC 792, RFC 1191, RFC 1812 §5.2.7.1.
    fn unreachable_text(&self, code: u8, seen: Seen<'_>) -> Result<String, Cut> {
        if code == 4 {
            let mtu = be16(seen.need(8, "icmp")?, 6);
            let dst = self.quoted_host(seen)?;
            let suffix = if mtu == 0 { String::new() } else { format!(" (mtu {mtu})") };
            return Ok(format!("{dst} unreachable - need to frag{suffix}"));
        }
        let dst = self.quoted_host(seen)?;
        Ok(match code {
            0 => format!("net {dst} unreachable"),
            1 => format!("host {dst} unreachable"),
            2 => format!("{dst} protocol {} unreachable", quoted_protocol(seen)?),
            3 => self.port_unreachable(seen, &dst)?,
            5 => format!("{dst} unreachable - source route failed"),
            6 => format!("net {dst} unreachable - unknown"),
            7 => format!("host {dst} unreachable - unknown"),
            8 => format!("{dst} unreachable - source host isolated"),
            9 => format!("net {dst} unreachable - admin prohibited"),
            10 => format!("host {dst} unreachable - admin prohibited"),
            11 => format!("net {dst} unreachable - tos prohibited"),
            12 => format!("host {dst} unreachable - tos prohibited"),
            13 => format!("host {dst} unreachable - admin prohibited filter"),
            14 => format!("host {dst} unreachable - host precedence violation"),
            15 => format!("host {dst} unreachable - precedence cutoff"),
            other => format!("{dst} unreachable - #{other}"),
        })
    }

    fn quoted_host(&self, seen: Seen<'_>) -> Result<String, Cut> {
        Ok(self.host(IpAddr::V4(quoted_dst(seen)?)))
    }

    fn port_unreachable(&self, seen: Seen<'_>, dst: &str) -> Result<String, Cut> {
        let quoted = seen.skip(8);
        let header = usize::from(quoted.need(1, "icmp")?[0] & 0x0f) * 4;
        let port = be16(quoted.skip(header).need(4, "icmp")?, 2);
        let protocol = quoted_protocol(seen)?;
        let name = self.port(protocol, port);
        Ok(match protocol {
            protocol::TCP => format!("{dst} tcp port {name} unreachable"),
            protocol::UDP => format!("{dst} udp port {name} unreachable"),
            other => format!("{dst} protocol {other} port {port} unreachable"),
        })
    }

    fn redirect_text(&self, code: u8, seen: Seen<'_>) -> Result<String, Cut> {
        let gateway = Ipv4Addr::from(be32(seen.need(8, "icmp")?, 4));
        let gateway = self.host(IpAddr::V4(gateway));
        let dst = self.quoted_host(seen)?;
        Ok(match code {
            0 => format!("redirect {dst} to net {gateway}"),
            1 => format!("redirect {dst} to host {gateway}"),
            2 => format!("redirect-tos {dst} to net {gateway}"),
            3 => format!("redirect-tos {dst} to host {gateway}"),
            other => format!("redirect-#{other} {dst} to {gateway}"),
        })
    }
}

/// RFC 792: milliseconds since midnight.
fn time_stamp_reply(b: &[u8]) -> String {
    let at = |from: usize| {
        let ms = be32(b, from);
        let (s, m) = (ms / 1000, ms / 60_000);
        format!("{:02}:{:02}:{:02}.{:03}", m / 60, m % 60, s % 60, ms % 1000)
    };
    let (org, recv, xmit) = (at(8), at(12), at(16));
    let (id, seq) = (be16(b, 4), be16(b, 6));
    format!("time stamp reply id {id} seq {seq}: org {org}, recv {recv}, xmit {xmit}")
}

fn quoted_dst(seen: Seen<'_>) -> Result<Ipv4Addr, Cut> {
    let b = seen.skip(8).need(V4_HEADER, "icmp")?;
    Ok(be32(b, 16).into())
}

fn quoted_protocol(seen: Seen<'_>) -> Result<u8, Cut> {
    Ok(seen.skip(8).need(V4_HEADER, "icmp")?[9])
}
