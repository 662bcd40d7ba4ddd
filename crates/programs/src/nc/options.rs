//! The command line of `nc`.

use core::net::IpAddr;

use netarium_base::Duration;

use crate::getopt::{Item, OptError, Spec};
use crate::services;

pub(super) const USAGE: &str = "\
usage: nc [-46CDdFhklNnrStUuvZz] [-I length] [-i interval] [-M ttl]
\t  [-m minttl] [-O length] [-P proxy_username] [-p source_port]
\t  [-q seconds] [-s sourceaddr] [-T keyword] [-V rtable] [-W recvlimit]
\t  [-w timeout] [-X proxy_protocol] [-x proxy_address[:port]]
\t  [destination] [port]
";

/// What `-h` prints behind the usage: of the original's options those that do something here.
pub(super) const SUMMARY: &str = "\
\tCommand Summary:
\t\t-4\t\tUse IPv4
\t\t-6\t\tUse IPv6
\t\t-C\t\tSend CRLF as line-ending
\t\t-d\t\tDetach from stdin
\t\t-h\t\tThis help text
\t\t-I length\tTCP receive buffer length
\t\t-i interval\tDelay interval for lines sent, ports scanned
\t\t-k\t\tKeep inbound sockets open for multiple connects
\t\t-l\t\tListen mode, for inbound connects
\t\t-M ttl\t\tOutgoing TTL / Hop Limit
\t\t-N\t\tShutdown the network socket after EOF on stdin
\t\t-n\t\tSuppress name/port resolutions
\t\t-O length\tTCP send buffer length
\t\t-p port\t\tSpecify local port for remote connects
\t\t-q secs\t\tquit after EOF on stdin and delay of secs
\t\t-s sourceaddr\tLocal source address
\t\t-u\t\tUDP mode
\t\t-v\t\tVerbose
\t\t-W recvlimit\tTerminate after receiving a number of packets
\t\t-w timeout\tTimeout for connects and final net reads
\t\t-z\t\tZero-I/O mode [used for scanning]
\tPort numbers can be individual or ranges: lo-hi [inclusive]
";

/// The largest buffer that `-I` and `-O` take, bytes.
const WINDOW_MAX: i64 = 65_536 << 14;

const SPEC: Spec = Spec { short: "46CDdhklNnrtuvzI:i:M:O:p:q:s:T:W:w:", long: &[] };

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// Whether an address is of it.
    pub(super) fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Family::V4)
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) help: bool,
    pub(super) listen: bool,
    pub(super) keep: bool,
    pub(super) udp: bool,
    pub(super) verbose: bool,
    pub(super) zero: bool,
    pub(super) numeric: bool,
    /// `-N`: a FIN after the end of input.
    pub(super) shutdown: bool,
    pub(super) deaf: bool,
    pub(super) crlf: bool,
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) quit: Option<Duration>,
    pub(super) receive_limit: Option<u64>,
    /// `-4` or `-6`: the only family of addresses.
    pub(super) family: Option<Family>,
    /// `-s`, as typed.
    pub(super) source: Option<String>,
    pub(super) source_port: u16,
    pub(super) ttl: Option<u8>,
    /// `-I` and `-O`: the sizes of the buffers for receiving and sending, bytes.
    pub(super) receive_buffer: Option<u32>,
    pub(super) send_buffer: Option<u32>,
    pub(super) host: Option<String>,
    pub(super) ports: Vec<u16>,
}

/// Reads a command line without its first word. The error is what to print.
pub(super) fn parse(args: &[String]) -> Result<Options, String> {
    let mut o = Options::default();
    let mut operands = Vec::new();
    for item in SPEC.parse(args).map_err(|e| wrong(&e))? {
        match item {
            Item::Option(c, value) => option(&mut o, c, &value)?,
            Item::Operand(word) => operands.push(word),
        }
    }
    if o.help {
        return Ok(o);
    }
    let (host, port) = match operands.as_slice() {
        [] if o.listen && o.source_port > 0 => (None, None),
        [_] if o.listen && o.source.is_some() && o.source_port == 0 => {
            return Err(USAGE.to_owned());
        }
        [port] if o.listen && o.source_port == 0 => (None, Some(port)),
        [host] if o.listen => (Some(host), None),
        [host, port] => (Some(host), Some(port)),
        [_] => return Err("nc: missing port number\n".to_owned()),
        _ => return Err(USAGE.to_owned()),
    };
    if o.listen && o.zero {
        return Err("nc: cannot use -z and -l\n".to_owned());
    }
    if o.keep && !o.listen {
        return Err("nc: must use -l with -k\n".to_owned());
    }
    o.host = host.cloned();
    o.ports = match port {
        Some(range) => ports(range, o.udp)?,
        None => vec![o.source_port],
    };
    Ok(o)
}

fn wrong(e: &OptError) -> String {
    format!("nc: {}\n{USAGE}", e.gnu())
}

fn option(o: &mut Options, c: char, value: &str) -> Result<(), String> {
    let number = |what: &str, least: i64, most: i64| {
        limited(value, least, most).map_err(|why| format!("nc: {what} {why}: {value}\n"))
    };
    let span = |n: i64| Duration::from_secs(n.unsigned_abs());
    let most = i64::from(i32::MAX);
    match c {
        'h' => o.help = true,
        'l' => o.listen = true,
        'k' => o.keep = true,
        'u' => o.udp = true,
        'v' => o.verbose = true,
        'z' => o.zero = true,
        'n' => o.numeric = true,
        'N' => o.shutdown = true,
        'd' => o.deaf = true,
        'C' => o.crlf = true,
        '4' => o.family = Some(Family::V4),
        '6' => o.family = Some(Family::V6),
        'i' => o.interval = Some(span(number("interval", 0, most)?)),
        'w' => o.timeout = Some(span(number("timeout", 0, most / 1_000)?)),
        // Less than nothing is for ever.
        'q' => o.quit = Some(number("quit timer", -most, most)?).filter(|n| *n >= 0).map(span),
        'W' => o.receive_limit = Some(number("receive limit", 1, most)?.unsigned_abs()),
        'I' => {
            o.receive_buffer = u32::try_from(number("TCP receive window", 1, WINDOW_MAX)?).ok();
        }
        'O' => o.send_buffer = u32::try_from(number("TCP send window", 1, WINDOW_MAX)?).ok(),
        's' => o.source = Some(value.to_owned()),
        'p' => o.source_port = one(value, o.udp)?,
        'M' => {
            let ttl = limited(value, 0, 255).map_err(|why| format!("nc: ttl is {why}\n"))?;
            o.ttl = u8::try_from(ttl).ok();
        }
        _ => {}
    }
    Ok(())
}

/// A whole number within limits, as OpenBSD's `strtonum(3)` reads it.
fn limited(text: &str, least: i64, most: i64) -> Result<i64, &'static str> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("invalid");
    }
    let beyond = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    match text.parse().unwrap_or(beyond) {
        n if n < least => Err("too small"),
        n if n > most => Err("too large"),
        n => Ok(n),
    }
}

fn one(word: &str, udp: bool) -> Result<u16, String> {
    if let Some(port) = services::port(word, udp) {
        return Ok(port);
    }
    match word.parse::<u64>() {
        Ok(0) => Err(format!("nc: port number too small: {word}\n")),
        Ok(n) => u16::try_from(n).map_err(|_| format!("nc: port number too large: {word}\n")),
        Err(_) => Err(format!("nc: port number invalid: {word}\n")),
    }
}

/// A port, a service's name, or a range of ports.
fn ports(word: &str, udp: bool) -> Result<Vec<u16>, String> {
    if let Some((low, high)) = word.split_once('-')
        && services::port(word, udp).is_none()
    {
        let (low, high) = (one(low, udp)?, one(high, udp)?);
        return Ok((low.min(high)..=low.max(high)).collect());
    }
    one(word, udp).map(|port| vec![port])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn command_lines_of_openbsd() {
        let o = of("-vzw 2 web 79-81").unwrap();
        assert_eq!((o.host.as_deref(), &o.ports[..]), (Some("web"), &[79, 80, 81][..]));
        assert_eq!(o.timeout, Some(Duration::from_secs(2)));
        assert_eq!(of("-l 8080").unwrap().ports, [8080]);
        assert_eq!(of("-l -p 8080").unwrap().ports, [8080]);
        assert_eq!(of("-l 10.0.0.1 http").unwrap().ports, [80]);
        for (line, expect) in [
            ("web", "nc: missing port number\n"),
            ("-z web 99999", "nc: port number too large: 99999\n"),
            ("-z web abc", "nc: port number invalid: abc\n"),
            ("-lz 80", "nc: cannot use -z and -l\n"),
            ("-k web 80", "nc: must use -l with -k\n"),
            ("", USAGE),
            ("-q abc web 80", "nc: quit timer invalid: abc\n"),
            ("-w -1 web 80", "nc: timeout too small: -1\n"),
            ("-i 99999999999 web 80", "nc: interval too large: 99999999999\n"),
            ("-W 0 web 80", "nc: receive limit too small: 0\n"),
            ("-M 999 web 80", "nc: ttl is too large\n"),
            ("-I abc web 80", "nc: TCP receive window invalid: abc\n"),
            // A listener's address is an operand.
            ("-l -s 10.0.0.1 80", USAGE),
        ] {
            assert_eq!(of(line), Err(expect.to_owned()), "{line}");
        }
        let o = of("-I 4096 -O 8192 web 80").unwrap();
        assert_eq!((o.receive_buffer, o.send_buffer), (Some(4_096), Some(8_192)));
        assert_eq!(of("-q -1 web 80").unwrap().quit, None);
        assert_eq!(of("-4 -6 web 80").unwrap().family, Some(Family::V6));
        assert!(of("-Q").unwrap_err().starts_with("nc: invalid option -- 'Q'\nusage: nc "));
    }
}
