//! TCP headers and options (RFC 9293 §3.1, RFC 7323, RFC 2018).

use std::fmt;

use bitflags::bitflags;

use crate::WireError;
use crate::checksum::Sum;
use crate::frame::{Frame, be16, be32};
use crate::ip::{IpHeader, protocol, pseudo_header};
use crate::slice::Payload;

/// Bytes of a TCP header without options.
pub const HEADER: usize = 20;
/// The most bytes of options a header has room for.
pub const OPTIONS_MAX: usize = 40;

bitflags! {
    /// The control bits of a TCP header.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct TcpFlags: u16 {
        /// No more data from the sender.
        const FIN = 0x01;
        /// Synchronise sequence numbers.
        const SYN = 0x02;
        /// Reset the connection.
        const RST = 0x04;
        /// Hand the data over without waiting for more.
        const PSH = 0x08;
        /// The acknowledgement field is significant.
        const ACK = 0x10;
        /// The urgent pointer is significant.
        const URG = 0x20;
        /// ECN echo (RFC 3168).
        const ECE = 0x40;
        /// Congestion window reduced (RFC 3168).
        const CWR = 0x80;
        /// Accurate ECN (the former nonce sum).
        const AE = 0x100;
    }
}

impl fmt::Display for TcpFlags {
    /// The letters of tcpdump: `S`, `S.`, `P.`, `F.`, `R`, `.`, `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(TcpFlags, char); 9] = [
            (TcpFlags::FIN, 'F'),
            (TcpFlags::SYN, 'S'),
            (TcpFlags::RST, 'R'),
            (TcpFlags::PSH, 'P'),
            (TcpFlags::ACK, '.'),
            (TcpFlags::URG, 'U'),
            (TcpFlags::ECE, 'E'),
            (TcpFlags::CWR, 'W'),
            (TcpFlags::AE, 'e'),
        ];
        if self.is_empty() {
            return f.write_str("none");
        }
        for (flag, letter) in LETTERS {
            if self.contains(flag) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

/// A TCP header without its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TcpHeader {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window, unscaled.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
}

/// One option of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// End of options.
    End,
    /// Padding.
    Nop,
    /// Maximum segment size (RFC 9293 §3.2).
    Mss(u16),
    /// Window scale shift (RFC 7323 §2); values above 14 count as 14.
    WindowScale(u8),
    /// SACK permitted (RFC 2018 §2).
    SackPermitted,
    /// SACK blocks, eight bytes each (RFC 2018 §3).
    Sack(&'a [u8]),
    /// TSval and TSecr (RFC 7323 §3).
    Timestamps(u32, u32),
    /// Any other kind with its data.
    Unknown(u8, &'a [u8]),
}

/// The options of a TCP header as bytes, in order, at most 40.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TcpOptions {
    buf: [u8; OPTIONS_MAX],
    len: u8,
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions { buf: [0; OPTIONS_MAX], len: 0 }
    }
}

impl fmt::Debug for TcpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl TcpOptions {
    /// No options.
    pub fn new() -> TcpOptions {
        TcpOptions::default()
    }

    /// Appends bytes as they are; `false` (and no change) when they do not fit.
    pub fn push_raw(&mut self, bytes: &[u8]) -> bool {
        let (at, end) = (self.len as usize, self.len as usize + bytes.len());
        if end > OPTIONS_MAX {
            return false;
        }
        self.buf[at..end].copy_from_slice(bytes);
        self.len = end as u8;
        true
    }

    /// Appends an option; `false` (and no change) when it does not fit.
    pub fn push(&mut self, option: TcpOption<'_>) -> bool {
        match option {
            TcpOption::End => self.push_raw(&[0]),
            TcpOption::Nop => self.push_raw(&[1]),
            TcpOption::Mss(mss) => {
                let m = mss.to_be_bytes();
                self.push_raw(&[2, 4, m[0], m[1]])
            }
            TcpOption::WindowScale(shift) => self.push_raw(&[3, 3, shift]),
            TcpOption::SackPermitted => self.push_raw(&[4, 2]),
            TcpOption::Sack(blocks) => self.push_kind(5, blocks),
            TcpOption::Timestamps(val, ecr) => {
                let (v, e) = (val.to_be_bytes(), ecr.to_be_bytes());
                self.push_raw(&[8, 10, v[0], v[1], v[2], v[3], e[0], e[1], e[2], e[3]])
            }
            TcpOption::Unknown(kind, data) => self.push_kind(kind, data),
        }
    }

    fn push_kind(&mut self, kind: u8, data: &[u8]) -> bool {
        let fits = self.len as usize + 2 + data.len() <= OPTIONS_MAX;
        fits && self.push_raw(&[kind, data.len() as u8 + 2]) && self.push_raw(data)
    }

    /// The bytes without padding.
    pub fn bytes(&self) -> &[u8] {
        &self.buf[..self.len as usize]
    }

    /// Bytes in a header: padded with zeros to a multiple of four.
    pub fn padded_len(&self) -> usize {
        (self.len as usize).next_multiple_of(4)
    }

    /// The options in order. Ends at «end of options» and at the first malformed one.
    pub fn iter(&self) -> TcpOptionIter<'_> {
        TcpOptionIter { rest: self.bytes() }
    }
}

/// Iterates over options; ends at «end of options» and at the first malformed one.
#[derive(Clone, Debug)]
pub struct TcpOptionIter<'a> {
    rest: &'a [u8],
}

impl<'a> TcpOptionIter<'a> {
    /// The options in `bytes`, the part of a TCP header behind its first 20 bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        TcpOptionIter { rest: bytes }
    }

    /// Where the value of the first «maximum segment size» stands, from where the options begin.
    pub(crate) fn mss_at(mut self) -> Option<usize> {
        let all = self.rest.len();
        loop {
            let at = all - self.rest.len();
            match self.next()? {
                TcpOption::Mss(_) => return Some(at + 2),
                TcpOption::End => return None,
                _ => {}
            }
        }
    }
}

impl<'a> Iterator for TcpOptionIter<'a> {
    type Item = TcpOption<'a>;

    fn next(&mut self) -> Option<TcpOption<'a>> {
        let b = self.rest;
        match *b.first()? {
            0 => {
                self.rest = &[];
                return Some(TcpOption::End);
            }
            1 => {
                self.rest = &b[1..];
                return Some(TcpOption::Nop);
            }
            _ => {}
        }
        // RFC 9293 §3.1 MUST-68: a length below 2 or beyond the header ends the options.
        let len = usize::from(*b.get(1)?);
        let data = b.get(2..len)?;
        self.rest = &b[len..];
        Some(match (b[0], data.len()) {
            (2, 2) => TcpOption::Mss(be16(data, 0)),
            (3, 1) => TcpOption::WindowScale(data[0]),
            (4, 0) => TcpOption::SackPermitted,
            (5, n) if n % 8 == 0 && n > 0 => TcpOption::Sack(data),
            (8, 8) => TcpOption::Timestamps(be32(data, 0), be32(data, 4)),
            (kind, _) => TcpOption::Unknown(kind, data),
        })
    }
}

/// Length of the TCP header at the start of `b`.
pub(crate) fn header_len(b: &[u8]) -> Result<usize, WireError> {
    WireError::need("tcp", HEADER, b.len())?;
    let len = usize::from(b[12] >> 4) * 4;
    if len < HEADER {
        return Err(WireError::Invalid { layer: "tcp", what: "the data offset is below 5" });
    }
    WireError::need("tcp", len, b.len())?;
    Ok(len)
}

impl TcpHeader {
    /// The header of a parsed TCP frame.
    pub fn of(frame: &Frame) -> Option<TcpHeader> {
        let t = frame.transport();
        if frame.protocol()? != protocol::TCP || t.len() < HEADER {
            return None;
        }
        Some(TcpHeader {
            src_port: be16(t, 0),
            dst_port: be16(t, 2),
            seq: be32(t, 4),
            ack: be32(t, 8),
            flags: TcpFlags::from_bits_truncate(be16(t, 12) & 0x1ff),
            window: be16(t, 14),
            urgent: be16(t, 18),
        })
    }

    /// The options of a parsed TCP frame.
    pub fn options_of(frame: &Frame) -> TcpOptionIter<'_> {
        TcpOptionIter::new(frame.transport().get(HEADER..).unwrap_or(&[]))
    }

    /// The segment in a frame without MAC addresses, with right checksums. Its flow is not set:
    /// the caller's connection knows it, so that it need not be computed for every segment.
    pub fn frame(&self, ip: &IpHeader, options: &TcpOptions, payload: Payload) -> Box<Frame> {
        let header = HEADER + options.padded_len();
        let len = header + payload.len();
        let sum = payload.sum() + pseudo_header(ip.src, ip.dst, protocol::TCP, len);
        let mut f = ip.frame(protocol::TCP, header, payload);
        let at = f.meta.layers.l4 as usize;
        let t = &mut f.head_mut()[at..];
        t[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        t[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        t[4..8].copy_from_slice(&self.seq.to_be_bytes());
        t[8..12].copy_from_slice(&self.ack.to_be_bytes());
        let offset_and_flags = (header as u16 / 4) << 12 | self.flags.bits();
        t[12..14].copy_from_slice(&offset_and_flags.to_be_bytes());
        t[14..16].copy_from_slice(&self.window.to_be_bytes());
        t[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        t[HEADER..HEADER + options.bytes().len()].copy_from_slice(options.bytes());
        let checksum = (Sum::of(t) + sum).checksum();
        t[16..18].copy_from_slice(&checksum.to_be_bytes());
        f
    }
}
