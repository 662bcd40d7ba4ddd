//! Ethernet and Linux' cooked captures, in tcpdump's words.

use super::{Cut, LinkType, Printer, Seen};
use crate::eth::{EtherType, Mac};
use crate::frame::be16;

impl Printer<'_> {
    pub(super) fn packet(&mut self, packet: Seen<'_>, link: LinkType) -> Result<(), Cut> {
        match link {
            LinkType::Ethernet => self.ethernet(packet),
            LinkType::Raw => self.raw(packet),
            LinkType::Cooked => self.cooked(packet),
            LinkType::Cooked2 => self.cooked2(packet),
        }
    }

    fn raw(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        if self.o.ethernet {
            put!(self, "ip: ");
        }
        match packet.need(1, "raw")?[0] >> 4 {
            4 => self.ipv4(packet),
            6 => self.ipv6(packet),
            other => {
                put!(self, "unknown ip {other}");
                Ok(())
            }
        }
    }

    fn ethernet(&mut self, frame: Seen<'_>) -> Result<(), Cut> {
        let Ok(header) = frame.need(14, "ether") else {
            put!(self, "[|ether]");
            return Ok(());
        };
        let mut ty = be16(header, 12);
        let mut body = frame.skip(14);
        self.link_len = 14;
        if self.o.ethernet {
            self.addresses(header);
        }
        let mut named = false;
        while matches!(ty, 0x8100 | 0x88a8 | 0x9100 | 0x9200) {
            let Ok(tag) = body.need(4, "vlan") else { return Err(Cut::here("vlan")) };
            if self.o.ethernet {
                self.ethertype(ty);
                if named {
                    put!(self, ", ");
                } else {
                    put!(self, ", length {}: ", frame.len);
                }
                named = true;
                self.vlan_tag(be16(tag, 0));
            }
            ty = be16(tag, 2);
            body = body.skip(4);
            self.link_len += 4;
        }
        // IEEE 802.3 clause 3.2.6: up to 1500 it is a length.
        if ty <= 1500 {
            return self.length_field(header, ty, body, named);
        }
        if self.o.ethernet {
            self.ethertype(ty);
            if named {
                put!(self, ", ");
            } else {
                put!(self, ", length {}: ", frame.len);
            }
        }
        if self.network(ty, body)? {
            return Ok(());
        }
        if !self.o.ethernet {
            self.addresses(header);
            self.ethertype(ty);
            put!(self, ", length {}: ", frame.len);
        }
        self.trim();
        self.unknown(body.b);
        Ok(())
    }

    /// What has a length where others have a type: LLC, which is not taken apart here.
    fn length_field(
        &mut self,
        header: &[u8],
        length: u16,
        body: Seen<'_>,
        named: bool,
    ) -> Result<(), Cut> {
        let body = body.limit(length.into());
        if !self.o.ethernet {
            self.addresses(header);
        }
        put!(self, "802.3");
        if !named {
            put!(self, ", length {}: ", if self.o.lenient { length.into() } else { body.len });
        }
        self.trim();
        self.unknown(body.b);
        Ok(())
    }

    /// tcpdump's lines end with a colon and a blank where only bytes follow.
    fn trim(&mut self) {
        if self.o.lenient {
            let end = self.out.trim_end_matches([':', ' ', ',']).len();
            self.out.truncate(end);
        }
    }

    /// The packet of a network protocol; `false` when it is none that is known.
    fn network(&mut self, ty: u16, body: Seen<'_>) -> Result<bool, Cut> {
        match EtherType(ty) {
            EtherType::IPV4 => self.ipv4(body)?,
            EtherType::IPV6 => self.ipv6(body)?,
            EtherType::ARP => self.arp(body)?,
            // RFC 903 shares ARP's format.
            EtherType(0x8035) => self.arp(body)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn addresses(&mut self, header: &[u8]) {
        let mac = |at: usize| Mac(std::array::from_fn(|i| header[at + i]));
        let (from, to) = (self.mac(mac(6)), self.mac(mac(0)));
        put!(self, "{from} > {to}, ");
    }

    /// A MAC address; with names, the one that has a name.
    fn mac(&self, mac: Mac) -> String {
        match self.o.names {
            Some(_) if mac == Mac::BROADCAST => "Broadcast".to_owned(),
            _ => mac.to_string(),
        }
    }

    fn ethertype(&mut self, ty: u16) {
        match (self.o.quiet, ethertype_name(ty)) {
            (false, name) => put!(self, "ethertype {} (0x{ty:04x})", name.unwrap_or("Unknown")),
            (true, Some(name)) => put!(self, "{name}"),
            (true, None) => put!(self, "Unknown Ethertype (0x{ty:04x})"),
        }
    }

    /// IEEE 802.1Q clause 9.6: priority, drop eligible, VLAN id.
    fn vlan_tag(&mut self, tag: u16) {
        let dei = if tag & 0x1000 != 0 { ", DEI" } else { "" };
        put!(self, "vlan {}, p {}{dei}, ", tag & 0xfff, tag >> 13);
    }

    fn cooked(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        let header = packet.need(16, "sll")?;
        let ty = be16(header, 14);
        let kind = |p: &mut Self| {
            put!(p, "{:>3} ", packet_type(be16(header, 0)));
            if be16(header, 4) == 6 {
                put!(p, "{} ", Mac(std::array::from_fn(|i| header[6 + i])));
            }
            p.cooked_type(ty, packet.len);
        };
        if self.o.ethernet {
            kind(self);
        }
        self.link_len = 16;
        if !self.cooked_body(ty, packet.skip(16))? {
            if !self.o.ethernet {
                kind(self);
            }
            self.unknown(packet.skip(16).b);
        }
        Ok(())
    }

    fn cooked2(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        let header = packet.need(20, "sll2")?;
        let ty = be16(header, 0);
        let index = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let name = self.o.interfaces.and_then(|n| n.interface(index));
        put!(self, "{:<5} ", name.as_deref().unwrap_or("?"));
        put!(self, "{:<3} ", packet_type(header[10].into()));
        let describe = |p: &mut Self| {
            put!(p, "ifindex {index} ");
            if header[11] == 6 {
                put!(p, "{} ", Mac(std::array::from_fn(|i| header[12 + i])));
            }
            p.cooked_type(ty, packet.len);
        };
        if self.o.ethernet {
            describe(self);
        }
        self.link_len = 20;
        if !self.cooked_body(ty, packet.skip(20))? {
            if !self.o.ethernet {
                describe(self);
            }
            self.unknown(packet.skip(20).b);
        }
        Ok(())
    }

    fn cooked_type(&mut self, ty: u16, len: usize) {
        if self.o.quiet {
            return;
        }
        match ty {
            1 => put!(self, "802.3"),
            4 => put!(self, "802.2"),
            _ => put!(self, "ethertype {} (0x{ty:04x})", ethertype_name(ty).unwrap_or("Unknown")),
        }
        put!(self, ", length {len}: ");
    }

    fn cooked_body(&mut self, mut ty: u16, mut body: Seen<'_>) -> Result<bool, Cut> {
        while ty == 0x8100 {
            let tag = body.need(4, "vlan")?;
            if self.o.ethernet {
                self.vlan_tag(be16(tag, 0));
            }
            ty = be16(tag, 2);
            if !self.o.quiet {
                put!(self, "ethertype {}, ", ethertype_name(ty).unwrap_or("Unknown"));
            }
            body = body.skip(4);
            self.link_len += 4;
        }
        self.network(ty, body)
    }
}

fn packet_type(kind: u16) -> &'static str {
    match kind {
        0 => "In",
        1 => "B",
        2 => "M",
        3 => "P",
        4 => "Out",
        _ => "?",
    }
}

pub(super) fn ethertype_name(ty: u16) -> Option<&'static str> {
    Some(match ty {
        0x0200 => "PUP",
        0x0600 => "NS",
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x6558 => "TEB",
        0x8035 => "Reverse ARP",
        0x8100 => "802.1Q",
        0x8137 => "IPX",
        0x86dd => "IPv6",
        0x8847 => "MPLS unicast",
        0x8848 => "MPLS multicast",
        0x8863 => "PPPoE D",
        0x8864 => "PPPoE S",
        0x888e => "EAPOL",
        0x88a8 => "802.1Q-QinQ",
        0x88cc => "LLDP",
        0x88f7 => "PTP",
        0x9000 => "Loopback",
        0x9100 => "802.1Q-9100",
        0x9200 => "802.1Q-9200",
        _ => return None,
    })
}
