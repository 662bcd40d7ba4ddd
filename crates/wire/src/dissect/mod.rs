//! Packets as tcpdump prints them.
//!
//! [`line()`] gives one line per packet, as `tcpdump -nn` prints it, without the time; [`text()`]
//! gives what it prints with other options: `-e`, `-v` to `-vvv`, `-q`, names instead of numbers,
//! and the bytes (`-x`, `-X`, `-A`).
//!
//! The texts are those of tcpdump 4.99, letter for letter, for what is decoded here: Ethernet with
//! VLAN tags and Linux' cooked captures, ARP, IPv4, IPv6, ICMP, ICMPv6, UDP, TCP with its options,
//! DNS, DHCP, and the lines of HTTP and other protocols of text. [`line()`] differs deliberately in
//! two ways: HTTP is recognised by its first line on every port (tcpdump looks at ports 80 and 8080
//! only), and what tcpdump would add as a hex dump is left out. Malformed and cut-off packets make
//! lines too, such as `[|tcp]`.
//!
//! Like tcpdump, sequence numbers are relative to the connection's start when a [`FlowTracker`] is
//! given that saw an earlier segment; without one they are absolute, as with `-S`.

use core::net::IpAddr;
use std::fmt::{self, Write};

use crate::frame::Frame;

/// Appends to the text.
macro_rules! put {
    ($printer:expr, $($arg:tt)*) => { $printer.put(format_args!($($arg)*)) };
}

mod arp;
mod dhcp;
mod dns;
mod dns_message;
mod flow;
mod hex;
mod http;
mod icmp;
mod icmp6;
mod ip;
mod link;
mod names;
mod tcp;
mod tcp_options;
mod udp;

pub use flow::FlowTracker;
pub use names::service;
pub(crate) use names::{protocol_number, service_port};

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Begin with the Ethernet header, as with tcpdump's `-e`.
    pub ethernet: bool,
}

/// What a capture's packets begin with: the numbers of pcap's link types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkType {
    /// Ethernet (1, `EN10MB`).
    #[default]
    Ethernet,
    /// Raw IP (101, `RAW`).
    Raw,
    /// Linux' cooked capture (113, `LINUX_SLL`).
    Cooked,
    /// Linux' cooked capture, version 2 (276, `LINUX_SLL2`): what `-i any` gives.
    Cooked2,
}

impl LinkType {
    /// The type with this number.
    pub const fn from_number(number: u32) -> Option<LinkType> {
        Some(match number {
            1 => LinkType::Ethernet,
            101 => LinkType::Raw,
            113 => LinkType::Cooked,
            276 => LinkType::Cooked2,
            _ => return None,
        })
    }

    /// Its number in capture files.
    pub const fn number(self) -> u32 {
        match self {
            LinkType::Ethernet => 1,
            LinkType::Raw => 101,
            LinkType::Cooked => 113,
            LinkType::Cooked2 => 276,
        }
    }

    /// Its name as tcpdump lists it, and what it means.
    pub const fn name(self) -> (&'static str, &'static str) {
        match self {
            LinkType::Ethernet => ("EN10MB", "Ethernet"),
            LinkType::Raw => ("RAW", "Raw IP"),
            LinkType::Cooked => ("LINUX_SLL", "Linux cooked v1"),
            LinkType::Cooked2 => ("LINUX_SLL2", "Linux cooked v2"),
        }
    }

    /// Bytes in front of the network header.
    pub const fn header(self) -> usize {
        match self {
            LinkType::Ethernet => 14,
            LinkType::Raw => 0,
            LinkType::Cooked => 16,
            LinkType::Cooked2 => 20,
        }
    }
}

/// Who knows names for numbers.
pub trait Names {
    /// The name of an address; `None` prints the address.
    fn host(&self, address: IpAddr) -> Option<String>;
    /// The name of an interface.
    fn interface(&self, index: u32) -> Option<String>;
}

/// Which bytes are printed below a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dump {
    /// None.
    #[default]
    None,
    /// `-x`: as hexadecimal numbers.
    Hex,
    /// `-X`: as hexadecimal numbers and as text.
    HexText,
    /// `-A`: as text.
    Text,
}

/// What is printed of a packet.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// `-e`: the link header.
    pub ethernet: bool,
    /// `-v`, `-vv`, `-vvv`.
    pub verbose: u8,
    /// `-q`: less about protocols.
    pub quiet: bool,
    /// Names of ports and addresses instead of numbers; none with `-n`.
    pub names: Option<&'a dyn Names>,
    /// Who knows the names of interfaces, for cooked captures.
    pub interfaces: Option<&'a dyn Names>,
    /// The packet's bytes below its text.
    pub dump: Dump,
    /// Those of the link header, too: `-xx`, `-XX`, `-AA`.
    pub dump_link: bool,
    /// HTTP is recognised on every port, and nothing is dumped that was not asked for.
    pub lenient: bool,
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("verbose", &self.verbose).finish_non_exhaustive()
    }
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
    let options = Options { ethernet: style.ethernet, lenient: true, ..Options::default() };
    text(kept, len, LinkType::Ethernet, &options, flows)
}

/// What tcpdump prints of a packet of which `kept` was kept and that was `len` bytes long, without
/// the time in front and the line end behind.
pub fn text(
    kept: &[u8],
    len: usize,
    link: LinkType,
    options: &Options<'_>,
    flows: Option<&mut FlowTracker>,
) -> String {
    let mut p =
        Printer { out: String::with_capacity(120), o: *options, flows, link_len: 0, depth: 0 };
    let seen = Seen { b: kept, len: len.max(kept.len()) };
    if let Err(cut) = p.packet(seen, link) {
        put!(p, " [|{}]", cut.layer);
        if cut.far {
            // What could not be taken apart is dumped whole.
            p.link_len = 0;
        }
    }
    p.bytes_below(kept);
    p.out
}

/// The kept bytes end before something does that must be printed.
struct Cut {
    layer: &'static str,
    /// Where tcpdump gives up the whole packet, not only this layer.
    far: bool,
}

impl Cut {
    fn here(layer: &'static str) -> Cut {
        Cut { layer, far: false }
    }
}

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
        self.b.get(..n).ok_or(Cut { layer, far: true })
    }

    /// The same where only the layer is given up.
    fn head(self, n: usize, layer: &'static str) -> Result<&'a [u8], Cut> {
        self.b.get(..n).ok_or(Cut::here(layer))
    }
}

/// How deep packets may stand in packets.
const DEPTH_MAX: u8 = 8;

/// The text so far, and what it depends on.
struct Printer<'a> {
    out: String,
    o: Options<'a>,
    flows: Option<&'a mut FlowTracker>,
    /// Bytes of the link header.
    link_len: usize,
    /// Packets in packets.
    depth: u8,
}

impl Printer<'_> {
    fn put(&mut self, args: fmt::Arguments<'_>) {
        self.out.write_fmt(args).expect("a string takes everything");
    }

    /// An address, or its name.
    fn host(&self, address: IpAddr) -> String {
        let name = self.o.names.and_then(|n| n.host(address));
        name.unwrap_or_else(|| address.to_string())
    }

    /// A port, or its name.
    fn port(&self, protocol: u8, port: u16) -> String {
        let name = self.o.names.and_then(|_| service(protocol, port));
        name.map_or_else(|| port.to_string(), str::to_owned)
    }

    /// Bytes as text: what cannot be printed as `^X` and `M-x`.
    fn printable(&mut self, bytes: &[u8]) {
        for &b in bytes {
            let mut c = b;
            if c >= 0x80 {
                c &= 0x7f;
                self.out.push_str("M-");
            }
            if !(b' '..=b'~').contains(&c) {
                c ^= 0x40;
                self.out.push('^');
            }
            self.out.push(char::from(c));
        }
    }

    fn bytes_below(&mut self, kept: &[u8]) {
        let from = if self.o.dump_link { 0 } else { self.link_len.min(kept.len()) };
        let bytes = &kept[from..];
        if bytes.is_empty() && !self.o.dump_link {
            return;
        }
        match self.o.dump {
            Dump::None => {}
            Dump::Hex => hex::numbers(&mut self.out, bytes),
            Dump::HexText => hex::numbers_and_text(&mut self.out, bytes),
            Dump::Text => hex::letters(&mut self.out, bytes),
        }
    }

    /// What tcpdump does with what it does not know.
    fn unknown(&mut self, bytes: &[u8]) {
        if !self.o.lenient && !self.o.quiet && self.o.dump == Dump::None {
            hex::numbers_and_text(&mut self.out, bytes);
        }
    }
}
