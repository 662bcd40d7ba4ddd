//! Captures in files: pcap written as tcpdump writes it, pcap and pcapng read.
//!
//! Reading takes any bytes: it never panics, and holds nothing but what it is asked for next. A
//! packet has at most [`PACKET_MAX`] bytes.

use crate::dissect::LinkType;

/// The most bytes of a packet that are taken from a file (libpcap's limit).
pub const PACKET_MAX: usize = 262_144;

const PCAP: u32 = 0xa1b2_c3d4;
const PCAP_NANO: u32 = 0xa1b2_3c4d;
const SECTION: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// How many interfaces a section may have.
const INTERFACES_MAX: usize = 65_536;

/// Why a file cannot be read (on), in libpcap's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CaptureError(pub String);

fn wrong<T>(text: impl Into<String>) -> Result<T, CaptureError> {
    Err(CaptureError(text.into()))
}

/// A packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was captured: nanoseconds since 1970-01-01 UTC.
    pub at: u64,
    /// How long it was, bytes.
    pub len: usize,
    /// What was kept of it.
    pub bytes: &'a [u8],
}

/// Reads a capture from bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    big: bool,
    kind: Kind,
    link: u32,
    snaplen: u32,
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Fractions of a second are microseconds or nanoseconds.
    Pcap {
        nano: bool,
    },
    Pcapng,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u32,
    snaplen: u32,
    /// Units of time in a second, as a power of ten or of two.
    resolution: u8,
}

impl<'a> Reader<'a> {
    /// Reads a capture's head.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(bytes: &'a [u8]) -> Result<Reader<'a>, CaptureError> {
        let Some(magic) = bytes.first_chunk::<4>() else {
            let got = bytes.len();
            return wrong(format!(
                "truncated dump file; tried to read 4 file header bytes, only got {got}"
            ));
        };
        let (little, big) = (u32::from_le_bytes(*magic), u32::from_be_bytes(*magic));
        let pcap = [PCAP, PCAP_NANO];
        let mut reader = Reader {
            rest: bytes,
            big: pcap.contains(&big),
            kind: Kind::Pcap { nano: little == PCAP_NANO || big == PCAP_NANO },
            link: 0,
            snaplen: 0,
            interfaces: Vec::new(),
        };
        if little == SECTION {
            reader.kind = Kind::Pcapng;
            reader.first_interface()?;
            return Ok(reader);
        }
        if !pcap.contains(&little) && !pcap.contains(&big) {
            return wrong("unknown file format");
        }
        let Some(head) = reader.take(24) else {
            let got = bytes.len() - 4;
            return wrong(format!(
                "truncated dump file; tried to read 24 file header bytes, only got {}",
                got + 4
            ));
        };
        let (major, minor) = (reader.word16(head, 4), reader.word16(head, 6));
        if (major, minor) != (2, 4) && (major, minor) != (2, 3) {
            return wrong(format!("wrong pcap file version {major}.{minor}"));
        }
        reader.snaplen = reader.word(head, 16);
        reader.link = reader.word(head, 20) & 0x03ff_ffff;
        Ok(reader)
    }

    /// The number of its link type.
    pub fn link_number(&self) -> u32 {
        self.link
    }

    /// Its link type, when it is one that can be printed and asked.
    pub fn link(&self) -> Option<LinkType> {
        LinkType::from_number(self.link)
    }

    /// How many bytes of a packet were kept at most.
    pub fn snaplen(&self) -> u32 {
        self.snaplen
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    /// When the file is cut off or says what cannot be.
    pub fn next_record(&mut self) -> Result<Option<Record<'a>>, CaptureError> {
        match self.kind {
            Kind::Pcap { nano } => self.pcap_record(nano),
            Kind::Pcapng => self.pcapng_record(),
        }
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    fn word(&self, b: &[u8], at: usize) -> u32 {
        let four = b.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or([0; 4]);
        if self.big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    }

    fn word16(&self, b: &[u8], at: usize) -> u16 {
        let two = b.get(at..at + 2).and_then(|b| b.try_into().ok()).unwrap_or([0; 2]);
        if self.big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
    }

    fn pcap_record(&mut self, nano: bool) -> Result<Option<Record<'a>>, CaptureError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let got = self.rest.len();
        let Some(head) = self.take(16) else {
            return wrong(format!(
                "truncated dump file; tried to read 16 header bytes, only got {got}"
            ));
        };
        let (seconds, part) = (self.word(head, 0), self.word(head, 4));
        let (kept, len) = (self.word(head, 8) as usize, self.word(head, 12) as usize);
        if kept > PACKET_MAX {
            return wrong(format!(
                "invalid packet capture length {kept}, bigger than maximum of {PACKET_MAX}"
            ));
        }
        let got = self.rest.len();
        let Some(bytes) = self.take(kept) else {
            return wrong(format!(
                "truncated dump file; tried to read {kept} captured bytes, only got {got}"
            ));
        };
        let part = u64::from(part) * if nano { 1 } else { 1_000 };
        let at = u64::from(seconds) * 1_000_000_000 + part;
        Ok(Some(Record { at, len: len.max(bytes.len()), bytes }))
    }

    /// Up to the first interface, whose link type counts for all.
    fn first_interface(&mut self) -> Result<(), CaptureError> {
        while self.interfaces.is_empty() {
            match self.block()? {
                None => return wrong("the capture file has no Interface Description Blocks"),
                Some((3 | 6, _)) => {
                    return wrong(
                        "the capture file has a packet block before any Interface Description Blocks",
                    );
                }
                Some(_) => {}
            }
        }
        (self.link, self.snaplen) = (self.interfaces[0].link, self.interfaces[0].snaplen);
        Ok(())
    }

    /// The next block's kind and body; sections and interfaces are noted on the way.
    fn block(&mut self) -> Result<Option<(u32, &'a [u8])>, CaptureError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let got = self.rest.len();
        let cut = |n: usize, got: usize| {
            wrong(format!("truncated pcapng dump file; tried to read {n} bytes, only got {got}"))
        };
        let Some(head) = self.rest.get(..12) else { return cut(12, got) };
        if self.word(head, 0) == SECTION {
            let order = [head[8], head[9], head[10], head[11]];
            self.big = match (u32::from_le_bytes(order), u32::from_be_bytes(order)) {
                (BYTE_ORDER, _) => false,
                (_, BYTE_ORDER) => true,
                _ => return wrong("unknown byte order in a pcapng section"),
            };
            self.interfaces.clear();
        }
        let (kind, len) = (self.word(head, 0), self.word(head, 4) as usize);
        if len < 12 || !len.is_multiple_of(4) || len > PACKET_MAX * 2 {
            return wrong(format!("block in pcapng dump file has a bad length of {len}"));
        }
        let Some(block) = self.take(len) else { return cut(len, got) };
        let body = &block[8..len - 4];
        if kind == 1 {
            self.interface(body)?;
        }
        Ok(Some((kind, body)))
    }

    fn interface(&mut self, body: &[u8]) -> Result<(), CaptureError> {
        if body.len() < 8 || self.interfaces.len() >= INTERFACES_MAX {
            return wrong("bad Interface Description Block");
        }
        let (link, snaplen) = (self.word16(body, 0).into(), self.word(body, 4));
        let mut options = &body[8..];
        // Microseconds, unless an option says otherwise.
        let mut resolution = 6;
        while options.len() >= 4 {
            let (code, len) = (self.word16(options, 0), usize::from(self.word16(options, 2)));
            if code == 0 {
                break;
            }
            if code == 9 && len >= 1 {
                resolution = options.get(4).copied().unwrap_or(6);
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or(&[]);
        }
        if self.interfaces.first().is_some_and(|first| first.link != link) {
            let first = self.interfaces[0].link;
            return wrong(format!(
                "an interface has a type {link} different from the type of the first interface {first}"
            ));
        }
        self.interfaces.push(Interface { link, snaplen, resolution });
        Ok(())
    }

    fn pcapng_record(&mut self) -> Result<Option<Record<'a>>, CaptureError> {
        while let Some((kind, body)) = self.block()? {
            let (interface, at, kept, len, data) = match kind {
                6 if body.len() >= 20 => {
                    let at = u64::from(self.word(body, 4)) << 32 | u64::from(self.word(body, 8));
                    (self.word(body, 0), at, self.word(body, 12), self.word(body, 16), &body[20..])
                }
                3 if body.len() >= 4 => {
                    let len = self.word(body, 0);
                    let most = self.interfaces.first().map_or(0, |i| i.snaplen);
                    let kept = if most == 0 { len } else { len.min(most) };
                    (0, 0, kept, len, &body[4..])
                }
                3 | 6 => return wrong("a packet block is too short"),
                _ => continue,
            };
            let Some(i) = self.interfaces.get(interface as usize) else {
                return wrong(format!(
                    "a packet arrived on interface {interface}, but there's no Interface Description Block for that interface"
                ));
            };
            let at = nanoseconds(at, i.resolution);
            let Some(bytes) = data.get(..kept as usize) else {
                return wrong(format!(
                    "truncated pcapng dump file; tried to read {kept} bytes, only got {}",
                    data.len()
                ));
            };
            return Ok(Some(Record { at, len: (len as usize).max(bytes.len()), bytes }));
        }
        Ok(None)
    }
}

/// Units of 10^-n or 2^-n seconds as nanoseconds.
fn nanoseconds(units: u64, resolution: u8) -> u64 {
    let n = u32::from(resolution & 0x7f);
    let units = u128::from(units) * 1_000_000_000;
    let per_second = match resolution & 0x80 {
        0 => 10u128.checked_pow(n),
        _ => 1u128.checked_shl(n),
    };
    per_second.map_or(0, |p| u64::try_from(units / p).unwrap_or(u64::MAX))
}

/// The head of a pcap file, as tcpdump writes it here: little-endian, microseconds.
pub fn pcap_header(link: LinkType, snaplen: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    out.extend(PCAP.to_le_bytes());
    out.extend([2, 0, 4, 0]);
    out.extend([0; 8]);
    out.extend(snaplen.to_le_bytes());
    out.extend(link.number().to_le_bytes());
    out
}

/// Appends a packet to a pcap file; the time is cut to microseconds.
pub fn pcap_record(out: &mut Vec<u8>, record: &Record<'_>) {
    let (seconds, rest) = (record.at / 1_000_000_000, record.at % 1_000_000_000);
    let kept = &record.bytes[..record.bytes.len().min(PACKET_MAX)];
    for word in [seconds as u32, (rest / 1_000) as u32, kept.len() as u32, record.len as u32] {
        out.extend(word.to_le_bytes());
    }
    out.extend(kept);
}
