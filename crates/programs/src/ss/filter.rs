//! What `ss` is asked to leave out: `state …`, `sport = :80 or dst 10.0.0.0/8`.

use core::net::{IpAddr, SocketAddr};

use netarium_stack::SocketInfo;
use netarium_wire::Cidr;

use crate::services;

/// How deep parentheses and `not` may stand in each other.
const DEPTH_MAX: usize = 32;

/// A socket with ss's name of its state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) info: &'a SocketInfo,
    pub(super) state: &'static str,
}

/// A filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) states: Option<Vec<&'static str>>,
    expression: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    /// Local or remote port compared.
    Port {
        local: bool,
        compare: Compare,
        port: u16,
    },
    /// Local or remote address in a network, with a port.
    Host {
        local: bool,
        network: Option<Cidr>,
        port: Option<u16>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    Equal,
    NotEqual,
    AtLeast,
    AtMost,
    Above,
    Below,
}

const CONNECTED: &[(&str, &str)] = &[
    ("established", "ESTAB"),
    ("syn-sent", "SYN-SENT"),
    ("syn-recv", "SYN-RECV"),
    ("fin-wait-1", "FIN-WAIT-1"),
    ("fin-wait-2", "FIN-WAIT-2"),
    ("time-wait", "TIME-WAIT"),
    ("close-wait", "CLOSE-WAIT"),
    ("last-ack", "LAST-ACK"),
    ("closing", "CLOSING"),
];

impl Filter {
    /// Reads the words behind the options.
    pub(super) fn parse(words: &[String]) -> Result<Filter, String> {
        let mut filter = Filter::default();
        let mut rest = words;
        while let [key @ ("state" | "exclude"), name, others @ ..] =
            rest.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
        {
            let named = states(name)?;
            let known = filter.states.take();
            filter.states = Some(if *key == "state" {
                known.unwrap_or_default().into_iter().chain(named).collect()
            } else {
                let all = known.map_or_else(|| states("all"), Ok)?;
                all.into_iter().filter(|s| !named.contains(s)).collect()
            });
            rest = &rest[rest.len() - others.len()..];
        }
        if !rest.is_empty() {
            // `sport=:80` and parentheses need no blanks.
            let text = rest.join(" ").replace('(', " ( ").replace(')', " ) ");
            let tokens = tokens(&text);
            let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
            filter.expression = Some(parser.or()?);
            if parser.at < tokens.len() {
                return Err(parser.bad());
            }
        }
        Ok(filter)
    }

    pub(super) fn accepts(&self, row: &Row<'_>) -> bool {
        self.expression.as_ref().is_none_or(|e| e.accepts(row.info))
    }
}

fn states(name: &str) -> Result<Vec<&'static str>, String> {
    let connected = || CONNECTED.iter().map(|s| s.1);
    Ok(match name.to_ascii_lowercase().as_str() {
        "all" => connected().chain(["LISTEN", "UNCONN"]).collect(),
        "connected" => connected().collect(),
        "synchronized" => connected().filter(|s| *s != "SYN-SENT").collect(),
        "bucket" => vec!["SYN-RECV", "TIME-WAIT"],
        "big" => connected().filter(|s| !matches!(*s, "SYN-RECV" | "TIME-WAIT")).collect(),
        "listening" | "listen" => vec!["LISTEN"],
        "closed" | "unconnected" => vec!["UNCONN"],
        other => match CONNECTED.iter().find(|s| s.0 == other) {
            Some(state) => vec![state.1],
            None => return Err(format!("ss: wrong state name: {name}\n")),
        },
    })
}

fn tokens(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let at = word.find(['=', '!', '<', '>']).filter(|&at| at > 0);
        let Some(at) = at else {
            out.push(word.to_owned());
            continue;
        };
        let end = word[at..].find(|c| !"=!<>".contains(c)).map_or(word.len(), |n| at + n);
        out.extend([&word[..at], &word[at..end]].map(str::to_owned));
        if end < word.len() {
            out.push(word[end..].to_owned());
        }
    }
    out
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn bad(&self) -> String {
        let word = self.peek().unwrap_or("end of filter");
        format!("ss: bison bellows (while parsing filter): \"syntax error!\" at {word}. Sorry.\n")
    }

    fn or(&mut self) -> Result<Expression, String> {
        let mut left = self.and()?;
        while matches!(self.peek(), Some("or" | "|" | "||")) {
            self.at += 1;
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut left = self.not()?;
        loop {
            match self.peek() {
                Some("and" | "&" | "&&") => self.at += 1,
                // Two next to each other must both hold.
                Some("sport" | "dport" | "src" | "dst" | "not" | "!" | "(") => {}
                _ => return Ok(left),
            }
            left = Expression::And(Box::new(left), Box::new(self.not()?));
        }
    }

    fn not(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.bad());
        }
        let result = match self.peek() {
            Some("not" | "!") => {
                self.at += 1;
                Expression::Not(Box::new(self.not()?))
            }
            Some("(") => {
                self.at += 1;
                let inner = self.or()?;
                if self.peek() != Some(")") {
                    return Err(self.bad());
                }
                self.at += 1;
                inner
            }
            _ => self.test()?,
        };
        self.depth -= 1;
        Ok(result)
    }

    fn test(&mut self) -> Result<Expression, String> {
        let key = self.peek().ok_or_else(|| self.bad())?.to_owned();
        self.at += 1;
        let compare = match self.peek() {
            Some("=" | "==" | "eq") => Some(Compare::Equal),
            Some("!=" | "ne" | "neq") => Some(Compare::NotEqual),
            Some(">=" | "ge" | "geq") => Some(Compare::AtLeast),
            Some("<=" | "le" | "leq") => Some(Compare::AtMost),
            Some(">" | "gt") => Some(Compare::Above),
            Some("<" | "lt") => Some(Compare::Below),
            _ => None,
        };
        self.at += usize::from(compare.is_some());
        let value = self.peek().ok_or_else(|| self.bad())?.to_owned();
        self.at += 1;
        match key.as_str() {
            "sport" | "dport" => {
                let word = value.rsplit(':').next().unwrap_or_default();
                let port = word.parse().ok().or_else(|| services::port(word, false));
                let port = port.ok_or_else(|| {
                    format!("Error: \"{word}\" does not look like a port.\nCannot parse dst/src address.\n")
                })?;
                let compare = compare.unwrap_or(Compare::Equal);
                Ok(Expression::Port { local: key == "sport", compare, port })
            }
            "src" | "dst" => {
                let host = self.host(&value, key == "src")?;
                Ok(match compare {
                    Some(Compare::NotEqual) => Expression::Not(Box::new(host)),
                    _ => host,
                })
            }
            _ => {
                self.at -= 1;
                Err(self.bad())
            }
        }
    }

    /// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1:80`, `:80`, `*:80`, `[::1]:80`.
    fn host(&self, word: &str, local: bool) -> Result<Expression, String> {
        let error = || {
            format!(
                "Error: an inet prefix is expected rather than \"{word}\".\nCannot parse dst/src address.\n"
            )
        };
        let plain = word.parse::<IpAddr>().is_ok() || word.contains('/');
        let (host, port) = match word.rsplit_once(':').filter(|_| !plain) {
            Some((host, port)) => (host, Some(port)),
            None => (word, None),
        };
        let port = match port {
            None | Some("*" | "") => None,
            Some(p) => Some(p.parse().ok().or_else(|| services::port(p, false)).ok_or_else(error)?),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let network = match host {
            "" | "*" => None,
            host if host.contains('/') => Some(host.parse::<Cidr>().map_err(|_| error())?),
            host => {
                let address: IpAddr = host.parse().map_err(|_| error())?;
                let bits = if address.is_ipv4() { 32 } else { 128 };
                Some(Cidr::new(address, bits).ok_or_else(error)?)
            }
        };
        Ok(Expression::Host { local, network, port })
    }
}

impl Expression {
    fn accepts(&self, s: &SocketInfo) -> bool {
        let end = |local: bool| if local { Some(s.local) } else { s.remote };
        match self {
            Expression::And(a, b) => a.accepts(s) && b.accepts(s),
            Expression::Or(a, b) => a.accepts(s) || b.accepts(s),
            Expression::Not(e) => !e.accepts(s),
            Expression::Port { local, compare, port } => {
                let have = end(*local).map_or(0, |a: SocketAddr| a.port());
                match compare {
                    Compare::Equal => have == *port,
                    Compare::NotEqual => have != *port,
                    Compare::AtLeast => have >= *port,
                    Compare::AtMost => have <= *port,
                    Compare::Above => have > *port,
                    Compare::Below => have < *port,
                }
            }
            Expression::Host { local, network, port } => end(*local).is_some_and(|a| {
                network.as_ref().is_none_or(|n| n.contains(a.ip()))
                    && port.is_none_or(|p| p == a.port())
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::{Pid, SocketId};
    use netarium_stack::SocketKind;

    #[test]
    fn filters() {
        let info = SocketInfo {
            id: SocketId::default(),
            kind: SocketKind::Tcp,
            pid: Pid(1),
            local: "10.0.0.2:80".parse().unwrap(),
            remote: "10.0.0.7:40000".parse().ok(),
            state: "ESTABLISHED",
            recv_queue: 0,
            send_queue: 0,
            timer: None,
        };
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            Filter::parse(&words).map(|f| f.accepts(&Row { info: &info, state: "ESTAB" }))
        };
        for (line, expect) in [
            ("sport = :80", true),
            ("sport=:http", true),
            ("sport != :80", false),
            ("dport >= :1024", true),
            ("( sport = :80 or sport = :443 ) and dst 10.0.0.0/24", true),
            ("not dst 10.0.0.7", false),
            ("src 10.0.0.2:80", true),
            ("dst 10.0.0.7:1", false),
            ("sport = :80 dport = :1", false),
            ("state established sport = :80", true),
        ] {
            assert_eq!(of(line), Ok(expect), "{line}");
        }
        for bad in
            ["sport", "foo = 1", "( sport = :80", "state nowhere", "dst x", &"( ".repeat(100)]
        {
            assert!(of(bad.trim()).is_err(), "{bad}");
        }
        let states = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            Filter::parse(&words).unwrap().states.unwrap()
        };
        assert_eq!(states("state time-wait"), ["TIME-WAIT"]);
        assert!(!states("exclude established").contains(&"ESTAB"));
    }
}
