//! The values of options: addresses, ports, targets.

use core::net::{IpAddr, Ipv4Addr};

use netarium_filter::{Cidr, Is, Log, Mss, NatTo, PortRange, PortSide, Ports, Reject, Target};

use super::names;
use super::parse::{Nets, Refusal, usage};

/// A rule number, from 1.
pub(super) fn number(word: &str) -> Result<usize, Refusal> {
    match word.parse::<u32>() {
        Ok(n) if n > 0 => Ok(n as usize),
        _ => usage(format!("Invalid rule number `{word}'")),
    }
}

/// A target by name; another word is a chain.
pub(super) fn target(word: &str) -> Target {
    match word {
        "ACCEPT" => Target::Accept,
        "DROP" => Target::Drop,
        "RETURN" => Target::Return,
        "REJECT" => Target::Reject(Reject::Icmp { kind: 3, code: 3 }),
        "LOG" => Target::Log(Log::default()),
        "DNAT" => Target::Dnat(NatTo::default()),
        "SNAT" => Target::Snat(NatTo::default()),
        "MASQUERADE" => Target::Masquerade(None),
        "REDIRECT" => Target::Redirect(None),
        "TCPMSS" => Target::TcpMss(Mss::Set(0)),
        chain => Target::Jump(chain.into()),
    }
}

/// How many addresses one `-s` or `-d` may list.
const NETS_MAX: usize = 64;

/// A list of addresses and networks.
pub(super) fn nets(list: &str, not: bool) -> Result<Nets, Refusal> {
    let all = list.split(',').map(|word| net(word.trim()).map(|value| Is { value, not }));
    let all: Nets = all.take(NETS_MAX).collect::<Result<_, _>>()?;
    if not && all.len() > 1 {
        return usage("! not allowed with multiple source or destination IP addresses");
    }
    Ok(all)
}

fn net(word: &str) -> Result<Cidr, Refusal> {
    let (address, mask) = match word.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (word, None),
    };
    let Ok(ip) = address.parse::<Ipv4Addr>() else {
        return usage(format!("host/network `{address}' not found"));
    };
    let length = match mask {
        None => Some(32),
        Some(mask) => mask.parse().ok().filter(|n| *n <= 32).or_else(|| dotted(mask)),
    };
    let net = length.and_then(|n| Cidr::new(IpAddr::V4(ip), n)).map(|net| net.network());
    net.map_or_else(|| usage(format!("invalid mask `{}' specified", mask.unwrap_or_default())), Ok)
}

/// `255.255.255.0`: 24; masks with holes are not known here.
fn dotted(mask: &str) -> Option<u8> {
    let bits = u32::from(mask.parse::<Ipv4Addr>().ok()?);
    (bits.leading_ones() + bits.trailing_zeros() >= 32).then_some(bits.leading_ones() as u8)
}

fn port(word: &str) -> Result<u16, Refusal> {
    let bad = || Refusal::Usage(format!("invalid port/service `{word}' specified"));
    names::port(word).ok_or_else(bad)
}

/// `80`, `8000:8080`, `:1023`, `1024:`.
pub(super) fn ports(word: &str) -> Result<PortRange, Refusal> {
    let Some((first, last)) = word.split_once(':') else {
        return port(word).map(PortRange::one);
    };
    let first = if first.is_empty() { 0 } else { port(first)? };
    let last = if last.is_empty() { u16::MAX } else { port(last)? };
    let range = PortRange::new(first, last);
    range.map_or_else(|| usage("invalid portrange (min > max)"), Ok)
}

/// The ports of `multiport`.
pub(super) fn list(side: PortSide, words: &str, not: bool) -> Result<Ports, Refusal> {
    let ranges = words.split(',').map(ports).collect::<Result<Vec<_>, _>>()?;
    let width: usize = ranges.iter().map(|r| if r.count() > 1 { 2 } else { 1 }).sum();
    if width > netarium_filter::matches::MULTIPORT_MAX {
        return usage("too many ports specified");
    }
    Ok(Ports { side, ranges, not })
}

/// `8080` or `1000-2000`.
pub(super) fn dashed(word: &str) -> Result<PortRange, Refusal> {
    let bad = || Refusal::Usage(format!("Port `{word}' not valid"));
    let one = |w: &str| w.parse::<u16>().ok().filter(|p| *p > 0).ok_or_else(bad);
    match word.split_once('-') {
        None => one(word).map(PortRange::one),
        Some((first, last)) => PortRange::new(one(first)?, one(last)?).ok_or_else(bad),
    }
}

/// `ADDRESS[-ADDRESS][:PORT[-PORT][/BASE]]`; a base only where destinations are translated.
pub(super) fn nat_to(word: &str, destination: bool) -> Result<NatTo, Refusal> {
    let (addresses, ports) = match word.split_once(':') {
        Some((addresses, ports)) => (addresses, Some(ports)),
        None => (word, None),
    };
    let address = |w: &str| match w.parse::<Ipv4Addr>() {
        Ok(ip) => Ok(IpAddr::V4(ip)),
        Err(_) => usage(format!("Bad IP address \"{w}\"\n")),
    };
    let addresses = match addresses.split_once('-') {
        _ if addresses.is_empty() => None,
        Some((first, last)) => Some((address(first)?, address(last)?)),
        None => Some((address(addresses)?, address(addresses)?)),
    };
    let (ports, base) =
        match ports.map(|p| p.split_once('/').map_or((p, None), |(p, b)| (p, Some(b)))) {
            None => (None, None),
            Some((ports, None)) => (Some(dashed(ports)?), None),
            Some((ports, Some(base))) if destination => {
                (Some(dashed(ports)?), Some(dashed(base)?.first()))
            }
            Some((ports, Some(_))) => return usage(format!("Port `{ports}' not valid")),
        };
    Ok(NatTo { addresses, ports, base })
}
