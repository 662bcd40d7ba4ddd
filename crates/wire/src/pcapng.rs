//! Writing captures in pcapng (draft-ietf-opsawg-pcapng), the format Wireshark calls its own.
//!
//! A [`Writer`] appends blocks to a `Vec<u8>` that the caller drains to a file or a pipe whenever
//! it likes; every method leaves whole blocks. Byte order is little-endian on every machine, so
//! that the same run gives the same bytes. Strings longer than an option holds (65535 bytes) are
//! cut at a character's end. Reading is not done here.

use core::net::IpAddr;

use netarium_base::Instant;

use crate::cidr::Cidr;
use crate::eth::Mac;
use crate::frame::Frame;

/// LINKTYPE_ETHERNET.
const LINKTYPE_ETHERNET: u16 = 1;
/// The snap length that tcpdump and dumpcap use by default, in bytes.
pub const SNAPLEN_DEFAULT: u32 = 262_144;
/// Secrets in the format of NSS's key log file: what browsers write to `SSLKEYLOGFILE`.
pub const SECRETS_TLS_KEY_LOG: u32 = 0x544c_534b;
/// The most bytes an option's value or a name record has.
const VALUE_MAX: usize = u16::MAX as usize;

mod block {
    pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
    pub(super) const NAME_RESOLUTION: u32 = 4;
    pub(super) const INTERFACE_STATISTICS: u32 = 5;
    pub(super) const ENHANCED_PACKET: u32 = 6;
    pub(super) const DECRYPTION_SECRETS: u32 = 10;
}

mod option {
    pub(super) const END: u16 = 0;
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SHB_HARDWARE: u16 = 2;
    pub(super) const SHB_OS: u16 = 3;
    pub(super) const SHB_USERAPPL: u16 = 4;
    pub(super) const IF_NAME: u16 = 2;
    pub(super) const IF_DESCRIPTION: u16 = 3;
    pub(super) const IF_IPV4ADDR: u16 = 4;
    pub(super) const IF_IPV6ADDR: u16 = 5;
    pub(super) const IF_MACADDR: u16 = 6;
    pub(super) const IF_SPEED: u16 = 8;
    pub(super) const IF_TSRESOL: u16 = 9;
    pub(super) const EPB_FLAGS: u16 = 2;
    pub(super) const EPB_PACKETID: u16 = 5;
    pub(super) const ISB_STARTTIME: u16 = 2;
    pub(super) const ISB_ENDTIME: u16 = 3;
    pub(super) const ISB_IFRECV: u16 = 4;
    pub(super) const ISB_IFDROP: u16 = 5;
}

/// What the header of a capture says about its maker. Empty strings are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Section<'a> {
    /// The machine (`shb_hardware`).
    pub hardware: &'a str,
    /// The operating system (`shb_os`).
    pub os: &'a str,
    /// The program; empty for «netarium» and its version (`shb_userappl`).
    pub application: &'a str,
    /// A comment on the whole capture.
    pub comment: &'a str,
}

/// One interface of a capture: one end of one link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interface<'a> {
    /// Its name, such as `web.home`.
    pub name: &'a str,
    /// A sentence about it; left out when empty.
    pub description: &'a str,
    /// Its MAC address, when it has one.
    pub mac: Option<Mac>,
    /// Its addresses with prefix lengths.
    pub addresses: &'a [Cidr],
    /// Its rate in bits per second, when it is limited.
    pub speed: Option<u64>,
    /// How many bytes of a frame are kept; 0 for all.
    pub snaplen: u32,
}

/// The number of an interface within its capture, in the order of [`Writer::interface`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u32);

/// Which way a frame passed an interface, seen from its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// What is recorded about a frame besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Where it was seen.
    pub interface: InterfaceId,
    /// When it was seen.
    pub at: Instant,
    /// Which way it went.
    pub direction: Option<Direction>,
    /// A number that is the same wherever the same packet was seen (`epb_packetid`).
    pub id: Option<u64>,
    /// Comments; Wireshark shows each on a line of its own.
    pub comments: &'a [&'a str],
}

/// The counters of an interface at the end of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// When the capture of the interface began.
    pub start: Instant,
    /// When it ended.
    pub end: Instant,
    /// Frames that passed the interface.
    pub received: u64,
    /// Frames that are missing from the capture.
    pub dropped: u64,
}

/// Writes the blocks of one section. Has no buffer: blocks are appended to the `out` of each call.
#[derive(Clone, Debug)]
pub struct Writer {
    epoch: u64,
    snaplens: Vec<u32>,
}

impl Writer {
    /// Begins a section. `epoch` is what virtual time zero is called in the capture, in nanoseconds
    /// since 1970-01-01 UTC; sums beyond 2⁶⁴ − 1 (the year 2554) saturate.
    pub fn start(out: &mut Vec<u8>, epoch: u64, section: &Section<'_>) -> Writer {
        let application = match section.application {
            "" => concat!("netarium ", env!("CARGO_PKG_VERSION")),
            given => given,
        };
        Block::write(out, block::SECTION_HEADER, |b| {
            b.u32(0x1a2b_3c4d);
            b.u16(1);
            b.u16(0);
            // The length of the section is unknown while it is being written.
            b.u64(u64::MAX);
            let comment = (option::COMMENT, section.comment);
            let hardware = (option::SHB_HARDWARE, section.hardware);
            let os = (option::SHB_OS, section.os);
            for (code, text) in [comment, hardware, os, (option::SHB_USERAPPL, application)] {
                b.text_unless_empty(code, text);
            }
            b.end_options();
        });
        Writer { epoch, snaplens: Vec::new() }
    }

    /// Describes an interface. May happen at any time before its first packet.
    pub fn interface(&mut self, out: &mut Vec<u8>, interface: &Interface<'_>) -> InterfaceId {
        Block::write(out, block::INTERFACE_DESCRIPTION, |b| {
            b.u16(LINKTYPE_ETHERNET);
            b.u16(0);
            b.u32(interface.snaplen);
            b.text_unless_empty(option::IF_NAME, interface.name);
            b.text_unless_empty(option::IF_DESCRIPTION, interface.description);
            for cidr in interface.addresses {
                b.address(cidr);
            }
            if let Some(mac) = interface.mac {
                b.option(option::IF_MACADDR, &mac.0);
            }
            if let Some(speed) = interface.speed {
                b.option(option::IF_SPEED, &speed.to_le_bytes());
            }
            // Units of 10⁻⁹ s.
            b.option(option::IF_TSRESOL, &[9]);
            b.end_options();
        });
        self.snaplens.push(interface.snaplen);
        InterfaceId((self.snaplens.len() - 1) as u32)
    }

    /// Records a frame.
    ///
    /// # Panics
    /// When this writer has not described the packet's interface.
    pub fn packet(&self, out: &mut Vec<u8>, packet: &Packet<'_>, frame: &Frame) {
        let snaplen = self.snaplens[packet.interface.0 as usize];
        let original = frame.len();
        let captured = if snaplen == 0 { original } else { original.min(snaplen as usize) };
        Block::write(out, block::ENHANCED_PACKET, |b| {
            b.u32(packet.interface.0);
            b.time(self.stamp(packet.at));
            b.u32(captured as u32);
            b.u32(original as u32);
            b.frame(frame, captured);
            for comment in packet.comments {
                b.option(option::COMMENT, cut(comment).as_bytes());
            }
            if let Some(direction) = packet.direction {
                let bits: u32 = if direction == Direction::In { 1 } else { 2 };
                b.option(option::EPB_FLAGS, &bits.to_le_bytes());
            }
            if let Some(id) = packet.id {
                b.option(option::EPB_PACKETID, &id.to_le_bytes());
            }
            b.end_options();
        });
    }

    /// Names addresses. Names that are empty, contain NUL, or no longer fit into an address's
    /// record of 65535 bytes are left out, and so are addresses without a name.
    pub fn names<'a>(
        &self,
        out: &mut Vec<u8>,
        names: impl IntoIterator<Item = (IpAddr, &'a [&'a str])>,
    ) {
        Block::write(out, block::NAME_RESOLUTION, |b| {
            for (address, names) in names {
                match address {
                    IpAddr::V4(a) => b.name_record(1, &a.octets(), names),
                    IpAddr::V6(a) => b.name_record(2, &a.octets(), names),
                }
            }
            // The record that ends the list looks like the option that ends a list.
            b.option(option::END, &[]);
        });
    }

    /// Hands secrets to whoever decrypts the capture, of a kind such as [`SECRETS_TLS_KEY_LOG`].
    /// They apply to the packets behind them.
    pub fn secrets(&self, out: &mut Vec<u8>, kind: u32, secrets: &[u8]) {
        Block::write(out, block::DECRYPTION_SECRETS, |b| {
            b.u32(kind);
            b.u32(secrets.len() as u32);
            b.padded(secrets);
        });
    }

    /// Records an interface's counters, usually at the end of the capture.
    pub fn statistics(&self, out: &mut Vec<u8>, interface: InterfaceId, statistics: &Statistics) {
        let (start, end) = (self.stamp(statistics.start), self.stamp(statistics.end));
        Block::write(out, block::INTERFACE_STATISTICS, |b| {
            b.u32(interface.0);
            b.time(end);
            b.option(option::ISB_STARTTIME, &time(start));
            b.option(option::ISB_ENDTIME, &time(end));
            b.option(option::ISB_IFRECV, &statistics.received.to_le_bytes());
            b.option(option::ISB_IFDROP, &statistics.dropped.to_le_bytes());
            b.end_options();
        });
    }

    fn stamp(&self, at: Instant) -> u64 {
        self.epoch.saturating_add(at.as_nanos())
    }
}

/// A time stamp in a block: the upper half first, whatever the byte order.
fn time(ns: u64) -> [u8; 8] {
    let mut b = [0; 8];
    b[..4].copy_from_slice(&((ns >> 32) as u32).to_le_bytes());
    b[4..].copy_from_slice(&(ns as u32).to_le_bytes());
    b
}

/// The longest start of `text` that an option holds.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(VALUE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A block being written.
struct Block<'a> {
    out: &'a mut Vec<u8>,
}

impl Block<'_> {
    /// Writes type and both lengths around what `body` writes.
    fn write(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Block<'_>)) {
        let start = out.len();
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        body(&mut Block { out });
        let len = ((out.len() - start + 4) as u32).to_le_bytes();
        out[start + 4..start + 8].copy_from_slice(&len);
        out.extend_from_slice(&len);
    }

    fn u16(&mut self, v: u16) {
        self.out.extend_from_slice(&v.to_le_bytes());
    }

    fn u32(&mut self, v: u32) {
        self.out.extend_from_slice(&v.to_le_bytes());
    }

    fn u64(&mut self, v: u64) {
        self.out.extend_from_slice(&v.to_le_bytes());
    }

    fn time(&mut self, ns: u64) {
        self.out.extend_from_slice(&time(ns));
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.pad(bytes.len());
    }

    /// Fills up to four bytes after something of `len` bytes.
    fn pad(&mut self, len: usize) {
        self.out.extend_from_slice(&[0; 3][..len.next_multiple_of(4) - len]);
    }

    fn frame(&mut self, frame: &Frame, captured: usize) {
        let head = &frame.head()[..frame.head().len().min(captured)];
        self.out.extend_from_slice(head);
        let mut left = captured - head.len();
        for s in frame.payload().slices() {
            let take = s.len().min(left);
            self.out.extend_from_slice(&s.bytes()[..take]);
            left -= take;
        }
        self.pad(captured);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.u16(code);
        self.u16(value.len() as u16);
        self.padded(value);
    }

    fn text_unless_empty(&mut self, code: u16, text: &str) {
        if !text.is_empty() {
            self.option(code, cut(text).as_bytes());
        }
    }

    fn end_options(&mut self) {
        self.option(option::END, &[]);
    }

    fn address(&mut self, cidr: &Cidr) {
        match cidr.address() {
            IpAddr::V4(a) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(cidr.prefix())).unwrap_or(0);
                let mut b = [0; 8];
                b[..4].copy_from_slice(&a.octets());
                b[4..].copy_from_slice(&mask.to_be_bytes());
                self.option(option::IF_IPV4ADDR, &b);
            }
            IpAddr::V6(a) => {
                let mut b = [0; 17];
                b[..16].copy_from_slice(&a.octets());
                b[16] = cidr.prefix();
                self.option(option::IF_IPV6ADDR, &b);
            }
        }
    }

    fn name_record(&mut self, kind: u16, address: &[u8], names: &[&str]) {
        let mut len = address.len();
        let mut fits = |name: &&&str| {
            let usable = !name.is_empty() && !name.contains('\0');
            let fits = usable && len + name.len() < VALUE_MAX;
            len += if fits { name.len() + 1 } else { 0 };
            fits
        };
        let kept: Vec<&&str> = names.iter().filter(|n| fits(n)).collect();
        if kept.is_empty() {
            return;
        }
        self.u16(kind);
        self.u16(len as u16);
        self.out.extend_from_slice(address);
        for name in kept {
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(0);
        }
        self.pad(len);
    }
}
