//! What forwarding and NAT change in place, with checksums updated incrementally (RFC 1624).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use netarium_base::FlowId;

use crate::checksum::{Sum, update};
use crate::frame::{Frame, Layers, Network, be16, be32, flow_id};
use crate::icmp::is_echo;
use crate::ip::{Side, V4_HEADER, protocol};
use crate::tcp::TcpHeader;

impl Frame {
    /// Takes one hop off the time to live. `false` (and no change) when it was 0 or 1.
    pub fn decrement_ttl(&mut self) -> bool {
        let ttl = self.ttl();
        if ttl <= 1 {
            return false;
        }
        let l3 = self.l3();
        match self.meta.layers.network {
            Network::Ipv4 => {
                let old = Sum::word(be16(self.head(), l3 + 8));
                self.head_mut()[l3 + 8] = ttl - 1;
                let new = Sum::word(be16(self.head(), l3 + 8));
                self.update_field(l3 + 10, old, new);
            }
            _ => self.head_mut()[l3 + 7] = ttl - 1,
        }
        true
    }

    /// Replaces the address, and for TCP and UDP the port, of one side. For an echo of ICMP or ICMPv6 the port
    /// replaces the identifier. Frames that are not IP of the address's family stay as they are.
    pub fn rewrite(&mut self, side: Side, to: SocketAddr) {
        let done = match to {
            SocketAddr::V4(to) => self.rewrite_v4(side, *to.ip(), to.port()),
            SocketAddr::V6(_) => None,
        };
        self.meta.flow = match done {
            Some(flow) => flow,
            None => {
                self.rewrite_any(side, to);
                self.flow_key()
            }
        };
    }

    /// TCP and UDP over IPv4, as nearly all that is translated: its flow from now on. `None`: the
    /// packet is another one.
    fn rewrite_v4(&mut self, side: Side, ip: Ipv4Addr, port: u16) -> Option<FlowId> {
        let Layers { network, l3, l4, protocol, .. } = self.meta.layers;
        let checksum = match (network, protocol) {
            (Network::Ipv4, protocol::TCP) => 16,
            (Network::Ipv4, protocol::UDP) => 6,
            _ => return None,
        };
        let (address_at, port_at) = if side == Side::Source { (12, 0) } else { (16, 2) };
        let (before, transport) = self.head_mut().split_at_mut_checked(l4.into())?;
        if transport.len() < checksum + 2 {
            return None;
        }
        let header = before.get_mut(l3.into()..)?.first_chunk_mut::<V4_HEADER>()?;
        let (old_ip, new_ip) = (Sum::long(be32(header, address_at)), Sum::long(ip.into()));
        header[address_at..address_at + 4].copy_from_slice(&ip.octets());
        update_sum(header, 10, old_ip, new_ip);
        let old_port = Sum::word(be16(transport, port_at));
        transport[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
        let udp = protocol == protocol::UDP;
        if !udp || be16(transport, checksum) != 0 {
            update_sum(transport, checksum, old_port + old_ip, Sum::word(port) + new_ip);
            if udp && be16(transport, checksum) == 0 {
                transport[checksum..checksum + 2].copy_from_slice(&[0xff, 0xff]);
            }
        }
        let end = |address: usize, port: usize| {
            (Ipv4Addr::from(be32(header, address)).into(), be16(transport, port))
        };
        Some(flow_id(protocol, end(12, 0), end(16, 2)))
    }

    fn rewrite_any(&mut self, side: Side, to: SocketAddr) {
        let old = match side {
            Side::Source => self.src_ip(),
            Side::Destination => self.dst_ip(),
        };
        let Some(old) = old.filter(|ip| ip.is_ipv4() == to.is_ipv4()) else { return };
        self.write_address(side, to.ip());
        let (old_sum, new_sum) = (address_sum(old), address_sum(to.ip()));
        if self.meta.layers.network == Network::Ipv4 {
            let at = self.l3() + 10;
            self.update_field(at, old_sum, new_sum);
        }
        // Later fragments have no transport header to rewrite.
        if !self.transport().is_empty() {
            self.rewrite_transport(side, to.port(), old_sum, new_sum);
        }
    }

    fn rewrite_transport(&mut self, side: Side, port: u16, old_ip: Sum, new_ip: Sum) {
        let l4 = self.meta.layers.l4 as usize;
        let (checksum, at) = match self.meta.layers.protocol {
            protocol::TCP => (l4 + 16, l4 + if side == Side::Source { 0 } else { 2 }),
            protocol::UDP => (l4 + 6, l4 + if side == Side::Source { 0 } else { 2 }),
            protocol::ICMP if self.meta.layers.network == Network::Ipv4 => {
                self.rewrite_ident(
                    is_echo(protocol::ICMP, self.head()[l4]),
                    port,
                    Sum::ZERO,
                    Sum::ZERO,
                );
                return;
            }
            // Unlike ICMP's, its checksum covers the addresses (RFC 4443 §2.3).
            protocol::ICMPV6 if self.meta.layers.network == Network::Ipv6 => {
                self.rewrite_ident(
                    is_echo(protocol::ICMPV6, self.head()[l4]),
                    port,
                    old_ip,
                    new_ip,
                );
                return;
            }
            _ => return,
        };
        let old = Sum::word(be16(self.head(), at));
        self.head_mut()[at..at + 2].copy_from_slice(&port.to_be_bytes());
        let udp = self.meta.layers.protocol == protocol::UDP;
        if udp && be16(self.head(), checksum) == 0 {
            return;
        }
        self.update_field(checksum, old + old_ip, Sum::word(port) + new_ip);
        if udp && be16(self.head(), checksum) == 0 {
            self.head_mut()[checksum..checksum + 2].copy_from_slice(&[0xff, 0xff]);
        }
    }

    /// Replaces the identifier of an echo, and the sum of the addresses.
    fn rewrite_ident(&mut self, echo: bool, ident: u16, old_ip: Sum, new_ip: Sum) {
        let l4 = self.meta.layers.l4 as usize;
        let old = Sum::word(be16(self.head(), l4 + 4));
        let new = if echo { Sum::word(ident) } else { old };
        if echo {
            self.head_mut()[l4 + 4..l4 + 6].copy_from_slice(&ident.to_be_bytes());
        }
        self.update_field(l4 + 2, old + old_ip, new + new_ip);
        // RFC 1624 §3 assumes that not all words are zero. Those of an echo reply can be.
        if self.head()[l4..l4 + 8] == [0; 8] && self.payload().sum() == Sum::ZERO {
            self.head_mut()[l4 + 2..l4 + 4].copy_from_slice(&[0xff, 0xff]);
        }
    }

    fn write_address(&mut self, side: Side, ip: IpAddr) {
        let l3 = self.l3();
        let source = side == Side::Source;
        match ip {
            IpAddr::V4(a) => {
                let at = l3 + if source { 12 } else { 16 };
                self.head_mut()[at..at + 4].copy_from_slice(&a.octets());
            }
            IpAddr::V6(a) => {
                let at = l3 + if source { 8 } else { 24 };
                self.head_mut()[at..at + 16].copy_from_slice(&a.octets());
            }
        }
    }

    /// Lowers the maximum segment size that a TCP SYN offers (RFC 9293 §3.7.1) to `most` bytes, and
    /// says what it was. `None`: there is none, or it is no more than that.
    pub fn lower_mss(&mut self, most: u16) -> Option<u16> {
        if self.meta.layers.protocol != protocol::TCP || self.transport().len() < 20 {
            return None;
        }
        let l4 = self.meta.layers.l4 as usize;
        let options = TcpHeader::options_of(self).mss_at()? + 20;
        let at = l4 + options;
        let offered = be16(self.head(), at);
        if offered <= most {
            return None;
        }
        self.head_mut()[at..at + 2].copy_from_slice(&most.to_be_bytes());
        // A value at an odd place lies across two words of the sum.
        let sum = |n: u16| Sum::word(if options % 2 == 0 { n } else { n.swap_bytes() });
        self.update_field(l4 + 16, sum(offered), sum(most));
        Some(offered)
    }

    fn update_field(&mut self, at: usize, old: Sum, new: Sum) {
        update_sum(self.head_mut(), at, old, new);
    }
}

/// Updates the checksum at `at`.
fn update_sum(b: &mut [u8], at: usize, old: Sum, new: Sum) {
    if old == new {
        return;
    }
    let field = update(be16(b, at), old, new);
    b[at..at + 2].copy_from_slice(&field.to_be_bytes());
}

fn address_sum(ip: IpAddr) -> Sum {
    match ip {
        IpAddr::V4(a) => Sum::long(a.into()),
        IpAddr::V6(a) => Sum::of(&a.octets()),
    }
}
