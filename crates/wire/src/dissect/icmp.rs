//! ICMP and ICMPv6, in tcpdump's words.

use core::net::{Ipv4Addr, Ipv6Addr};

use super::{Cut, Printer, Seen};
use crate::frame::{be16, be32};
use crate::icmp::kind;
use crate::ip::{V4_HEADER, V6_HEADER, protocol};

impl Printer<'_> {
    pub(super) fn icmp(&mut self, seen: Seen<'_>) -> Result<(), Cut> {
        let text = icmp_text(seen)?;
        put!(self, "ICMP {text}, length {}", seen.len);
        Ok(())
    }

    pub(super) fn icmp6(&mut self, seen: Seen<'_>) -> Result<(), Cut> {
        put!(self, "ICMP6, ");
        let text = icmp6_text(seen)?;
        put!(self, "{text}, length {}", seen.len);
        Ok(())
    }
}

fn icmp_text(seen: Seen<'_>) -> Result<String, Cut> {
    let head = seen.need(2, "icmp")?;
    let (kind, code) = (head[0], head[1]);
    let whole = || seen.need(8, "icmp");
    Ok(match kind {
        kind::ECHO_REQUEST | kind::ECHO_REPLY => {
            let name = if kind == kind::ECHO_REQUEST { "request" } else { "reply" };
            let b = whole()?;
            format!("echo {name}, id {}, seq {}", be16(b, 4), be16(b, 6))
        }
        kind::UNREACHABLE => unreachable_text(code, seen)?,
        kind::REDIRECT => redirect_text(code, seen)?,
        kind::TIME_EXCEEDED => match (quoted_dst(seen)?, code).1 {
            0 => "time exceeded in-transit".into(),
            1 => "ip reassembly time exceeded".into(),
            other => format!("time exceeded-#{other}"),
        },
        kind::PARAMETER_PROBLEM if code != 0 => format!("parameter problem - code {code}"),
        kind::PARAMETER_PROBLEM => {
            format!("parameter problem - octet {}", seen.need(5, "icmp")?[4])
        }
        kind::SOURCE_QUENCH => "source quench".into(),
        10 => "router solicitation".into(),
        other => format!("type-#{other}"),
    })
}

/// RFC 792, RFC 1191, RFC 1812 §5.2.7.1.
fn unreachable_text(code: u8, seen: Seen<'_>) -> Result<String, Cut> {
    if code == 4 {
        let mtu = be16(seen.need(8, "icmp")?, 6);
        let dst = quoted_dst(seen)?;
        let suffix = if mtu == 0 { String::new() } else { format!(" (mtu {mtu})") };
        return Ok(format!("{dst} unreachable - need to frag{suffix}"));
    }
    let dst = quoted_dst(seen)?;
    Ok(match code {
        0 => format!("net {dst} unreachable"),
        1 => format!("host {dst} unreachable"),
        2 => format!("{dst} protocol {} unreachable", quoted_protocol(seen)?),
        3 => port_unreachable(seen, dst)?,
        5 => format!("{dst} unreachable - source route failed"),
        6 => format!("net {dst} unreachable - unknown"),
        7 => format!("host {dst} unreachable - unknown"),
        8 => format!("{dst} unreachable - source host isolated"),
        9 => format!("net {dst} unreachable - admin prohibited"),
        10 => format!("host {dst} unreachable - admin prohibited"),
        11 => format!("net {dst} unreachable - tos prohibited"),
        12 => format!("host {dst} unreachable - tos prohibited"),
        13 => format!("host {dst} unreachable - admin prohibited filter"),
        14 => format!("host {dst} unreachable - host precedence violation"),
        15 => format!("host {dst} unreachable - precedence cutoff"),
        other => format!("{dst} unreachable - #{other}"),
    })
}

fn quoted_dst(seen: Seen<'_>) -> Result<Ipv4Addr, Cut> {
    let b = seen.skip(8).need(V4_HEADER, "icmp")?;
    Ok(be32(b, 16).into())
}

fn quoted_protocol(seen: Seen<'_>) -> Result<u8, Cut> {
    Ok(seen.skip(8).need(V4_HEADER, "icmp")?[9])
}

fn port_unreachable(seen: Seen<'_>, dst: Ipv4Addr) -> Result<String, Cut> {
    let quoted = seen.skip(8);
    let header = usize::from(quoted.need(1, "icmp")?[0] & 0x0f) * 4;
    let port = be16(quoted.skip(header).need(4, "icmp")?, 2);
    Ok(match quoted_protocol(seen)? {
        protocol::TCP => format!("{dst} tcp port {port} unreachable"),
        protocol::UDP => format!("{dst} udp port {port} unreachable"),
        other => format!("{dst} protocol {other} port {port} unreachable"),
    })
}

fn redirect_text(code: u8, seen: Seen<'_>) -> Result<String, Cut> {
    let gateway: Ipv4Addr = be32(seen.need(8, "icmp")?, 4).into();
    let dst = quoted_dst(seen)?;
    Ok(match code {
        0 => format!("redirect {dst} to net {gateway}"),
        1 => format!("redirect {dst} to host {gateway}"),
        2 => format!("redirect-tos {dst} to net {gateway}"),
        3 => format!("redirect-tos {dst} to host {gateway}"),
        other => format!("redirect-#{other} {dst} to {gateway}"),
    })
}

/// RFC 4443, RFC 4861.
fn icmp6_text(seen: Seen<'_>) -> Result<String, Cut> {
    let head = seen.need(2, "icmp6")?;
    let target = || -> Result<Ipv6Addr, Cut> { address6(seen.skip(8)) };
    Ok(match head[0] {
        1 => format!("destination unreachable, {}", unreachable6_text(head[1], seen)?),
        2 => format!("packet too big, mtu {}", be32(seen.need(8, "icmp6")?, 4)),
        3 => match head[1] {
            0 => format!("time exceeded in-transit for {}", quoted_dst6(seen)?),
            1 => "ip6 reassembly time exceeded".into(),
            other => format!("time exceeded, unknown code #{other}"),
        },
        128 | 129 => {
            let name = if head[0] == 128 { "request" } else { "reply" };
            let b = seen.need(8, "icmp6")?;
            format!("echo {name}, id {}, seq {}", be16(b, 4), be16(b, 6))
        }
        133 => "router solicitation".into(),
        134 => "router advertisement".into(),
        135 => format!("neighbor solicitation, who has {}", target()?),
        136 => format!("neighbor advertisement, tgt is {}", target()?),
        143 => "multicast listener report v2".into(),
        other => format!("unknown icmp6 type ({other})"),
    })
}

fn address6(seen: Seen<'_>) -> Result<Ipv6Addr, Cut> {
    let b = seen.need(16, "icmp6")?;
    Ok(Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|i| b[i])))
}

fn quoted_dst6(seen: Seen<'_>) -> Result<Ipv6Addr, Cut> {
    address6(seen.skip(8 + 24))
}

fn unreachable6_text(code: u8, seen: Seen<'_>) -> Result<String, Cut> {
    let dst = quoted_dst6(seen)?;
    Ok(match code {
        0 => format!("unreachable route {dst}"),
        1 => format!("unreachable prohibited {dst}"),
        2 => format!("beyond scope {dst}"),
        3 => format!("unreachable address {dst}"),
        4 => {
            let protocol = seen.skip(8).need(V6_HEADER, "icmp6")?[6];
            let port = be16(seen.skip(8 + V6_HEADER).need(4, "icmp6")?, 2);
            match protocol {
                protocol::TCP => format!("unreachable port, {dst} tcp port {port}"),
                protocol::UDP => format!("unreachable port, {dst} udp port {port}"),
                other => format!("unreachable port, {dst} protocol {other} port {port}"),
            }
        }
        other => format!("unknown unreach code ({other})"),
    })
}
