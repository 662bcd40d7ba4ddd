//! Which frames a wire is told to lose, by what they carry: a small part of the filter language of
//! `tcpdump`, whose words mean here what they mean there.
//!
//! ```text
//! expression = term ("or" term)*
//! term       = factor (["and"] factor)*
//! factor     = "not" factor | "(" expression ")" | primitive
//! primitive  = "ip" | "arp" | "tcp" | "udp" | "icmp"
//!            | ["src" | "dst"] ("host" ADDRESS | "net" CIDR | "port" N | "portrange" N-M)
//!            | "flags" FLAG ("," FLAG)*          all of them are set: syn ack fin rst psh urg
//!            | "less" N | "greater" N            bytes of the frame, at most or at least
//! ```
//!
//! It compares frames, not trace events: the predicate language of breakpoints stands on a floor
//! above and speaks of what happened, while this must be decided before anything has.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use std::sync::Arc;

use netarium_wire::{Arp, Cidr, Frame, Network, protocol};

/// The longest expression, bytes.
pub const TEXT_MAX: usize = 512;
/// The deepest nesting of parentheses and `not`.
const DEPTH_MAX: u32 = 16;
const FLAGS: [(&str, u8); 6] =
    [("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32)];

/// An expression about frames. It displays as it was written, with single spaces.
#[derive(Clone, Debug)]
pub struct PacketMatch {
    text: Arc<str>,
    what: Arc<What>,
}

impl PartialEq for PacketMatch {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PacketMatch {}

impl fmt::Display for PacketMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Source,
    Destination,
    Either,
}

impl Side {
    /// Whether one of (source, destination) that is meant passes.
    fn any<T>(self, (source, destination): (T, T), is: impl Fn(T) -> bool) -> bool {
        match self {
            Side::Source => is(source),
            Side::Destination => is(destination),
            Side::Either => is(source) || is(destination),
        }
    }
}

#[derive(Debug)]
enum What {
    Ip,
    Arp,
    Protocol(u8),
    Net(Side, Cidr),
    Ports(Side, u16, u16),
    Flags(u8),
    AtMost(usize),
    AtLeast(usize),
    Not(Box<What>),
    And(Vec<What>),
    Or(Vec<What>),
}

impl PacketMatch {
    /// Whether a frame is meant. Its headers have been found before, or there are none.
    pub fn matches(&self, frame: &Frame) -> bool {
        self.what.is(frame)
    }
}

impl What {
    fn is(&self, frame: &Frame) -> bool {
        match self {
            What::Ip => frame.meta.layers.network == Network::Ipv4,
            What::Arp => frame.meta.layers.network == Network::Arp,
            What::Protocol(wanted) => frame.protocol() == Some(*wanted),
            What::Net(side, net) => {
                addresses(frame).is_some_and(|pair| side.any(pair, |a| net.contains(a)))
            }
            What::Ports(side, first, last) => {
                let within = |port| (*first..=*last).contains(&port);
                !later_fragment(frame) && frame.ports().is_some_and(|pair| side.any(pair, within))
            }
            What::Flags(wanted) => {
                let tcp = frame.protocol() == Some(protocol::TCP) && !later_fragment(frame);
                let flags = frame.transport().get(13).copied().unwrap_or(0);
                tcp && flags & wanted == *wanted
            }
            What::AtMost(len) => frame.len() <= *len,
            What::AtLeast(len) => frame.len() >= *len,
            What::Not(inner) => !inner.is(frame),
            What::And(all) => all.iter().all(|w| w.is(frame)),
            What::Or(any) => any.iter().any(|w| w.is(frame)),
        }
    }
}

/// Sender and target, of IP and of ARP.
fn addresses(frame: &Frame) -> Option<(IpAddr, IpAddr)> {
    if frame.meta.layers.network == Network::Arp {
        let arp = Arp::parse(frame.network()).ok()?;
        return Some((arp.sender.into(), arp.target.into()));
    }
    frame.src_ip().zip(frame.dst_ip())
}

/// Behind the first fragment there is no transport header.
fn later_fragment(frame: &Frame) -> bool {
    let header = frame.network();
    frame.meta.layers.fragment
        && frame.meta.layers.network == Network::Ipv4
        && header.get(6..8).is_some_and(|b| u16::from_be_bytes([b[0], b[1]]) & 0x1fff != 0)
}

impl FromStr for PacketMatch {
    type Err = String;

    fn from_str(text: &str) -> Result<PacketMatch, String> {
        if text.len() > TEXT_MAX {
            return Err(format!("an expression has at most {TEXT_MAX} characters"));
        }
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('!', " ! ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut reader = Reader { words: &words, depth: 0 };
        let what = reader.expression()?;
        if let Some(word) = reader.words.first() {
            return Err(format!("`{word}` closes nothing"));
        }
        Ok(PacketMatch { text: words.join(" ").into(), what: Arc::new(what) })
    }
}

struct Reader<'a> {
    words: &'a [&'a str],
    depth: u32,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.first().copied()
    }

    fn next(&mut self, wanted: &str) -> Result<&'a str, String> {
        let (first, rest) =
            self.words.split_first().ok_or_else(|| format!("{wanted} is missing at the end"))?;
        self.words = rest;
        Ok(first)
    }

    fn take(&mut self, any: &[&str]) -> bool {
        let found = self.peek().is_some_and(|word| any.contains(&word));
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn expression(&mut self) -> Result<What, String> {
        let mut terms = vec![self.term()?];
        while self.take(&["or", "||"]) {
            terms.push(self.term()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { What::Or(terms) })
    }

    fn term(&mut self) -> Result<What, String> {
        let mut factors = vec![self.factor()?];
        loop {
            let and = self.take(&["and", "&&"]);
            if !and && self.peek().is_none_or(|w| matches!(w, "or" | "||" | ")")) {
                break;
            }
            factors.push(self.factor()?);
        }
        Ok(if factors.len() == 1 { factors.remove(0) } else { What::And(factors) })
    }

    fn factor(&mut self) -> Result<What, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("it is nested deeper than {DEPTH_MAX} times"));
        }
        let what = if self.take(&["not", "!"]) {
            What::Not(Box::new(self.factor()?))
        } else if self.take(&["("]) {
            let inner = self.expression()?;
            if !self.take(&[")"]) {
                return Err("a `)` is missing".to_owned());
            }
            inner
        } else {
            self.primitive()?
        };
        self.depth -= 1;
        Ok(what)
    }

    fn primitive(&mut self) -> Result<What, String> {
        let word = self.next("what to match")?;
        Ok(match word {
            "ip" => What::Ip,
            "arp" => What::Arp,
            "tcp" => What::Protocol(protocol::TCP),
            "udp" => What::Protocol(protocol::UDP),
            "icmp" => What::Protocol(protocol::ICMP),
            "src" => {
                let word = self.next("`host`, `net` or `port`")?;
                self.sided(Side::Source, word)?
            }
            "dst" => {
                let word = self.next("`host`, `net` or `port`")?;
                self.sided(Side::Destination, word)?
            }
            "flags" => What::Flags(flags(self.next("a flag")?)?),
            "less" => What::AtMost(number(self.next("a number of bytes")?)?),
            "greater" => What::AtLeast(number(self.next("a number of bytes")?)?),
            other => self.sided(Side::Either, other)?,
        })
    }

    fn sided(&mut self, side: Side, word: &str) -> Result<What, String> {
        match word {
            "host" => {
                let text = self.next("an address")?;
                let address: IpAddr = text.parse().map_err(|_| not(text, "an address"))?;
                let bits = if address.is_ipv4() { 32 } else { 128 };
                let net = Cidr::new(address, bits).ok_or_else(|| not(text, "an address"))?;
                Ok(What::Net(side, net))
            }
            "net" => {
                let text = self.next("a network")?;
                let net = text.parse().map_err(|_| not(text, "a network such as 10.0.0.0/24"))?;
                Ok(What::Net(side, net))
            }
            "port" => {
                let text = self.next("a port")?;
                let port = text.parse().map_err(|_| not(text, "a port"))?;
                Ok(What::Ports(side, port, port))
            }
            "portrange" => {
                let text = self.next("a range of ports")?;
                let ends = text.split_once('-');
                let ends = ends.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                let (first, last) = ends.ok_or_else(|| not(text, "a range such as 8000-8010"))?;
                Ok(What::Ports(side, first, last))
            }
            other => Err(format!(
                "`{other}` is no word of it: ip arp tcp udp icmp src dst host net port portrange \
                 flags less greater and or not"
            )),
        }
    }
}

fn not(text: &str, what: &str) -> String {
    format!("`{text}` is not {what}")
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| not(text, "a number of bytes"))
}

fn flags(text: &str) -> Result<u8, String> {
    text.split(',').try_fold(0, |bits, name| {
        let flag = FLAGS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        let all = || not(name, "a flag: syn, ack, fin, rst, psh or urg");
        Ok(bits | flag.ok_or_else(all)?.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_wire::Mac;

    /// TCP from 10.0.0.1:1024 to 10.0.0.2:80 with these flags.
    fn tcp(flags: u8) -> Box<Frame> {
        let mut bytes = vec![2; 12];
        bytes.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        bytes.extend([4, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
        Frame::from_bytes(&bytes)
    }

    #[test]
    fn frames_are_compared() {
        let frame = tcp(18);
        assert_eq!(frame.ports(), Some((1_024, 80)));
        for (text, is) in [
            ("tcp", true),
            ("udp", false),
            ("tcp port 80", true),
            ("tcp and port 80 and src host 10.0.0.1", true),
            ("dst host 10.0.0.1", false),
            ("host 10.0.0.1", true),
            ("net 10.0.0.0/24", true),
            ("src net 10.0.1.0/24", false),
            ("src port 80", false),
            ("dst portrange 79-81", true),
            ("flags syn,ack", true),
            ("flags syn and not flags ack", false),
            ("flags rst or flags SYN", true),
            ("!(udp or icmp) less 54", true),
            ("greater 55", false),
            ("ip and not arp", true),
        ] {
            let matching: PacketMatch = text.parse().unwrap();
            assert_eq!(matching.matches(&frame), is, "{text}");
            let again: PacketMatch = matching.to_string().parse().unwrap();
            assert_eq!(again, matching);
        }
        let arp = Arp {
            operation: Arp::REQUEST,
            sender_mac: Mac([2; 6]),
            sender: "10.0.0.1".parse().unwrap(),
            target_mac: Mac([0; 6]),
            target: "10.0.0.9".parse().unwrap(),
        };
        let arp = arp.frame(Mac::BROADCAST);
        let asks: PacketMatch = "arp dst host 10.0.0.9".parse().unwrap();
        assert!(asks.matches(&arp) && !asks.matches(&frame));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let deep = "not ".repeat(20) + "tcp";
        let long = "a".repeat(TEXT_MAX + 1);
        for (text, why) in [
            ("", "what to match is missing at the end"),
            ("tcp port", "a port is missing at the end"),
            ("port 70000", "`70000` is not a port"),
            ("host web", "`web` is not an address"),
            ("net 10", "`10` is not a network such as 10.0.0.0/24"),
            ("portrange 80", "`80` is not a range such as 8000-8010"),
            ("flags syn,xyz", "`xyz` is not a flag: syn, ack, fin, rst, psh or urg"),
            ("(tcp", "a `)` is missing"),
            ("tcp )", "`)` closes nothing"),
            ("less many", "`many` is not a number of bytes"),
            (&deep, "it is nested deeper than 16 times"),
            (&long, "an expression has at most 512 characters"),
        ] {
            assert_eq!(text.parse::<PacketMatch>().unwrap_err(), why, "{text}");
        }
        assert!("tpc".parse::<PacketMatch>().unwrap_err().starts_with("`tpc` is no word of it"));
    }
}
