//! UDP (RFC 768).

use crate::WireError;
use crate::checksum::Sum;
use crate::frame::{Frame, be16};
use crate::ip::{IpHeader, protocol, pseudo_header};
use crate::slice::Payload;

/// Bytes of a UDP header.
pub const HEADER: usize = 8;

/// Checks a UDP header in `b`, of a datagram of which `total` bytes arrived.
pub(crate) fn check(b: &[u8], total: usize, fragment: bool) -> Result<(), WireError> {
    WireError::need("udp", HEADER, b.len())?;
    let len = usize::from(be16(b, 4));
    if len < HEADER || (len > total && !fragment) {
        return Err(WireError::Invalid { layer: "udp", what: "the length contradicts IP's" });
    }
    Ok(())
}

/// How many bytes of a UDP frame's payload belong to the datagram, by its own length field; what IP
/// carries beyond them is to be ignored (RFC 9868 §7: UDP options). `None` when the frame is not
/// UDP, or a later fragment.
pub fn data_len(frame: &Frame) -> Option<usize> {
    let t = frame.transport();
    if frame.protocol()? != protocol::UDP || t.len() < HEADER {
        return None;
    }
    Some((usize::from(be16(t, 4)).saturating_sub(HEADER)).min(frame.payload().len()))
}

/// A datagram in a frame without MAC addresses. Its payload is at most 65507 bytes long over IPv4,
/// 65527 over IPv6; callers refuse more.
pub fn frame(ip: &IpHeader, src_port: u16, dst_port: u16, payload: Payload) -> Box<Frame> {
    let len = HEADER + payload.len();
    let sum = payload.sum() + pseudo_header(ip.src, ip.dst, protocol::UDP, len);
    let mut f = ip.frame(protocol::UDP, HEADER, payload);
    let at = f.meta.layers.l4 as usize;
    let t = &mut f.head_mut()[at..];
    t[0..2].copy_from_slice(&src_port.to_be_bytes());
    t[2..4].copy_from_slice(&dst_port.to_be_bytes());
    t[4..6].copy_from_slice(&(len as u16).to_be_bytes());
    // RFC 768: a computed checksum of zero is sent as all ones; zero means «none».
    let checksum = match (Sum::of(t) + sum).checksum() {
        0 => 0xffff,
        c => c,
    };
    t[6..8].copy_from_slice(&checksum.to_be_bytes());
    f.meta.flow = f.flow_key();
    f
}
