//! ARP, in tcpdump's words.

use super::{Cut, Printer, Seen};
use crate::Arp;
use crate::arp::LEN;
use crate::eth::Mac;
use crate::frame::be16;

impl Printer<'_> {
    pub(super) fn arp(&mut self, packet: Seen<'_>) -> Result<(), Cut> {
        let header = packet.need(8, "arp")?;
        let sizes = (header[4], header[5]);
        packet.need(8 + 2 * (usize::from(sizes.0) + usize::from(sizes.1)), "arp")?;
        if !self.style.ethernet {
            put!(self, "ARP, ");
        }
        if be16(header, 2) != 0x0800 || sizes != (6, 4) {
            match be16(header, 0) {
                1 => put!(self, "Ethernet"),
                other => put!(self, "Unknown Hardware ({other})"),
            }
            put!(self, " (len {}), Unknown Protocol (0x{:04x})", sizes.0, be16(header, 2));
            put!(self, " (len {}), length {}", sizes.1, packet.len);
            return Ok(());
        }
        // Like tcpdump, take any hardware with addresses of six bytes for Ethernet.
        let mut b: [u8; LEN] = packet.need(LEN, "arp")?.try_into().map_err(|_| Cut("arp"))?;
        b[..2].copy_from_slice(&[0, 1]);
        let arp = Arp::parse(&b).map_err(|_| Cut("arp"))?;
        match arp.operation {
            Arp::REQUEST => self.arp_request(&arp),
            Arp::REPLY => put!(self, "Reply {} is-at {}", arp.sender, arp.sender_mac),
            // RFC 903.
            3 => put!(self, "Reverse Request who-is {} tell {}", arp.target_mac, arp.sender_mac),
            4 => put!(self, "Reverse Reply {} at {}", arp.target_mac, arp.target),
            other => {
                put!(self, "Unknown ({other})");
                return Ok(());
            }
        }
        put!(self, ", length {}", packet.len);
        Ok(())
    }

    fn arp_request(&mut self, arp: &Arp) {
        put!(self, "Request who-has {}", arp.target);
        if arp.target_mac != Mac::ZERO {
            put!(self, " ({})", arp.target_mac);
        }
        put!(self, " tell {}", arp.sender);
    }
}
