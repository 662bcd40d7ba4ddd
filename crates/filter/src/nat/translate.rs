//! Rewriting packets, and the packets that ICMP errors quote, as their session says.

use core::net::{IpAddr, SocketAddr};

use netarium_base::DropReason;
use netarium_wire::checksum::{Sum, update};
use netarium_wire::icmp;
use netarium_wire::ip::Side;
use netarium_wire::{Frame, Network, protocol};

use crate::conntrack::session::{Direction, Session};
use crate::tuple::{Quoted, icmp_of, is_icmp_error};

/// The end point before and after.
pub(crate) type Change = (SocketAddr, SocketAddr);

/// Rewrites one side of a packet of direction `dir`, if the session says so. Idempotent.
#[inline]
pub(crate) fn translate(
    frame: &mut Frame,
    s: &Session,
    dir: Direction,
    side: Side,
) -> Result<Option<Change>, DropReason> {
    let (from, to) = ends(s, dir, side);
    if from == to {
        return Ok(None);
    }
    if is_icmp_error(frame) {
        return translate_error(frame, side, from, to);
    }
    let Some(ip) = ip_of(frame, side) else { return Ok(None) };
    let before = match frame.ports() {
        Some((src, dst)) => {
            let port = if side == Side::Source { src } else { dst };
            if ip == to.ip() && port == to.port() {
                return Ok(None);
            }
            frame.rewrite(side, to);
            port
        }
        None if ip == to.ip() && !has_new_ident(frame, s, dir, (side, to)) => return Ok(None),
        None => rewrite_query(frame, s, dir, (side, to)),
    };
    Ok(Some((SocketAddr::new(ip, before), to)))
}

/// The identifier of a ping belongs to the asking side; the other side leaves it alone.
fn own_ident(frame: &Frame, s: &Session, dir: Direction, side: Side) -> Option<u16> {
    let has_ident = s.tuple(dir).is_icmp_request() == (side == Side::Source);
    icmp_of(frame).filter(|_| has_ident).map(|i| i.ident())
}

fn has_new_ident(frame: &Frame, s: &Session, dir: Direction, to: (Side, SocketAddr)) -> bool {
    own_ident(frame, s, dir, to.0).is_some_and(|ident| ident != to.1.port())
}

/// Rewrites a packet without ports; its identifier before, or 0.
fn rewrite_query(
    frame: &mut Frame,
    s: &Session,
    dir: Direction,
    (side, to): (Side, SocketAddr),
) -> u16 {
    let own = own_ident(frame, s, dir, side);
    let ident = match own {
        Some(_) => to.port(),
        None => icmp_of(frame).map_or(0, |i| i.ident()),
    };
    frame.rewrite(side, SocketAddr::new(to.ip(), ident));
    own.unwrap_or(0)
}

#[inline]
fn ip_of(frame: &Frame, side: Side) -> Option<IpAddr> {
    match side {
        Side::Source => frame.src_ip(),
        Side::Destination => frame.dst_ip(),
    }
}

/// One end point of packets of direction `dir`, before and after translation.
#[inline]
fn ends(s: &Session, dir: Direction, side: Side) -> Change {
    let (here, there) = (s.tuple(dir), s.tuple(dir.other()));
    match side {
        Side::Source => (here.source(), there.destination()),
        Side::Destination => (here.destination(), there.source()),
    }
}

/// RFC 5508 §4.2 (REQ-4): an error goes the way of the answers to the packet it quotes; the
/// quotation is translated back on the opposite side, with its checksums.
fn translate_error(
    frame: &mut Frame,
    side: Side,
    from: SocketAddr,
    to: SocketAddr,
) -> Result<Option<Change>, DropReason> {
    let Some(quoted) = Quoted::of(frame) else { return Err(DropReason::Malformed) };
    let (SocketAddr::V4(new), Network::Ipv4) = (to, frame.meta.layers.network) else {
        return Ok(None);
    };
    let inner_side = if side == Side::Source { Side::Destination } else { Side::Source };
    let inner = match inner_side {
        Side::Source => quoted.tuple.source(),
        Side::Destination => quoted.tuple.destination(),
    };
    // An error made on this host is about the packet as it was between both translations.
    let quotes_old = inner == from;
    let before = ip_of(frame, side);
    if quotes_old {
        let ident = quoted.tuple.is_icmp()
            && quoted.tuple.is_icmp_request() == (inner_side == Side::Source);
        let has_port = !quoted.tuple.is_icmp() || ident;
        let port = has_port.then_some(new.port());
        let quotation = frame.meta.layers.l4 as usize + icmp::HEADER;
        let mut bytes = frame.to_vec();
        let patch = Patch { l4: quoted.l4, side: inner_side, protocol: quoted.tuple.protocol };
        patch.apply(&mut bytes[quotation..], u32::from(*new.ip()), port);
        replace_bytes(frame, &mut bytes)?;
    }
    if before != Some(to.ip()) {
        frame.rewrite(side, SocketAddr::new(to.ip(), 0));
    }
    let changed = quotes_old || before != Some(to.ip());
    Ok(changed.then_some((before.map_or(from, |ip| SocketAddr::new(ip, 0)), to)))
}

/// Gives an ICMP frame new bytes, after making its checksum right.
fn replace_bytes(frame: &mut Frame, bytes: &mut [u8]) -> Result<(), DropReason> {
    let meta = frame.meta;
    let message = &mut bytes[meta.layers.l4 as usize..];
    message[2..4].fill(0);
    let sum = Sum::of(message).checksum();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut new = Frame::from_bytes(bytes);
    new.parse().map_err(|_| DropReason::Malformed)?;
    new.meta.cause = meta.cause;
    new.meta.conntrack = meta.conntrack;
    new.meta.verified = meta.verified;
    *frame = *new;
    Ok(())
}

/// What to change in a quoted IPv4 packet.
struct Patch {
    l4: usize,
    side: Side,
    protocol: u8,
}

impl Patch {
    fn apply(&self, b: &mut [u8], ip: u32, port: Option<u16>) {
        let source = self.side == Side::Source;
        let at = if source { 12 } else { 16 };
        let old_ip = Sum::of(&b[at..at + 4]);
        let new_ip = Sum::long(ip);
        b[at..at + 4].copy_from_slice(&ip.to_be_bytes());
        patch_checksum(b, 10, old_ip, new_ip);
        let l4 = self.l4;
        let (field, port_at, pseudo) = match self.protocol {
            protocol::TCP => (l4 + 16, l4 + if source { 0 } else { 2 }, true),
            protocol::UDP => (l4 + 6, l4 + if source { 0 } else { 2 }, true),
            protocol::ICMP => (l4 + 2, l4 + 4, false),
            _ => return,
        };
        let mut old = if pseudo { old_ip } else { Sum::ZERO };
        let mut new = if pseudo { new_ip } else { Sum::ZERO };
        if let (Some(port), true) = (port, b.len() >= port_at + 2) {
            old = old + Sum::of(&b[port_at..port_at + 2]);
            new = new + Sum::word(port);
            b[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
        }
        let unsummed = self.protocol == protocol::UDP && b.get(field..field + 2) == Some(&[0, 0]);
        if !unsummed {
            patch_checksum(b, field, old, new);
            // RFC 768: 0 would say that there is none.
            if self.protocol == protocol::UDP
                && let Some(sum @ [0, 0]) = b.get_mut(field..field + 2)
            {
                sum.fill(0xff);
            }
        }
    }
}

/// Updates a checksum if the quotation reaches so far.
fn patch_checksum(b: &mut [u8], at: usize, old: Sum, new: Sum) {
    if let Some(field) = b.get_mut(at..at + 2) {
        let updated = update(u16::from_be_bytes([field[0], field[1]]), old, new);
        field.copy_from_slice(&updated.to_be_bytes());
    }
}
