//! What primitives mean on a kind of capture.

use core::net::{IpAddr, Ipv6Addr};

use super::test::{At, Num, Test};
use super::tree::{Dir, Id, Proto, Quals, Tree, Type};
use super::{FilterError, LinkType, Target};
use crate::dissect::{protocol_number, service_port};
use crate::eth::Mac;
use crate::ip::protocol;

const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
const ARP: u32 = 0x0806;
const RARP: u32 = 0x8035;

/// Makes conditions; VLAN tags move what comes after them.
pub(super) struct Compiler<'a> {
    target: &'a Target<'a>,
    /// Bytes of VLAN tags in front of the present type field.
    pub(super) tags: usize,
}

pub(super) type Made = Result<Test, FilterError>;

pub(super) fn fail<T>(text: impl Into<String>) -> Result<T, FilterError> {
    Err(FilterError::new(text))
}

impl<'a> Compiler<'a> {
    pub(super) fn new(target: &'a Target<'a>) -> Compiler<'a> {
        Compiler { target, tags: 0 }
    }

    pub(super) fn tree(&mut self, tree: &Tree) -> Made {
        Ok(match tree {
            Tree::And(a, b) => self.tree(a)?.and(self.tree(b)?),
            Tree::Or(a, b) => self.tree(a)?.or(self.tree(b)?),
            Tree::Not(a) => Test::Not(Box::new(self.tree(a)?)),
            Tree::Id(q, id) => self.id(*q, id)?,
            Tree::Proto(proto) => self.proto_alone(*proto)?,
            Tree::Broadcast(proto) => self.broadcast(*proto)?,
            Tree::Multicast(proto) => self.multicast(*proto)?,
            Tree::Less(n) => Test::Len { least: 0, most: *n as usize },
            Tree::Greater(n) => Test::Len { least: *n as usize, most: usize::MAX },
            Tree::Byte(at, sign, value) => byte(*at, sign, *value),
            Tree::Inbound(inbound) => self.direction(*inbound)?,
            Tree::IfIndex(n) => self.ifindex(*n)?,
            Tree::Vlan(id) => self.vlan(*id)?,
            Tree::Relation(a, sign, b) => self.relation(a, sign, b)?,
        })
    }

    /// Where the network header begins.
    pub(super) fn net(&self) -> usize {
        self.target.link.header() + self.tags
    }

    /// Whether the link header announces this protocol.
    pub(super) fn ethertype(&self, ty: u32) -> Test {
        let at = match self.target.link {
            LinkType::Ethernet => 12 + self.tags,
            LinkType::Cooked => 14 + self.tags,
            LinkType::Cooked2 if self.tags > 0 => 18 + self.tags,
            LinkType::Cooked2 => 0,
            LinkType::Raw => {
                let version = |v: u32| field(At::Start(0), 1, 0xf0, v << 4);
                return match ty {
                    IPV4 => version(4),
                    IPV6 => version(6),
                    _ => Test::Never,
                };
            }
        };
        field(At::Start(at), 2, 0xffff, ty)
    }

    /// Whether an IPv4 packet carries this protocol.
    pub(super) fn v4(&self, number: u8) -> Test {
        self.ethertype(IPV4).and(field(At::Start(self.net() + 9), 1, 0xff, number.into()))
    }

    /// The same for IPv6, behind a fragment header, too.
    fn v6(&self, number: u8) -> Test {
        let next = |at: usize, n: u8| field(At::Start(self.net() + at), 1, 0xff, n.into());
        self.ethertype(IPV6).and(next(6, number).or(next(6, 44).and(next(40, number))))
    }

    pub(super) fn proto_alone(&self, proto: Proto) -> Made {
        Ok(match proto {
            Proto::Link => return fail("link layer applied in wrong context"),
            Proto::Default => Test::Never,
            Proto::Ip => self.ethertype(IPV4),
            Proto::Ip6 => self.ethertype(IPV6),
            Proto::Arp => self.ethertype(ARP),
            Proto::Rarp => self.ethertype(RARP),
            Proto::Icmp => self.v4(protocol::ICMP),
            Proto::Icmp6 => self.v6(protocol::ICMPV6),
            Proto::Igmp | Proto::Igrp | Proto::Vrrp => self.v4(proto.number().unwrap_or(0)),
            other => {
                let number = other.number().unwrap_or(0);
                self.v4(number).or(self.v6(number))
            }
        })
    }

    fn id(&self, q: Quals, id: &Id) -> Made {
        match (q.ty, id) {
            (Type::Gateway, Id::Name(_)) => fail("'gateway' not supported in this configuration"),
            (Type::Gateway, _) => fail("'gateway' requires a name"),
            (Type::ProtoChain, _) => fail("'protochain' is not supported"),
            (_, Id::Mac(mac)) => self.mac(q, *mac),
            (Type::Port | Type::PortRange | Type::Proto, Id::Partial(..)) => {
                let ty = match q.ty {
                    Type::Port => "port",
                    Type::PortRange => "portrange",
                    _ => "proto",
                };
                fail(format!("'{ty}' modifier applied to ip host"))
            }
            (Type::Port, Id::Number(n)) => self.port(q, *n, *n),
            (Type::PortRange, Id::Number(n)) => self.port(q, *n, *n),
            (Type::Port, Id::Name(name)) => self.named_port(q, name),
            (Type::PortRange, Id::Name(name)) => self.port_range(q, name),
            (Type::Proto, Id::Number(n)) => self.proto(q, *n),
            (Type::Proto, Id::Name(name)) => self.named_proto(q, name),
            (_, Id::Prefix(value, bits, text, len)) => {
                if *len > 32 {
                    return fail("mask length must be <= 32");
                }
                let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
                let value = whole(*value, *bits);
                if value & !mask != 0 {
                    return fail(format!("non-network bits set in \"{text}/{len}\""));
                }
                self.masked(q, value, mask)
            }
            (_, Id::Mask((value, bits, text), (mask, mask_bits, mask_text))) => {
                let (value, mask) = (whole(*value, *bits), whole(*mask, *mask_bits));
                if value & !mask != 0 {
                    return fail(format!("non-network bits set in \"{text} mask {mask_text}\""));
                }
                self.masked(q, value, mask)
            }
            (_, Id::V6(v6)) => self.v6_id(q, *v6, None),
            (_, Id::V6Prefix(v6, len)) => self.v6_id(q, *v6, Some(*len)),
            (_, Id::Partial(value, bits, _)) => {
                self.not_link(q)?;
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                self.host(q, whole(*value, *bits), mask)
            }
            (Type::Net, Id::Number(n)) => {
                self.not_link(q)?;
                let (value, mask) = short_network(*n);
                self.host(q, value, mask)
            }
            (_, Id::Number(n)) => {
                self.not_link(q)?;
                self.host(q, *n, u32::MAX)
            }
            (Type::Net, Id::Name(name)) => fail(format!("unknown network '{name}'")),
            (_, Id::Name(name)) => self.named_host(q, name),
        }
    }

    fn not_link(&self, q: Quals) -> Result<(), FilterError> {
        if q.proto == Proto::Link { fail("illegal link layer address") } else { Ok(()) }
    }

    fn masked(&self, q: Quals, value: u32, mask: u32) -> Made {
        match q.ty {
            Type::Net => self.host(q, value, mask),
            _ => fail("Mask syntax for networks only"),
        }
    }

    fn host(&self, q: Quals, value: u32, mask: u32) -> Made {
        let hosts = |c: &Self, ty: u32, src: usize, dst: usize| {
            let at = |offset: usize| field(At::Start(c.net() + offset), 4, mask, value & mask);
            c.ethertype(ty).and(both(q.dir, at(src), at(dst)))
        };
        Ok(match q.proto {
            Proto::Default => {
                hosts(self, IPV4, 12, 16).or(hosts(self, ARP, 14, 24)).or(hosts(self, RARP, 14, 24))
            }
            Proto::Ip => hosts(self, IPV4, 12, 16),
            Proto::Arp => hosts(self, ARP, 14, 24),
            Proto::Rarp => hosts(self, RARP, 14, 24),
            Proto::Link => return fail("link-layer modifier applied to host"),
            Proto::Ip6 => return fail("'ip6' modifier applied to ip host"),
            other => return fail(modifier(other, q.ty)),
        })
    }

    fn v6_id(&self, q: Quals, address: Ipv6Addr, len: Option<u32>) -> Made {
        let len = len.unwrap_or(128);
        if len > 128 {
            return fail("mask length must be <= 128");
        }
        let mask = u128::MAX.checked_shl(128 - len).unwrap_or(0);
        let value = u128::from(address);
        if value & !mask != 0 {
            return fail(format!("non-network bits set in \"{address}/{len}\""));
        }
        match q.ty {
            Type::Default | Type::Host if len != 128 => {
                return fail("Mask syntax for networks only");
            }
            Type::Default | Type::Host | Type::Net => {}
            _ => return fail("invalid qualifier against IPv6 address"),
        }
        self.host6(q, value, mask)
    }

    fn host6(&self, q: Quals, value: u128, mask: u128) -> Made {
        if !matches!(q.proto, Proto::Default | Proto::Ip6) {
            let name = q.proto.name();
            return match q.proto {
                Proto::Link => fail("link-layer modifier applied to ip6 host"),
                _ => fail(format!("'{name}' modifier applied to ip6 {}", type_name(q.ty))),
            };
        }
        let at = |offset: usize| {
            let words = (0..4).map(|n| {
                let part = |v: u128| (v >> (96 - 32 * n)) as u32;
                let at = At::Start(self.net() + offset + 4 * n);
                field(at, 4, part(mask), part(value) & part(mask))
            });
            words.reduce(Test::and).unwrap_or(Test::Never)
        };
        Ok(self.ethertype(IPV6).and(both(q.dir, at(8), at(24))))
    }

    fn named_host(&self, q: Quals, name: &str) -> Made {
        if q.proto == Proto::Link {
            return match self.target.link {
                LinkType::Ethernet => fail(format!("unknown ether host '{name}'")),
                _ => fail(
                    "only ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel supports \
                     link-level host name",
                ),
            };
        }
        let found = (self.target.hosts)(name);
        if found.is_empty() {
            return fail(format!("unknown host '{name}'"));
        }
        let mut test: Option<Test> = None;
        for address in found {
            let one = match (address, q.proto) {
                (IpAddr::V4(_), Proto::Ip6) | (IpAddr::V6(_), Proto::Ip) => continue,
                (IpAddr::V4(v4), _) => self.host(q, u32::from(v4), u32::MAX)?,
                (IpAddr::V6(v6), _) => self.host6(q, u128::from(v6), u128::MAX)?,
            };
            test = Some(match test {
                Some(before) => before.or(one),
                None => one,
            });
        }
        let family =
            || FilterError::new(format!("unknown host '{name}' for specified address family"));
        test.ok_or_else(family)
    }

    fn mac(&self, q: Quals, mac: Mac) -> Made {
        let host = matches!(q.ty, Type::Default | Type::Host);
        if !(host && q.proto == Proto::Link) {
            return fail("ethernet address used in non-ether expression");
        }
        if self.target.link != LinkType::Ethernet {
            return fail(
                "ethernet addresses supported only on ethernet/FDDI/token ring/802.11/ATM LANE/\
                 Fibre Channel",
            );
        }
        Ok(both(q.dir, ether(6, mac), ether(0, mac)))
    }

    fn named_port(&self, q: Quals, name: &str) -> Made {
        port_protocol(q, "port")?;
        let number = |proto: Proto| service_port(proto.number(), name);
        let (tcp, udp) = (number(Proto::Tcp), number(Proto::Udp));
        let Some(port) = tcp.or(udp) else { return fail(format!("unknown port '{name}'")) };
        match q.proto {
            Proto::Udp if udp.is_none() => return fail(format!("port '{name}' is tcp")),
            Proto::Tcp if tcp.is_none() => return fail(format!("port '{name}' is udp")),
            _ => {}
        }
        // A name that only one protocol has means that one.
        let proto = match (q.proto, tcp, udp) {
            (Proto::Default, Some(_), None) => Proto::Tcp,
            (Proto::Default, None, Some(_)) => Proto::Udp,
            (given, ..) => given,
        };
        self.port(Quals { proto, ..q }, port.into(), port.into())
    }

    fn port_range(&self, q: Quals, range: &str) -> Made {
        port_protocol(q, "portrange")?;
        let one = |part: &str| match part.parse::<u32>() {
            Ok(n) => Some(n),
            Err(_) => service_port(q.proto.number(), part).map(u32::from),
        };
        let ends = match range.split_once('-') {
            Some((from, to)) => one(from).zip(one(to)),
            None => one(range).map(|n| (n, n)),
        };
        match ends {
            Some((from, to)) => self.port(q, from.min(to), from.max(to)),
            None => fail(format!("unknown port in range '{range}'")),
        }
    }

    fn port(&self, q: Quals, least: u32, most: u32) -> Made {
        port_protocol(q, if q.ty == Type::Port { "port" } else { "portrange" })?;
        if most > 65_535 {
            return fail(format!("illegal port number {most} > 65535"));
        }
        let protocols: &[u8] = match q.proto {
            Proto::Tcp => &[protocol::TCP],
            Proto::Udp => &[protocol::UDP],
            Proto::Sctp => &[132],
            _ => &[protocol::TCP, protocol::UDP, 132],
        };
        let net = self.net();
        let carried = |at: usize| {
            let tests = protocols.iter().map(|p| field(At::Start(net + at), 1, 0xff, (*p).into()));
            tests.reduce(Test::or).unwrap_or(Test::Never)
        };
        let ports = |at: &dyn Fn(usize) -> At| {
            let end = |offset| Test::Field { at: at(offset), size: 2, mask: 0xffff, least, most };
            both(q.dir, end(0), end(2))
        };
        let v6 = self.ethertype(IPV6).and(carried(6)).and(ports(&|o| At::Start(net + 40 + o)));
        let v4 = self
            .ethertype(IPV4)
            .and(carried(9))
            .and(self.unfragmented())
            .and(ports(&|offset| At::Behind { net, offset }));
        Ok(v6.or(v4))
    }

    /// Not a later fragment: those have no ports.
    pub(super) fn unfragmented(&self) -> Test {
        field(At::Start(self.net() + 6), 2, 0x1fff, 0)
    }

    fn named_proto(&self, q: Quals, name: &str) -> Made {
        let known = match q.proto {
            Proto::Link => match name {
                "ip" => Some(IPV4),
                "ip6" => Some(IPV6),
                "arp" => Some(ARP),
                "rarp" => Some(RARP),
                "loopback" => Some(0x9000),
                _ => return fail(format!("unknown ether proto '{name}'")),
            },
            Proto::Default | Proto::Ip | Proto::Ip6 => protocol_number(name).map(u32::from),
            _ => None,
        };
        match known {
            Some(n) => self.proto(q, n),
            None => fail(format!("unknown ip proto '{name}'")),
        }
    }

    fn proto(&self, q: Quals, number: u32) -> Made {
        if q.dir != Dir::Default {
            return fail("direction applied to 'proto'");
        }
        // A number that does not fit is compared with one byte all the same: never.
        let byte = u8::try_from(number);
        Ok(match (q.proto, byte) {
            (Proto::Link, _) => self.ethertype(number),
            (Proto::Default, Ok(n)) => self.v4(n).or(self.v6(n)),
            (Proto::Ip, Ok(n)) => self.v4(n),
            (Proto::Ip6, Ok(n)) => self.v6(n),
            (Proto::Default | Proto::Ip | Proto::Ip6, Err(_)) => Test::Never,
            (Proto::Arp, _) => return fail("arp does not encapsulate another protocol"),
            (Proto::Rarp, _) => return fail("rarp does not encapsulate another protocol"),
            (other, _) => return fail(format!("'{} proto' is bogus", other.name())),
        })
    }

    fn broadcast(&self, proto: Proto) -> Made {
        match proto {
            Proto::Default | Proto::Link => match self.target.link {
                LinkType::Ethernet => Ok(ether(0, Mac::BROADCAST)),
                _ => fail("not a broadcast link"),
            },
            Proto::Ip => {
                let hosts = !self.target.netmask.unwrap_or(0);
                let at = At::Start(self.net() + 16);
                let all = field(at, 4, hosts, 0).or(field(at, 4, hosts, hosts));
                Ok(self.ethertype(IPV4).and(all))
            }
            _ => fail("only link-layer/IP broadcast filters supported"),
        }
    }

    fn multicast(&self, proto: Proto) -> Made {
        let net = self.net();
        match (proto, self.target.link) {
            (Proto::Default | Proto::Link, LinkType::Ethernet) => {
                Ok(Test::Not(Box::new(field(At::Start(0), 1, 1, 0))))
            }
            (Proto::Ip, _) => {
                let class = Test::Field {
                    at: At::Start(net + 16),
                    size: 1,
                    mask: 0xff,
                    least: 224,
                    most: 255,
                };
                Ok(self.ethertype(IPV4).and(class))
            }
            (Proto::Ip6, _) => {
                Ok(self.ethertype(IPV6).and(field(At::Start(net + 24), 1, 0xff, 255)))
            }
            _ => fail(
                "link-layer multicast filters supported only on ethernet/FDDI/token ring/ARCNET/\
                 802.11/ATM LANE/Fibre Channel",
            ),
        }
    }

    fn direction(&self, inbound: bool) -> Made {
        let cooked = matches!(self.target.link, LinkType::Cooked | LinkType::Cooked2);
        if !cooked && !self.target.live {
            let (_, what) = self.target.link.name();
            return fail(format!(
                "inbound/outbound not supported on {what} when reading savefiles"
            ));
        }
        Ok(if inbound { Test::Not(Box::new(Test::Out)) } else { Test::Out })
    }

    fn ifindex(&self, number: u32) -> Made {
        if self.target.link != LinkType::Cooked2 && !self.target.live {
            let (_, what) = self.target.link.name();
            return fail(format!("ifindex not supported on {what} when reading savefiles"));
        }
        Ok(Test::IfIndex(number))
    }

    /// A tag, with what comes after it behind the tag.
    fn vlan(&mut self, id: Option<u32>) -> Made {
        if self.target.link != LinkType::Ethernet {
            let (_, what) = self.target.link.name();
            return fail(format!("no VLAN support for {what}"));
        }
        let tagged = [0x8100, 0x88a8, 0x9100].map(|ty| self.ethertype(ty));
        let [a, b, c] = tagged;
        let mut test = a.or(b).or(c);
        if let Some(id) = id {
            if id > 0x0fff {
                return fail(format!("VLAN tag {id} greater than maximum 4095"));
            }
            test = test.and(field(At::Start(self.net()), 2, 0x0fff, id));
        }
        self.tags += 4;
        Ok(test)
    }
}

pub(super) fn field(at: At, size: u8, mask: u32, value: u32) -> Test {
    Test::Field { at, size, mask, least: value, most: value }
}

fn ether(offset: usize, mac: Mac) -> Test {
    let m = mac.0;
    let low = u32::from_be_bytes([m[2], m[3], m[4], m[5]]);
    let high = u32::from(u16::from_be_bytes([m[0], m[1]]));
    field(At::Start(offset + 2), 4, u32::MAX, low).and(field(At::Start(offset), 2, 0xffff, high))
}

fn both(dir: Dir, src: Test, dst: Test) -> Test {
    match dir {
        Dir::Src => src,
        Dir::Dst => dst,
        Dir::And => src.and(dst),
        Dir::Default | Dir::Or => src.or(dst),
    }
}

fn byte(at: u32, sign: &str, value: u32) -> Test {
    let at = At::Start(at as usize);
    let between = |least, most| Test::Field { at, size: 1, mask: 0xff, least, most };
    let load = || Num::Load { from: at, index: Box::new(Num::Number(0)), size: 1 };
    let combined = |sign| {
        let value = Num::Binary(sign, Box::new(load()), Box::new(Num::Number(value)));
        Test::Relation(value, "!=", Num::Number(0))
    };
    match sign {
        "=" => between(value, value),
        "<" => value.checked_sub(1).map_or(Test::Never, |most| between(0, most)),
        ">" => value.checked_add(1).map_or(Test::Never, |least| between(least, u32::MAX)),
        "&" => combined("&"),
        _ => combined("|"),
    }
}

/// An address of which only the first bits are given.
fn whole(value: u32, bits: u32) -> u32 {
    value.checked_shl(32 - bits).unwrap_or(0)
}

/// `net 10` is `net 10.0.0.0/8`.
fn short_network(number: u32) -> (u32, u32) {
    let (mut value, mut mask) = (number, u32::MAX);
    while value != 0 && value & 0xff00_0000 == 0 {
        value <<= 8;
        mask <<= 8;
    }
    (value, mask)
}

fn port_protocol(q: Quals, what: &str) -> Result<(), FilterError> {
    match q.proto {
        Proto::Default | Proto::Tcp | Proto::Udp | Proto::Sctp => Ok(()),
        _ => fail(format!("illegal qualifier of '{what}'")),
    }
}

fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Net => "net",
        _ => "host",
    }
}

fn modifier(proto: Proto, ty: Type) -> String {
    format!("'{}' modifier applied to {}", proto.name(), type_name(ty))
}
