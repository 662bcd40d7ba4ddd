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

const SPEC: Spec = Spec { short: "46CDdhklNnrtuvzI:i:M:O:p:q:s:T:W:w:", long: &[] };

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
    pub(super) source: Option<IpAddr>,
    pub(super) source_port: u16,
    pub(super) ttl: Option<u8>,
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
    let seconds = |what: &str| {
        let bad = |_| format!("nc: {what} invalid: {value}\n");
        value.parse::<u32>().map(|n| Duration::from_secs(u64::from(n))).map_err(bad)
    };
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
        'i' => o.interval = Some(seconds("interval")?),
        'w' => o.timeout = Some(seconds("timeout")?),
        'q' => o.quit = seconds("quit timer").ok(),
        'W' => {
            let bad = |_| format!("nc: receive limit invalid: {value}\n");
            o.receive_limit = Some(value.parse().map_err(bad)?);
        }
        's' => {
            let bad = |_| format!("nc: {value}: invalid source address\n");
            o.source = Some(value.parse().map_err(bad)?);
        }
        'p' => o.source_port = one(value, o.udp)?,
        'M' => o.ttl = value.parse().ok(),
        _ => {}
    }
    Ok(())
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
        ] {
            assert_eq!(of(line), Err(expect.to_owned()), "{line}");
        }
        assert!(of("-Q").unwrap_err().starts_with("nc: invalid option -- 'Q'\nusage: nc "));
    }
}
