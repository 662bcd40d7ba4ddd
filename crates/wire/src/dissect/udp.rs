//! UDP, in tcpdump's words.

use core::net::IpAddr;

use super::ip::{Transport, should_be};
use super::{Cut, Printer, Seen};
use crate::frame::be16;
use crate::udp;

impl Printer<'_> {
    pub(super) fn udp(&mut self, t: Transport<'_>) -> Result<(), Cut> {
        let seen = t.seen;
        let Ok(ports) = seen.need(4, "udp") else {
            self.hosts(t.src, t.dst);
            return Err(Cut::here("udp"));
        };
        let (from, to) = (be16(ports, 0), be16(ports, 2));
        self.ends(&t, from, to);
        if seen.len < udp::HEADER {
            put!(self, "truncated-udp {}", seen.len);
            return Ok(());
        }
        let claimed = usize::from(be16(seen.head(6, "udp")?, 4));
        if claimed < udp::HEADER {
            put!(self, "truncated-udplength {claimed}");
            return Ok(());
        }
        seen.head(udp::HEADER, "udp")?;
        let claimed = claimed - udp::HEADER;
        let body = seen.skip(udp::HEADER);
        let body = Seen { len: body.len.min(claimed), ..body };
        if self.o.verbose > 0 && !t.fragment && !self.o.quiet {
            self.udp_checksum(&t, body.len)?;
        }
        let either = |port: u16| from == port || to == port;
        if !self.o.quiet {
            match () {
                () if either(53) => return self.domain(body, false, false),
                () if either(5353) => return self.domain(body, false, true),
                () if either(67) || either(68) => return self.dhcp(body),
                () => {}
            }
        }
        if claimed > body.len && !t.fragment {
            put!(self, "UDP, bad length {claimed} > {}", body.len);
        } else {
            put!(self, "UDP, length {claimed}");
        }
        Ok(())
    }

    fn udp_checksum(&mut self, t: &Transport<'_>, data: usize) -> Result<(), Cut> {
        // For IPv4, where it may be left out, it takes -vv.
        if t.src.is_ipv4() && self.o.verbose < 2 {
            return Ok(());
        }
        let field = t.seen.need(8, "udp").map(|b| be16(b, 6));
        let whole = t.seen.b.len() >= udp::HEADER + data;
        match (t.src, field) {
            (IpAddr::V4(_), Err(cut)) => return Err(cut),
            (IpAddr::V4(_), Ok(0)) => put!(self, "[no cksum] "),
            (_, Ok(field)) if whole => match t.checksum(udp::HEADER + data) {
                0 => put!(self, "[udp sum ok] "),
                sum => {
                    let right = should_be(field, sum);
                    put!(self, "[bad udp cksum 0x{field:04x} -> 0x{right:04x}!] ");
                }
            },
            _ => {}
        }
        Ok(())
    }
}
