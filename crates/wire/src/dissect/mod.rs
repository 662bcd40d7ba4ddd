//! One line per packet, as `tcpdump -nn` prints it, without the time.
//!
//! The lines are those of tcpdump 4.99, letter for letter, for what is decoded here: Ethernet with
//! VLAN tags, ARP, IPv4, IPv6, ICMP, ICMPv6, UDP, TCP with its options, the first line of HTTP. Two
//! deliberate differences: HTTP is recognised by its first line on every port (tcpdump looks at
//! ports 80 and 8080 only), and what tcpdump would add as a hex dump is left out. Names are never
//! looked up. Malformed and cut-off packets make lines too, such as `[|tcp]`.
//!
//! Like tcpdump, [`line()`] prints sequence numbers relative to the connection's start when it is
//! given a [`FlowTracker`] that saw an earlier segment; without one they are absolute.

use std::fmt::{self, Write};

use crate::eth::{EtherType, Mac};
use crate::frame::{Frame, be16};

/// Appends to the line.
macro_rules! put {
    ($printer:expr, $($arg:tt)*) => { $printer.put(format_args!($($arg)*)) };
}

mod arp;
mod flow;
mod http;
mod icmp;
mod ip;
mod tcp;

pub use flow::FlowTracker;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Begin with the Ethernet header, as with tcpdump's `-e`.
    pub ethernet: bool,
}

/// The line of a frame, without a line end.
pub fn line(frame: &Frame, style: Style, flows: Option<&mut FlowTracker>) -> String {
    line_of_bytes(&frame.to_vec(), frame.len(), style, flows)
}

/// The line of a frame of which only the first bytes were kept; `len` is its original length.
pub fn line_of_bytes(
    kept: &[u8],
    len: usize,
    style: Style,
    flows: Option<&mut FlowTracker>,
) -> String {
    let mut out = Printer { out: String::with_capacity(120), style, flows };
    let seen = Seen { b: kept, len: len.max(kept.len()) };
    if let Err(Cut(layer)) = out.ethernet(seen) {
        put!(out, " [|{layer}]");
    }
    out.out
}

/// The kept bytes end before something does that must be printed.
struct Cut(&'static str);

/// Bytes that were kept of something that is `len` bytes long.
#[derive(Clone, Copy)]
struct Seen<'a> {
    b: &'a [u8],
    len: usize,
}

impl<'a> Seen<'a> {
    fn skip(self, n: usize) -> Seen<'a> {
        Seen { b: self.b.get(n..).unwrap_or(&[]), len: self.len.saturating_sub(n) }
    }

    /// The same with at most `len` bytes.
    fn limit(self, len: usize) -> Seen<'a> {
        Seen { b: &self.b[..self.b.len().min(len)], len: self.len.min(len) }
    }

    /// The first `n` bytes, when they were kept.
    fn need(self, n: usize, layer: &'static str) -> Result<&'a [u8], Cut> {
        self.b.get(..n).ok_or(Cut(layer))
    }
}

/// The line so far, and what it depends on.
struct Printer<'t> {
    out: String,
    style: Style,
    flows: Option<&'t mut FlowTracker>,
}

impl Printer<'_> {
    fn put(&mut self, args: fmt::Arguments<'_>) {
        self.out.write_fmt(args).expect("a string takes everything");
    }

    fn ethernet(&mut self, frame: Seen<'_>) -> Result<(), Cut> {
        let Ok(header) = frame.need(14, "ether") else {
            put!(self, "[|ether]");
            return Ok(());
        };
        let mut ty = be16(header, 12);
        if self.style.ethernet {
            self.link_header(header, ty, frame.len);
        }
        let mut body = frame.skip(14);
        while matches!(ty, 0x8100 | 0x88a8 | 0x9100) {
            let tag = body.need(4, "vlan")?;
            ty = be16(tag, 2);
            if self.style.ethernet {
                self.vlan_tag(be16(tag, 0), ty);
            }
            body = body.skip(4);
        }
        match EtherType(ty) {
            EtherType::IPV4 => self.ipv4(body),
            EtherType::IPV6 => self.ipv6(body),
            EtherType::ARP => self.arp(body),
            _ => {
                if !self.style.ethernet {
                    self.link_header(header, be16(header, 12), frame.len);
                }
                let end = self.out.trim_end_matches([':', ' ', ',']).len();
                self.out.truncate(end);
                Ok(())
            }
        }
    }

    fn link_header(&mut self, header: &[u8], ty: u16, len: usize) {
        let mac = |at: usize| Mac(std::array::from_fn(|i| header[at + i]));
        put!(self, "{} > {}, ", mac(6), mac(0));
        // IEEE 802.3 clause 3.2.6: up to 1500 it is a length.
        if ty <= 1500 {
            put!(self, "802.3, length {ty}: ");
        } else {
            let name = ethertype_name(ty);
            put!(self, "ethertype {} (0x{ty:04x}), length {len}: ", name.unwrap_or("Unknown"));
        }
    }

    /// IEEE 802.1Q clause 9.6: priority, drop eligible, VLAN id.
    fn vlan_tag(&mut self, tag: u16, ty: u16) {
        let dei = if tag & 0x1000 != 0 { ", DEI" } else { "" };
        put!(self, "vlan {}, p {}{dei}, ", tag & 0xfff, tag >> 13);
        if ty > 1500 {
            match ethertype_name(ty) {
                Some(name) => put!(self, "ethertype {name} (0x{ty:04x}), "),
                None => put!(self, "ethertype 0x{ty:04x} (0x{ty:04x}), "),
            }
        }
    }
}

fn ethertype_name(ty: u16) -> Option<&'static str> {
    Some(match ty {
        0x0800 => "IPv4",
        0x0806 => "ARP",
        0x8035 => "Reverse ARP",
        0x8100 => "802.1Q",
        0x86dd => "IPv6",
        0x8863 => "PPPoE D",
        0x8864 => "PPPoE S",
        0x888e => "EAPOL",
        0x88a8 => "802.1Q-QinQ",
        0x88cc => "LLDP",
        0x9100 => "802.1Q-9100",
        _ => return None,
    })
}
