//! Bunches of TCP segments on the border to a kernel.
//!
//! Linux hands a network card up to 64 kB of TCP data with one set of headers and lets the card cut
//! it (TSO), and joins what a card received in sequence before TCP sees it (GRO). A TAP can do both:
//! each packet is preceded by a `struct virtio_net_hdr` (Virtio 1.2 §5.1.6) that says how large the
//! segments are and where a checksum is still missing.
//!
//! [`cut`] makes complete frames with right checksums of what was read; [`join`] makes one packet of
//! frames that continue each other. The bytes of a bunch are copied once on the way in, never on the
//! way out.

use std::collections::VecDeque;

use netarium_wire::checksum::Sum;
use netarium_wire::ip::pseudo_header;
use netarium_wire::{Frame, HEAD_MAX, Network, Payload, protocol};
use smallvec::{SmallVec, smallvec};

/// Where an IPv4 header without a VLAN tag begins, and its fields.
const IP: usize = 14;
const IP_LEN: usize = IP + 2;
const IP_ID: usize = IP + 4;
const IP_SUM: usize = IP + 10;
/// Where TCP begins behind an IPv4 header without options, and its fields.
const TCP: usize = IP + 20;
const SEQ: usize = 4;
const FLAGS: usize = 13;
const TCP_SUM: usize = 16;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;

/// The longest IP packet.
const PACKET_MAX: usize = 65_535;
/// How many segments are joined at most, as Linux joins them.
const JOIN_MAX: usize = 64;

/// What precedes each packet: `struct virtio_net_hdr`, in the machine's byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VnetHeader {
    /// The checksum at `csum_offset` behind `csum_start` covers the pseudo header only.
    needs_checksum: bool,
    /// TCP over IPv4 in segments of `gso_size` bytes.
    is_bunch: bool,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

impl VnetHeader {
    /// Bytes.
    pub(crate) const LEN: usize = 10;
    const NEEDS_CSUM: u8 = 1;
    const GSO_TCPV4: u8 = 1;
    const GSO_ECN: u8 = 0x80;

    fn read(b: &[u8; VnetHeader::LEN]) -> VnetHeader {
        let word = |at| u16::from_ne_bytes([b[at], b[at + 1]]);
        VnetHeader {
            needs_checksum: b[0] & Self::NEEDS_CSUM != 0,
            is_bunch: b[1] & !Self::GSO_ECN == Self::GSO_TCPV4,
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
        }
    }

    fn write(self) -> [u8; VnetHeader::LEN] {
        let mut b = [0; VnetHeader::LEN];
        b[0] = if self.needs_checksum { Self::NEEDS_CSUM } else { 0 };
        b[1] = if self.is_bunch { Self::GSO_TCPV4 } else { 0 };
        for (at, word) in
            [(2, self.hdr_len), (4, self.gso_size), (6, self.csum_start), (8, self.csum_offset)]
        {
            b[at..at + 2].copy_from_slice(&word.to_ne_bytes());
        }
        b
    }
}

/// Makes frames of what was read from a TAP.
pub(crate) fn cut(bytes: &mut [u8], frames: &mut VecDeque<Box<Frame>>) {
    let Some((header, packet)) = bytes.split_first_chunk_mut::<{ VnetHeader::LEN }>() else {
        return;
    };
    let header = VnetHeader::read(header);
    if !header.is_bunch || header.gso_size == 0 {
        if header.needs_checksum {
            complete_checksum(packet, header);
        }
        frames.push_back(Frame::from_bytes(packet));
        return;
    }
    let whole = Frame::from_bytes(packet);
    let is_ip = whole.meta.layers.network == Network::Ipv4;
    // The header of TCP is missing in later fragments.
    if !is_ip || whole.protocol() != Some(protocol::TCP) || whole.transport().is_empty() {
        // Not what the kernel was told that we take: let it be judged as it is.
        frames.push_back(whole);
        return;
    }
    let (size, len) = (usize::from(header.gso_size), whole.payload().len());
    let segments = (0..len.max(1)).step_by(size);
    frames.extend(segments.map(|from| segment(&whole, from, (from + size).min(len))));
}

/// Fills in a checksum of which only the pseudo header's part stands there.
fn complete_checksum(packet: &mut [u8], header: VnetHeader) {
    let (start, offset) = (usize::from(header.csum_start), usize::from(header.csum_offset));
    let Some(covered) = packet.get_mut(start..) else { return };
    let sum = Sum::of(covered).checksum();
    // RFC 768: a UDP checksum of zero would mean that there is none; 0xffff is the same number.
    let sum = if sum == 0 && offset == 6 { 0xffff } else { sum };
    if let Some(field) = covered.get_mut(offset..offset + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// The segment of a bunch with the bytes `from..to`.
fn segment(whole: &Frame, from: usize, to: usize) -> Box<Frame> {
    let mut buffer = [0; HEAD_MAX];
    let head = &mut buffer[..whole.head().len()];
    head.copy_from_slice(whole.head());
    let (l3, l4) = (usize::from(whole.meta.layers.l3), usize::from(whole.meta.layers.l4));
    let (first, last) = (from == 0, to == whole.payload().len());
    let index = from.checked_div(to - from).unwrap_or(0) as u16;
    put16(head, l3 + 2, (head.len() - l3 + to - from) as u16);
    let id = be16(head, l3 + 4).wrapping_add(index);
    put16(head, l3 + 4, id);
    put16(head, l3 + 10, 0);
    let sum = Sum::of(&head[l3..l4]).checksum();
    put16(head, l3 + 10, sum);
    let seq = be32(head, l4 + SEQ).wrapping_add(from as u32);
    head[l4 + SEQ..l4 + SEQ + 4].copy_from_slice(&seq.to_be_bytes());
    // As Linux cuts: the last ends what the bunch ends, the first says what is said once.
    head[l4 + FLAGS] &= !((if last { 0 } else { FIN | PSH }) | (if first { 0 } else { CWR }));
    let payload = part(whole.payload(), from, to);
    put16(head, l4 + TCP_SUM, 0);
    let sum = pseudo(whole, head.len() - l4 + to - from) + Sum::of(&head[l4..]) + payload.sum();
    put16(head, l4 + TCP_SUM, sum.checksum());
    let mut frame = Frame::from_parts(head, payload);
    // The kernel's own memory is where they come from, and the checksums were made here.
    frame.meta.verified = true;
    frame
}

fn part(payload: &Payload, from: usize, to: usize) -> Payload {
    match payload.slices() {
        [one] => Payload::from(one.range(from, to)),
        _ => {
            let mut part = payload.clone();
            part.truncate(to);
            part.advance(from);
            part
        }
    }
}

fn pseudo(frame: &Frame, len: usize) -> Sum {
    match (frame.src_ip(), frame.dst_ip()) {
        (Some(src), Some(dst)) => pseudo_header(src, dst, protocol::TCP, len),
        _ => Sum::ZERO,
    }
}

/// Frames that go to the kernel as one packet.
pub(crate) struct Bunch {
    pub(crate) header: [u8; VnetHeader::LEN],
    pub(crate) head: SmallVec<[u8; 128]>,
    /// Whose payloads follow the head.
    pub(crate) frames: SmallVec<[Box<Frame>; 8]>,
}

/// Joins `first` with those at the front of `rest` that continue it.
pub(crate) fn join(first: Box<Frame>, rest: &mut VecDeque<Box<Frame>>) -> Bunch {
    let mut head = SmallVec::from_slice(first.head());
    let size = first.payload().len();
    let mut total = size;
    let joins = is_joinable(&first);
    let mut frames: SmallVec<[Box<Frame>; 8]> = smallvec![first];
    while let Some(next) = rest.front()
        && joins
        && frames.len() < JOIN_MAX
        && head.len() - IP + total + next.payload().len() <= PACKET_MAX
        && continues(&head, size, total, next)
    {
        let next = rest.pop_front().expect("it was looked at");
        head[TCP + FLAGS] |= next.head()[TCP + FLAGS] & PSH;
        total += next.payload().len();
        frames.push(next);
    }
    let header = if frames.len() > 1 {
        complete_head(&mut head, &frames[0], total);
        VnetHeader {
            needs_checksum: true,
            is_bunch: true,
            hdr_len: head.len() as u16,
            gso_size: size as u16,
            csum_start: TCP as u16,
            csum_offset: TCP_SUM as u16,
        }
    } else {
        VnetHeader::default()
    };
    Bunch { header: header.write(), head, frames }
}

/// The headers of a bunch: lengths, and TCP's checksum of the pseudo header alone.
fn complete_head(head: &mut [u8], first: &Frame, total: usize) {
    put16(head, IP_LEN, (head.len() - IP + total) as u16);
    put16(head, IP_SUM, 0);
    let sum = Sum::of(&head[IP..TCP]).checksum();
    put16(head, IP_SUM, sum);
    let sum = pseudo(first, head.len() - TCP + total);
    put16(head, TCP + TCP_SUM, !sum.checksum());
}

/// Whether a frame may begin a bunch: plain data over plain IPv4, nothing ends or is said in it.
fn is_joinable(frame: &Frame) -> bool {
    let layers = frame.meta.layers;
    layers.network == Network::Ipv4
        && layers.protocol == protocol::TCP
        && !layers.fragment
        && (usize::from(layers.l3), usize::from(layers.l4)) == (IP, TCP)
        && !frame.payload().is_empty()
        && frame.head()[TCP + FLAGS] == ACK
}

/// Whether `next` is what a bunch of `total` bytes behind `head`, in segments of `size`, goes on
/// with.
fn continues(head: &[u8], size: usize, total: usize, next: &Frame) -> bool {
    let other = next.head();
    // A short segment, and one that is pushed, end a bunch.
    let open = total.is_multiple_of(size) && head[TCP + FLAGS] & PSH == 0;
    let seq = |h: &[u8]| be32(h, TCP + SEQ);
    let flags = |h: &[u8]| h[TCP + FLAGS] & !PSH;
    open && other.len() == head.len()
        && (1..=size).contains(&next.payload().len())
        && seq(other) == seq(head).wrapping_add(total as u32)
        && flags(other) == flags(head)
        // MACs, version, TOS; fragment field, TTL, protocol; addresses, ports; acknowledgement and
        // header length; window; urgent pointer and options.
        && other[..IP_LEN] == head[..IP_LEN]
        && other[IP_ID + 2..IP_SUM] == head[IP_ID + 2..IP_SUM]
        && other[IP_SUM + 2..TCP + SEQ] == head[IP_SUM + 2..TCP + SEQ]
        && other[TCP + SEQ + 4..TCP + FLAGS] == head[TCP + SEQ + 4..TCP + FLAGS]
        && other[TCP + FLAGS + 1..TCP + TCP_SUM] == head[TCP + FLAGS + 1..TCP + TCP_SUM]
        && other[TCP + TCP_SUM + 2..] == head[TCP + TCP_SUM + 2..]
}

fn be16(b: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([b[at], b[at + 1]])
}

fn be32(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

fn put16(b: &mut [u8], at: usize, word: u16) {
    b[at..at + 2].copy_from_slice(&word.to_be_bytes());
}

#[cfg(test)]
#[path = "offload_tests.rs"]
mod tests;
