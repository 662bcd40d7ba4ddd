//! `dhcpd.conf`: the part of ISC's language that a lab needs. Statements that it does not have are
//! refused with file, line and what was expected, as ISC's server does.

use core::net::Ipv4Addr;
use std::iter::Peekable;
use std::str::CharIndices;

use netarium_wire::Mac;

use super::wire::prefix_of;

/// Seconds of a lease when nothing says otherwise (ISC's defaults).
const LEASE_DEFAULT: u32 = 43_200;
const LEASE_MAX: u32 = 86_400;
/// Subnets, ranges and reservations that a file may have, each.
const MOST: usize = 4_096;

/// What a server does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) subnets: Vec<Subnet>,
    pub(super) hosts: Vec<Reservation>,
    /// Whether clients that ask for an address of another network are told so.
    pub(super) authoritative: bool,
}

/// What holds for a subnet, or for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) routers: Vec<Ipv4Addr>,
    pub(super) dns: Vec<Ipv4Addr>,
    pub(super) domain: Option<String>,
    pub(super) mtu: Option<u16>,
    /// Seconds.
    pub(super) lease: u32,
    pub(super) lease_max: u32,
    pub(super) lease_min: u32,
}

impl Default for Scope {
    fn default() -> Self {
        Scope {
            routers: Vec::new(),
            dns: Vec::new(),
            domain: None,
            mtu: None,
            lease: LEASE_DEFAULT,
            lease_max: LEASE_MAX,
            lease_min: 1,
        }
    }
}

/// A subnet whose addresses are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subnet {
    pub(super) network: Ipv4Addr,
    pub(super) prefix: u8,
    /// First and last addresses.
    pub(super) ranges: Vec<(Ipv4Addr, Ipv4Addr)>,
    pub(super) scope: Scope,
}

impl Subnet {
    pub(super) fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0))
    }

    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        address & self.mask() == self.network
    }

    pub(super) fn in_ranges(&self, address: Ipv4Addr) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&address))
    }

    /// How many addresses the ranges have.
    pub(super) fn size(&self) -> u64 {
        self.ranges.iter().map(|(a, b)| u64::from(b.to_bits() - a.to_bits()) + 1).sum()
    }
}

/// An address for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reservation {
    pub(super) name: String,
    pub(super) mac: Option<Mac>,
    pub(super) address: Option<Ipv4Addr>,
}

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConfError {
    pub(super) line: usize,
    pub(super) what: String,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The first statement that makes no sense.
    pub(super) fn read(text: &str) -> Result<Config, ConfError> {
        // What holds for all holds wherever in the file it stands: so the file is read for that
        // first.
        let mut everywhere = Scope::default();
        let mut config = Config::default();
        for _ in 0..2 {
            let mut parser = Parser { tokens: Tokens::of(text), config: Config::default() };
            parser.statements(&mut everywhere, None)?;
            config = parser.config;
        }
        Ok(config)
    }

    /// The subnet that an address lies in.
    pub(super) fn subnet_of(&self, address: Ipv4Addr) -> Option<(usize, &Subnet)> {
        self.subnets.iter().enumerate().find(|(_, s)| s.contains(address))
    }

    /// The address that is kept for a client.
    pub(super) fn reserved_for(&self, mac: Mac, subnet: &Subnet) -> Option<Ipv4Addr> {
        let mut of = self.hosts.iter().filter(|h| h.mac == Some(mac)).filter_map(|h| h.address);
        of.find(|a| subnet.contains(*a))
    }

    /// Whether an address is kept for somebody else.
    pub(super) fn is_kept_from(&self, address: Ipv4Addr, mac: Mac) -> bool {
        self.hosts.iter().any(|h| h.address == Some(address) && h.mac != Some(mac))
    }
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    config: Config,
}

impl Parser<'_> {
    fn error<T>(&self, what: impl Into<String>) -> Result<T, ConfError> {
        Err(ConfError { line: self.tokens.at, what: what.into() })
    }

    /// The statements up to the end of the file, or of the block of `subnet`.
    fn statements(
        &mut self,
        scope: &mut Scope,
        mut subnet: Option<&mut Subnet>,
    ) -> Result<(), ConfError> {
        loop {
            let statement = self.tokens.statement();
            let words: Vec<&str> = statement.iter().map(String::as_str).collect();
            let next = self.tokens.peek();
            match (words.as_slice(), next) {
                ([], None) if subnet.is_none() => return Ok(()),
                ([], None) => return self.error("expecting a right brace at the end of the file."),
                ([], Some('}')) if subnet.is_some() => {
                    self.tokens.next_word();
                    return Ok(());
                }
                (["subnet", network, "netmask", mask], Some('{')) if subnet.is_none() => {
                    self.subnet(network, mask, scope)?;
                }
                (["host", name], Some('{')) => self.host(name)?,
                ([], _) => return self.error("unexpected brace."),
                (_, Some('{')) => {
                    return self.error(format!("unknown block `{}`.", words.join(" ")));
                }
                (words, _) if !self.tokens.ended => {
                    let last = words.last().copied().unwrap_or_default();
                    return self.error(format!("semicolon expected behind `{last}`."));
                }
                (words, _) => self.statement(words, scope, subnet.as_deref_mut())?,
            }
        }
    }

    fn statement(
        &mut self,
        words: &[&str],
        scope: &mut Scope,
        subnet: Option<&mut Subnet>,
    ) -> Result<(), ConfError> {
        let number = |word: &str| word.parse::<u32>().ok().filter(|n| *n > 0);
        match (words, subnet) {
            (["default-lease-time", n], _) if number(n).is_some() => {
                scope.lease = number(n).unwrap_or_default();
            }
            (["max-lease-time", n], _) if number(n).is_some() => {
                scope.lease_max = number(n).unwrap_or_default();
            }
            (["min-lease-time", n], _) if number(n).is_some() => {
                scope.lease_min = number(n).unwrap_or_default();
            }
            (["authoritative"], _) => self.config.authoritative = true,
            (["not", "authoritative"], _) => self.config.authoritative = false,
            (["ddns-update-style", "none"] | ["log-facility", _], _) => {}
            (["option", name, values @ ..], _) => return self.option(name, values, scope),
            (["range", ends @ ..], Some(subnet)) => return self.range(ends, subnet),
            _ => return self.error(format!("`{}` is not known here.", words.join(" "))),
        }
        Ok(())
    }

    fn option(&mut self, name: &str, values: &[&str], scope: &mut Scope) -> Result<(), ConfError> {
        let addresses = || values.iter().map(|v| v.parse().ok()).collect::<Option<Vec<_>>>();
        let read = match name {
            "routers" => addresses().map(|all| scope.routers = all),
            "domain-name-servers" => addresses().map(|all| scope.dns = all),
            "domain-name" => values.first().map(|v| scope.domain = Some((*v).to_owned())),
            "interface-mtu" => {
                values.first().and_then(|v| v.parse().ok()).map(|n| scope.mtu = Some(n))
            }
            // They follow from the subnet.
            "subnet-mask" | "broadcast-address" => Some(()),
            _ => return self.error(format!("unknown option dhcp.{name}")),
        };
        match read.filter(|()| !values.is_empty()) {
            Some(()) => Ok(()),
            None => self.error(format!("option {name}: `{}` cannot be read.", values.join(" "))),
        }
    }

    fn range(&mut self, ends: &[&str], subnet: &mut Subnet) -> Result<(), ConfError> {
        let all: Option<Vec<Ipv4Addr>> = ends.iter().map(|e| e.parse().ok()).collect();
        let (first, last) = match all.as_deref() {
            Some([one]) => (*one, *one),
            Some([first, last]) => (*first.min(last), *first.max(last)),
            _ => return self.error("expecting an address, or the first and the last one."),
        };
        if let Some(out) = [first, last].into_iter().find(|a| !subnet.contains(*a)) {
            let net = format!("{}/{}", subnet.network, subnet.prefix);
            return self.error(format!("range: address {out} not on net {net}!"));
        }
        if subnet.ranges.len() >= MOST {
            return self.error("too many ranges.");
        }
        subnet.ranges.push((first, last));
        Ok(())
    }

    fn subnet(&mut self, network: &str, mask: &str, scope: &Scope) -> Result<(), ConfError> {
        let network: Option<Ipv4Addr> = network.parse().ok();
        let mask: Option<Ipv4Addr> = mask.parse().ok();
        let prefix = mask.and_then(prefix_of).filter(|p| *p > 0);
        let (Some(network), Some(mask), Some(prefix)) = (network, mask, prefix) else {
            return self.error("expecting `subnet ADDRESS netmask MASK {`.");
        };
        if network & mask != network {
            return self.error("subnet: bad subnet number/mask combination.");
        }
        if self.config.subnets.len() >= MOST {
            return self.error("too many subnets.");
        }
        self.tokens.next_word();
        let mut scope = scope.clone();
        let mut subnet = Subnet { network, prefix, ranges: Vec::new(), scope: scope.clone() };
        self.statements(&mut scope, Some(&mut subnet))?;
        subnet.scope = scope;
        self.config.subnets.push(subnet);
        Ok(())
    }

    fn host(&mut self, name: &str) -> Result<(), ConfError> {
        self.tokens.next_word();
        let mut host = Reservation { name: name.to_owned(), mac: None, address: None };
        loop {
            let statement = self.tokens.statement();
            let words: Vec<&str> = statement.iter().map(String::as_str).collect();
            match words.as_slice() {
                [] if self.tokens.peek() == Some('}') => break,
                ["hardware", "ethernet", mac] => match mac.parse() {
                    Ok(mac) => host.mac = Some(mac),
                    Err(_) => return self.error(format!("`{mac}` is not an Ethernet address.")),
                },
                ["fixed-address", address] => match address.parse() {
                    Ok(address) => host.address = Some(address),
                    Err(_) => return self.error(format!("`{address}` is not an address.")),
                },
                ["option", ..] => {}
                _ => return self.error(format!("`{}` is not known here.", words.join(" "))),
            }
        }
        self.tokens.next_word();
        if self.config.hosts.len() >= MOST {
            return self.error("too many hosts.");
        }
        self.config.hosts.push(host);
        Ok(())
    }
}

/// The words of such a file: names, numbers, quoted texts, braces; `#` begins a comment.
pub(super) struct Tokens<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: usize,
    /// The line of the last word.
    at: usize,
    /// The last statement ended with a semicolon.
    ended: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Tokens<'a> {
        Tokens { text, chars: text.char_indices().peekable(), line: 1, at: 1, ended: false }
    }

    fn bump(&mut self) -> Option<char> {
        let (_, c) = self.chars.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// The character with which the next word begins.
    fn peek(&mut self) -> Option<char> {
        loop {
            match self.chars.peek()?.1 {
                '#' => while self.bump().is_some_and(|c| c != '\n') {},
                c if c.is_whitespace() || c == ',' => drop(self.bump()),
                c => return Some(c),
            }
        }
    }

    /// The next word: one of `{`, `}` and `;`, a text without its quotes, or what stands up to one
    /// of these or a blank.
    pub(super) fn next_word(&mut self) -> Option<String> {
        let first = self.peek()?;
        let start = self.chars.peek()?.0;
        self.at = self.line;
        self.bump();
        if matches!(first, '{' | '}' | ';') {
            return Some(first.to_string());
        }
        if first == '"' {
            let from = start + 1;
            let mut escaped = false;
            while let Some(&(at, c)) = self.chars.peek() {
                self.bump();
                if c == '"' && !escaped {
                    return Some(self.text[from..at].to_owned());
                }
                escaped = c == '\\' && !escaped;
            }
            return Some(self.text[from..].to_owned());
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | ',' | '"' | '#');
        while self.chars.peek().is_some_and(|(_, c)| !ends(*c)) {
            self.bump();
        }
        let end = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        Some(self.text[start..end].to_owned())
    }

    /// The words up to a semicolon, which is taken, or a brace or the end, which are not.
    pub(super) fn statement(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        self.ended = false;
        while let Some(next) = self.peek() {
            if matches!(next, '{' | '}') {
                break;
            }
            if next == ';' {
                self.bump();
                self.ended = true;
                if words.is_empty() {
                    continue;
                }
                break;
            }
            words.extend(self.next_word());
        }
        words
    }
}
