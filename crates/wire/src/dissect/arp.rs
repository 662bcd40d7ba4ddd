//! ARP, in tcpdump's words.

use core::net::{IpAddr, Ipv4Addr};

use super::link::ethertype_name;
use super::{Cut, Printer, Seen};
use crate::frame::be16;

const IPV4: u16 = 0x0800;
/// «Trailers» (RFC 893), which tcpdump takes for IP as well.
const TRAILERS: u16 = 0x1000;

impl Printer<'_> {
    pub(super) fn arp(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        let header = packet.head(8, "arp")?;
        let (hard, soft) = (usize::from(header[4]), usize::from(header[5]));
        let b = packet.head(8 + 2 * (hard + soft), "arp")?;
        if !self.o.ethernet {
            put!(self, "ARP, ");
        }
        let protocol = be16(header, 2);
        let usual = matches!(protocol, IPV4 | TRAILERS) && soft == 4 && hard != 0;
        if !usual || self.o.verbose > 0 {
            match be16(header, 0) {
                1 => put!(self, "Ethernet"),
                other => put!(self, "Unknown Hardware ({other})"),
            }
            match ethertype_name(protocol) {
                Some(name) => put!(self, " (len {hard}), {name} (len {soft})"),
                None => {
                    put!(self, " (len {hard}), Unknown Protocol (0x{protocol:04x}) (len {soft})");
                }
            }
            if self.o.verbose == 0 {
                put!(self, ", length {}", packet.len);
                return Ok(());
            }
            put!(self, ", ");
        }
        self.arp_operation(packet, Fields { b, hard, soft, protocol })
    }

    fn arp_operation(&mut self, packet: Seen<'_>, f: Fields<'_>) -> Result<(), Cut> {
        let operation = be16(f.b, 6);
        let (sender, target) = (self.arp_address(&f, 0), self.arp_address(&f, 1));
        let (sender_mac, target_mac) = (f.hardware(0), f.hardware(1));
        match operation {
            1 => {
                put!(self, "Request who-has {target}");
                if f.hardware_bytes(1).iter().any(|b| *b != 0) {
                    put!(self, " ({target_mac})");
                }
                put!(self, " tell {sender}");
            }
            2 => put!(self, "Reply {sender} is-at {sender_mac}"),
            // RFC 903.
            3 => put!(self, "Reverse Request who-is {target_mac} tell {sender_mac}"),
            4 => put!(self, "Reverse Reply {target_mac} at {target}"),
            // RFC 2390.
            8 => put!(self, "Inverse Request who-is {target_mac} tell {sender_mac}"),
            9 => put!(self, "Inverse Reply {sender_mac} at {sender}"),
            other => {
                match other {
                    10 => put!(self, "NACK Reply "),
                    _ => put!(self, "Unknown ({other}) "),
                }
                if self.o.lenient {
                    self.out.truncate(self.out.trim_end().len());
                }
                self.unknown(packet.b);
                return Ok(());
            }
        }
        put!(self, ", length {}", packet.len);
        Ok(())
    }

    /// The sender's (0) or the target's (1) protocol address.
    fn arp_address(&self, f: &Fields<'_>, which: usize) -> String {
        if !matches!(f.protocol, IPV4 | TRAILERS) {
            return "<wrong proto type>".to_owned();
        }
        let at = 8 + f.hard + which * (f.hard + f.soft);
        match f.b.get(at..at + 4) {
            Some(a) if f.soft == 4 => self.host(IpAddr::V4(Ipv4Addr::new(a[0], a[1], a[2], a[3]))),
            _ => "<wrong len>".to_owned(),
        }
    }
}

struct Fields<'a> {
    b: &'a [u8],
    /// Bytes of a hardware address.
    hard: usize,
    /// Bytes of a protocol address.
    soft: usize,
    protocol: u16,
}

impl Fields<'_> {
    fn hardware_bytes(&self, which: usize) -> &[u8] {
        let at = 8 + which * (self.hard + self.soft);
        self.b.get(at..at + self.hard).unwrap_or(&[])
    }

    fn hardware(&self, which: usize) -> String {
        let bytes = self.hardware_bytes(which);
        if bytes.is_empty() {
            return "<empty>".to_owned();
        }
        bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
    }
}
