//! Cutting IPv4 packets and putting them together (RFC 791 §3.2).

use crate::checksum::Sum;
use crate::frame::{Frame, Network, be16};
use crate::ip::V4_HEADER;
use crate::slice::{Payload, Slice};
use crate::{WireError, eth};

/// The largest IPv4 packet, header included.
const PACKET_MAX: usize = 65_535;
/// Bit 13 of the offset field: more fragments follow.
const MORE: u16 = 0x2000;
/// The bits of the offset, in units of eight bytes.
const OFFSET: u16 = 0x1fff;
/// The bit of an option's type that says that each fragment carries it.
const COPIED: u8 = 0x80;

/// Which part of its packet a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where its first byte stands in the packet's data.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
    /// Whether more follow.
    pub more: bool,
}

/// Why a fragment cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPart {
    /// It is not the last one and its length is no multiple of eight, or it is empty.
    Length,
    /// It ends beyond the largest packet that there is.
    TooLong,
}

impl Frame {
    /// Which part of its packet this IPv4 fragment is; `None` for what is no fragment.
    ///
    /// # Errors
    /// When no packet can have such a part.
    pub fn part(&self) -> Result<Option<Part>, BadPart> {
        if self.meta.layers.network != Network::Ipv4 || !self.meta.layers.fragment {
            return Ok(None);
        }
        let field = be16(self.network(), 6);
        let start = usize::from(field & OFFSET) * 8;
        let len = self.transport().len() + self.payload().len();
        let (end, more) = (start + len, field & MORE != 0);
        if len == 0 || (more && !len.is_multiple_of(8)) {
            return Err(BadPart::Length);
        }
        if V4_HEADER + end > PACKET_MAX {
            return Err(BadPart::TooLong);
        }
        Ok(Some(Part { start, end, more }))
    }

    /// What follows the IP header.
    pub fn ip_data(&self) -> Payload {
        let mut data = Payload::new();
        data.push(Slice::copy_from(self.transport()));
        for slice in self.payload().slices() {
            data.push(slice.clone());
        }
        data
    }

    /// Cuts an IPv4 packet, or a fragment of one, into pieces of at most `mtu` bytes each, in order.
    /// The payload is shared, not copied. Whether it may be cut is for the caller to ask
    /// ([`Frame::dont_fragment`]). Empty when the packet is not IPv4, or when not even eight bytes
    /// fit beside its header; and when it is a part that no packet can have, whose pieces would lie
    /// beyond what an offset can say.
    pub fn fragment(&self, mtu: usize) -> Vec<Box<Frame>> {
        let header = self.v4_header();
        let room = mtu.saturating_sub(header.len()) & !7;
        if header.is_empty() || room == 0 || self.part().is_err() {
            return Vec::new();
        }
        let field = be16(header, 6);
        let (base, last_has_more) = (field & OFFSET, field & MORE != 0);
        let later = later_header(header);
        let data = self.ip_data();
        let mut pieces = Vec::with_capacity(data.len() / room + 1);
        let mut at = 0;
        while at < data.len() {
            let len = room.min(data.len() - at);
            let more = at + len < data.len() || last_has_more;
            let offset = base + (at / 8) as u16;
            let header = if at == 0 { header } else { &later };
            let mut piece = data.clone();
            piece.advance(at);
            piece.truncate(len);
            pieces.push(self.piece(header, offset | if more { MORE } else { 0 }, piece));
            at += len;
        }
        pieces
    }

    /// The IPv4 header with its options; empty when there is none.
    fn v4_header(&self) -> &[u8] {
        match self.meta.layers.network {
            Network::Ipv4 => {
                let network = self.network();
                &network[..usize::from(network[0] & 0x0f) * 4]
            }
            _ => &[],
        }
    }

    /// A packet with this frame's Ethernet header and meta data.
    fn piece(&self, header: &[u8], field: u16, data: Payload) -> Box<Frame> {
        let total = header.len() + data.len();
        let mut piece = Frame::blank(eth::HEADER + header.len(), data);
        let head = piece.head_mut();
        head[..eth::HEADER].copy_from_slice(&self.head()[..eth::HEADER]);
        let ip = &mut head[eth::HEADER..];
        ip.copy_from_slice(header);
        ip[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        ip[6..8].copy_from_slice(&field.to_be_bytes());
        ip[10..12].fill(0);
        let sum = Sum::of(ip).checksum();
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        piece.parse().expect("a header that was parsed, with a length that fits");
        // Later fragments have no ports, but they belong to the conversation.
        piece.meta.flow = self.meta.flow;
        piece.meta.cause = self.meta.cause;
        piece.meta.conntrack = self.meta.conntrack;
        piece.meta.verified = self.meta.verified;
        piece
    }

    /// The whole packet whose first fragment this is, with the data of all its parts in order.
    /// Checksums are to be verified again.
    ///
    /// # Errors
    /// When the packet is no packet of its protocol.
    pub fn joined(&self, data: Payload) -> Result<Box<Frame>, WireError> {
        let header = self.v4_header().to_vec();
        let total = header.len() + data.len();
        if header.is_empty() || total > PACKET_MAX {
            return Err(WireError::Invalid { layer: "ipv4", what: "no packet is so long" });
        }
        let mut whole = Frame::blank(eth::HEADER + header.len(), data);
        let head = whole.head_mut();
        head[..eth::HEADER].copy_from_slice(&self.head()[..eth::HEADER]);
        let ip = &mut head[eth::HEADER..];
        ip.copy_from_slice(&header);
        ip[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        ip[6..8].fill(0);
        ip[10..12].fill(0);
        let sum = Sum::of(ip).checksum();
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        whole.parse()?;
        Ok(whole)
    }
}

/// The header of all fragments but the first: without the options that only the first carries.
fn later_header(header: &[u8]) -> Vec<u8> {
    let mut later = header[..V4_HEADER].to_vec();
    let mut options = &header[V4_HEADER..];
    while let [kind, rest @ ..] = options {
        let len = match (*kind, rest.first()) {
            (0, _) => break,
            (1, _) => 1,
            // A length that cannot be ends the list, as it does for everybody who reads it.
            (_, Some(&len)) if len >= 2 && usize::from(len) <= options.len() => len.into(),
            _ => break,
        };
        if kind & COPIED != 0 {
            later.extend_from_slice(&options[..len]);
        }
        options = &options[len..];
    }
    later.resize(later.len().next_multiple_of(4), 0);
    later[0] = 0x40 | (later.len() / 4) as u8;
    later
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IpHeader, udp};

    fn datagram(len: usize) -> Box<Frame> {
        let mut header = IpHeader::new("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        header.dont_fragment = false;
        header.id = 7;
        let data: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        udp::frame(&header, 1000, 2000, Payload::copy_from(&data))
    }

    fn join(pieces: &[Box<Frame>]) -> Box<Frame> {
        let mut data = Payload::new();
        for piece in pieces {
            let part = piece.part().unwrap().unwrap();
            assert_eq!(part.start, data.len());
            for slice in piece.ip_data().into_slices() {
                data.push(slice);
            }
        }
        pieces[0].joined(data).unwrap()
    }

    #[test]
    fn what_was_cut_and_joined_is_the_same_packet() {
        for len in [1, 8, 60, 1472, 1473, 4000, 65_507] {
            let whole = datagram(len);
            for mtu in [68, 576, 1500] {
                if whole.ip_len() <= mtu {
                    continue;
                }
                let pieces = whole.fragment(mtu);
                for piece in &pieces {
                    assert!(piece.ip_len() <= mtu);
                    // Off a wire they are the same.
                    let mut read = Frame::from_bytes(&piece.to_vec());
                    read.parse().unwrap();
                    assert_eq!(read.verify(), Ok(()));
                    assert_eq!(read.part(), piece.part());
                }
                let mut joined = join(&pieces);
                assert_eq!(joined.verify(), Ok(()));
                assert_eq!(joined.to_vec(), whole.to_vec(), "{len} bytes, MTU {mtu}");
            }
        }
    }

    #[test]
    fn a_fragment_is_cut_again() {
        let whole = datagram(5000);
        let pieces: Vec<_> = whole.fragment(1500).iter().flat_map(|p| p.fragment(600)).collect();
        assert!(pieces.len() > 8 && pieces.iter().all(|p| p.ip_len() <= 600));
        assert_eq!(join(&pieces).to_vec(), whole.to_vec());
    }

    #[test]
    fn only_copied_options_are_in_later_fragments() {
        let mut header = vec![0u8; 20];
        // Record route (7) stays in the first, loose source route (0x83) goes into each.
        header.extend([7, 7, 4, 0, 0, 0, 0, 1, 0x83, 7, 4, 1, 2, 3, 4, 0]);
        let later = later_header(&header);
        assert_eq!(later[20..], [0x83, 7, 4, 1, 2, 3, 4, 0]);
        assert_eq!(later[0], 0x47);
        header.truncate(20);
        header.extend([0x83, 200, 0, 0]);
        assert_eq!(later_header(&header).len(), 20, "a length that cannot be");
    }

    #[test]
    fn impossible_parts_are_told() {
        let mut piece = datagram(100).fragment(68).remove(0);
        piece.head_mut()[eth::HEADER + 6] = 0x3f;
        piece.head_mut()[eth::HEADER + 7] = 0xff;
        assert_eq!(piece.part(), Err(BadPart::TooLong));
        assert!(datagram(100).fragment(20).is_empty());
        assert_eq!(datagram(100).part(), Ok(None));
    }
}
