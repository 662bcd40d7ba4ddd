//! IPv4, IPv6 and UDP, in tcpdump's words.

use core::net::IpAddr;

use super::{Cut, Printer, Seen, http};
use crate::frame::{Network, be16};
use crate::ip::{Side, V4_HEADER, V6_HEADER, address_at, protocol};
use crate::udp;

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

impl Printer<'_> {
    pub(super) fn ipv4(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        let version = packet.need(1, "ip")?[0] >> 4;
        if version != 4 {
            let and = if version == 6 { ", wrong link-layer encapsulation" } else { "" };
            put!(self, "IP{version}{and} (invalid)");
            return Ok(());
        }
        if !self.style.ethernet {
            put!(self, "IP ");
        }
        let b = packet.need(V4_HEADER, "ip")?;
        let header = usize::from(b[0] & 0x0f) * 4;
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
        let (src, dst) = addresses(Network::Ipv4, b)?;
        let offset = be16(b, 6);
        if offset & 0x1fff != 0 {
            put!(self, "{src} > {dst}: ip-proto-{}", b[9]);
            return Ok(());
        }
        if packet.b.len() < header {
            if !matches!(b[9], protocol::TCP | protocol::UDP) {
                put!(self, "{src} > {dst}: ");
            }
            put!(self, " [remaining caplen({}) < header length({header})]", packet.b.len());
            return Err(Cut("ip"));
        }
        // What IP claims to carry counts, even when less arrived.
        let body = Seen { len: len - header, ..packet.limit(len).skip(header) };
        let fragment = offset & 0x2000 != 0;
        self.transport(Transport { src, dst, protocol: b[9], fragment, seen: body })
    }

    pub(super) fn ipv6(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        let b = packet.need(V6_HEADER, "ip6")?;
        let version = b[0] >> 4;
        if version != 6 {
            put!(self, "IP6 version error: {version} != 6");
            return Ok(());
        }
        if !self.style.ethernet {
            put!(self, "IP6 ");
        }
        let len = usize::from(be16(b, 4));
        if packet.len < len + V6_HEADER {
            put!(self, "truncated-ip6 - {} bytes missing!", len + V6_HEADER - packet.len);
        }
        let (src, dst) = addresses(Network::Ipv6, b)?;
        let body = Seen { len, ..packet.skip(V6_HEADER).limit(len) };
        self.transport(Transport { src, dst, protocol: b[6], fragment: false, seen: body })
    }

    fn transport(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        match t.protocol {
            protocol::TCP => self.tcp(t),
            protocol::UDP => self.udp(t),
            other => {
                put!(self, "{} > {}: ", t.src, t.dst);
                match (other, t.src) {
                    (protocol::ICMP, IpAddr::V4(_)) => self.icmp(t.seen),
                    (protocol::ICMPV6, IpAddr::V6(_)) => self.icmp6(t.seen),
                    _ => {
                        put!(self, " ip-proto-{other} {}", t.seen.len);
                        Ok(())
                    }
                }
            }
        }
    }

    fn udp(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        let seen = t.seen;
        let Ok(ports) = seen.need(4, "udp") else {
            put!(self, "{} > {}: ", t.src, t.dst);
            return Err(Cut("udp"));
        };
        self.ends(&t, be16(ports, 0), be16(ports, 2));
        if seen.len < udp::HEADER {
            put!(self, "truncated-udplength {}", seen.len);
            return Ok(());
        }
        let claimed = usize::from(be16(seen.need(6, "udp")?, 4));
        // RFC 2675 §4: zero stands for a jumbogram; it is taken as the rest of the packet.
        let claimed = if claimed == 0 { seen.len } else { claimed };
        if claimed < udp::HEADER {
            put!(self, "truncated-udplength {claimed}");
            return Ok(());
        }
        seen.need(udp::HEADER, "udp")?;
        if claimed > seen.len && !t.fragment {
            put!(self, "UDP, bad length {} > {}", claimed - udp::HEADER, seen.len - udp::HEADER);
        } else {
            put!(self, "UDP, length {}", claimed - udp::HEADER);
        }
        Ok(())
    }

    /// `10.0.0.1.4000 > 10.0.0.2.80: `
    pub(super) fn ends(&mut self, t: &Transport<'_>, src_port: u16, dst_port: u16) {
        put!(self, "{}.{src_port} > {}.{dst_port}: ", t.src, t.dst);
    }

    /// `: HTTP: GET / HTTP/1.1` for a TCP payload that looks like it.
    pub(super) fn application(&mut self, ports: [u16; 2], payload: Seen<'_>) {
        http::print(self, ports.contains(&80) || ports.contains(&8080), payload);
    }
}

fn addresses(network: Network, header: &[u8]) -> Result<(IpAddr, IpAddr), Cut> {
    let address = |side| address_at(network, header, side).ok_or(Cut("ip"));
    Ok((address(Side::Source)?, address(Side::Destination)?))
}
