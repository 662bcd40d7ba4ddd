//! ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861), in tcpdump's words.

use core::net::{IpAddr, Ipv6Addr};

use super::ip::{Transport, should_be};
use super::{Cut, Printer, Seen};
use crate::frame::{be16, be32};
use crate::ip::{V6_HEADER, protocol};

impl Printer<'_> {
    pub(super) fn icmp6(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        let seen = t.seen;
        if seen.len == 0 {
            put!(self, "ICMP6, length 0 (invalid)");
            return Ok(());
        }
        if self.o.verbose > 0 && seen.b.len() >= seen.len.max(4) {
            let field = be16(seen.b, 2);
            match t.checksum(seen.len) {
                0 => put!(self, "[icmp6 sum ok] "),
                sum => {
                    let right = should_be(field, sum);
                    put!(self, "[bad icmp6 cksum 0x{field:04x} -> 0x{right:04x}!] ");
                }
            }
        }
        let kind = seen.need(1, "icmp6")?[0];
        put!(self, "ICMP6, ");
        // Where options follow, the length stands in front of them.
        let early = self.o.verbose > 0 && matches!(kind, 133..=137);
        self.icmp6_text(seen, early)?;
        if !early {
            put!(self, ", length {}", seen.len);
        }
        Ok(())
    }

    fn icmp6_text(&mut self, seen: Seen<'_>, early: bool) -> Result<(), Cut> {
        let head = seen.need(2, "icmp6")?;
        let (kind, code) = (head[0], head[1]);
        match icmp6_name(kind) {
            Some(name) => put!(self, "{name}"),
            None => put!(self, "unknown icmp6 type ({kind})"),
        }
        if early {
            put!(self, ", length {}", seen.len);
        }
        let (target, further) = (address6(seen.skip(8)), address6(seen.skip(24)));
        match kind {
            1 => return self.unreachable6(code, seen),
            2 => put!(self, ", mtu {}", be32(seen.need(8, "icmp6")?, 4)),
            3 if code == 0 => put!(self, " for {}", self.host(quoted_dst6(seen)?)),
            3 if code == 1 => put!(self, " (reassembly)"),
            3 => put!(self, ", unknown code ({code})"),
            128 | 129 => {
                let b = seen.need(8, "icmp6")?;
                put!(self, ", id {}, seq {}", be16(b, 4), be16(b, 6));
            }
            133 if early => self.options6(seen.skip(8))?,
            134 if early => self.advertisement(seen)?,
            135 => {
                put!(self, ", who has {}", self.host(target?));
                if early {
                    self.options6(seen.skip(24))?;
                }
            }
            136 => {
                put!(self, ", tgt is {}", self.host(target?));
                if early {
                    let flags = seen.need(5, "icmp6")?[4];
                    let names = [(0x80, "router"), (0x40, "solicited"), (0x20, "override")];
                    put!(self, ", Flags [{}]", flag_names(flags, &names));
                    self.options6(seen.skip(24))?;
                }
            }
            137 => {
                let (gateway, dst) = (self.host(target?), self.host(further?));
                put!(self, ", {dst} to {gateway}");
                if early {
                    self.options6(seen.skip(40))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn unreachable6(&mut self, code: u8, seen: Seen<'_>) -> Result<(), Cut> {
        let dst = self.host(quoted_dst6(seen)?);
        match code {
            0 => put!(self, ", unreachable route {dst}"),
            1 => put!(self, ",  unreachable prohibited {dst}"),
            2 => {
                let src = self.host(address6(seen.skip(16))?);
                put!(self, ", beyond scope {dst}, source address {src}");
            }
            3 => put!(self, ", unreachable address {dst}"),
            4 => {
                let protocol = seen.skip(8).need(V6_HEADER, "icmp6")?[6];
                let port = be16(seen.skip(8 + V6_HEADER).need(4, "icmp6")?, 2);
                let name = self.port(protocol, port);
                match protocol {
                    protocol::TCP => put!(self, ", unreachable port, {dst} tcp port {name}"),
                    protocol::UDP => put!(self, ", unreachable port, {dst} udp port {name}"),
                    other => put!(
                        self,
                        ", unreachable port, {dst} protocol {other} port {port} unreachable"
                    ),
                }
            }
            other => put!(self, ", unknown unreach code ({other})"),
        }
        Ok(())
    }

    fn advertisement(&mut self, seen: Seen<'_>) -> Result<(), Cut> {
        let b = seen.need(16, "icmp6")?;
        let names = [
            (0x80, "managed"),
            (0x40, "other stateful"),
            (0x20, "home agent"),
            (0x02, "ipv6 only"),
        ];
        let preference = ["medium", "high", "rsv", "low"][usize::from((b[5] >> 3) & 3)];
        put!(
            self,
            "\n\thop limit {}, Flags [{}], pref {preference}, router lifetime {}s, \
             reachable time {}ms, retrans timer {}ms",
            b[4],
            flag_names(b[5], &names),
            be16(b, 6),
            be32(b, 8),
            be32(b, 12)
        );
        self.options6(seen.skip(16))
    }

    /// RFC 4861 §4.6.
    fn options6(&mut self, mut rest: Seen<'_>) -> Result<(), Cut> {
        while !rest.b.is_empty() && rest.len > 0 {
            let head = rest.need(2, "icmp6")?;
            let (kind, units) = (head[0], usize::from(head[1]));
            let len = units * 8;
            let option = rest.need(len.max(1), "icmp6").and_then(|o| match units {
                0 => Err(Cut::here("icmp6")),
                _ => Ok(o),
            })?;
            let name = match kind {
                1 => "source link-address",
                2 => "destination link-address",
                3 => "prefix info",
                4 => "redirected header",
                5 => "mtu",
                24 => "route info",
                25 => "rdnss",
                31 => "dnssl",
                _ => "unknown",
            };
            put!(self, "\n\t  {name} option ({kind}), length {len} ({units}): ");
            match kind {
                1 | 2 => {
                    let bytes: Vec<String> =
                        option[2..].iter().map(|b| format!("{b:02x}")).collect();
                    put!(self, "{}", bytes.join(":"));
                }
                5 => put!(self, " {}", be32(option, 4)),
                _ => {}
            }
            rest = rest.skip(len);
        }
        Ok(())
    }
}

fn flag_names(flags: u8, names: &[(u8, &str)]) -> String {
    let set: Vec<&str> = names.iter().filter(|n| flags & n.0 != 0).map(|n| n.1).collect();
    if set.is_empty() { "none".to_owned() } else { set.join(", ") }
}

fn address6(seen: Seen<'_>) -> Result<IpAddr, Cut> {
    let b = seen.need(16, "icmp6")?;
    Ok(IpAddr::V6(Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|i| b[i]))))
}

fn quoted_dst6(seen: Seen<'_>) -> Result<IpAddr, Cut> {
    address6(seen.skip(8 + 24))
}

fn icmp6_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "destination unreachable",
        2 => "packet too big",
        3 => "time exceeded in-transit",
        4 => "parameter problem",
        128 => "echo request",
        129 => "echo reply",
        130 => "multicast listener query",
        131 => "multicast listener report",
        132 => "multicast listener done",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbor solicitation",
        136 => "neighbor advertisement",
        137 => "redirect",
        143 => "multicast listener report v2",
        _ => return None,
    })
}
