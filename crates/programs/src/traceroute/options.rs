//! traceroute's command line.

use netarium_base::Duration;

use crate::getopt::{Item, Long, OptError, Spec, Takes};

const LONG: &[Long] = &[
    ("icmp", Takes::Nothing, 'I'),
    ("first", Takes::Value, 'f'),
    ("max-hops", Takes::Value, 'm'),
    ("sim-queries", Takes::Value, 'N'),
    ("port", Takes::Value, 'p'),
    ("queries", Takes::Value, 'q'),
    ("wait", Takes::Value, 'w'),
    ("help", Takes::Nothing, 'h'),
    ("version", Takes::Nothing, 'V'),
];
const SPEC: Spec = Spec { short: "In4Ff:m:N:p:q:w:hV", long: LONG };

/// The longest packet that is asked for.
const PACKET_MAX: u64 = 65_000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) host: String,
    /// `-I`: echo requests instead of UDP datagrams.
    pub(super) icmp: bool,
    /// `-n`: addresses without names.
    pub(super) numeric: bool,
    /// `-F`: routers must not cut the probes.
    pub(super) dont_fragment: bool,
    /// `-f`: the TTL to begin with.
    pub(super) first: u8,
    /// `-m`: the TTL to end with.
    pub(super) max: u8,
    /// `-N`: probes on the way at once.
    pub(super) at_once: usize,
    /// `-p`: the first probe's destination port.
    pub(super) port: u16,
    /// `-q`: probes for each hop.
    pub(super) queries: usize,
    /// `-w`: how long to wait for an answer.
    pub(super) wait: Duration,
    /// Bytes of a whole packet.
    pub(super) length: usize,
}

/// Why there is nothing to trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// `--help`, or no host at all.
    Help,
    /// `-V`.
    Version,
    /// Not an option; the text of getopt.
    Option(OptError),
    /// A bad value, in traceroute's words.
    Wrong(String),
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Options, Usage> {
        let mut o = Options {
            host: String::new(),
            icmp: false,
            numeric: false,
            dont_fragment: false,
            first: 1,
            max: 30,
            at_once: 16,
            port: 33_434,
            queries: 3,
            wait: Duration::from_secs(5),
            length: 60,
        };
        let mut operands = Vec::new();
        for item in SPEC.parse(args).map_err(Usage::Option)? {
            match item {
                Item::Option('I', _) => o.icmp = true,
                Item::Option('n', _) => o.numeric = true,
                Item::Option('F', _) => o.dont_fragment = true,
                Item::Option('f', v) => {
                    o.first = number(&v, 1, 255, "first hop out of range")? as u8
                }
                Item::Option('m', v) => {
                    o.max = number(&v, 1, 255, "max hops cannot be more than 255")? as u8;
                }
                Item::Option('N', v) => {
                    o.at_once = number(&v, 1, 100, "sim queries out of range")? as usize;
                }
                Item::Option('p', v) => o.port = number(&v, 1, 65_535, "bad port")? as u16,
                Item::Option('q', v) => {
                    o.queries = number(&v, 1, 10, "no more than 10 probes per hop")? as usize;
                }
                Item::Option('w', v) => o.wait = seconds(&v)?,
                Item::Option('h', _) => return Err(Usage::Help),
                Item::Option('V', _) => return Err(Usage::Version),
                Item::Option(..) => {}
                Item::Operand(word) => operands.push(word),
            }
        }
        let mut operands = operands.into_iter();
        o.host = operands.next().ok_or(Usage::Help)?;
        if let Some(length) = operands.next() {
            let bad = format!("Cannot handle \"packetlen\" cmdline arg `{length}' on position 2");
            o.length = number(&length, 0, PACKET_MAX, &bad)? as usize;
        }
        if o.first > o.max {
            return Err(Usage::Wrong("first hop out of range".to_owned()));
        }
        Ok(o)
    }
}

fn number(text: &str, min: u64, max: u64, wrong: &str) -> Result<u64, Usage> {
    let n = text.parse().ok().filter(|n| (min..=max).contains(n));
    n.ok_or_else(|| Usage::Wrong(wrong.to_owned()))
}

fn seconds(text: &str) -> Result<Duration, Usage> {
    let bad = || Usage::Wrong(format!("bad wait specifications `{text}' used"));
    // `-w max,here,near`: what comes after the first is about patience that virtual time has.
    let max = text.split(',').next().unwrap_or_default();
    format!("{max}s").parse().map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Usage> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn the_command_line_is_read_as_the_original_does() {
        let o = parse("-n -q 1 -m5 --wait=2 -I web 1400").unwrap();
        assert_eq!((o.queries, o.max, o.length, o.icmp), (1, 5, 1400, true));
        assert_eq!(o.wait, Duration::from_secs(2));
        assert_eq!(parse(""), Err(Usage::Help));
        for wrong in ["-q 11 h", "-m 0 h", "-w x h", "h big", "-f 6 -m 5 h", "h 70000"] {
            assert!(matches!(parse(wrong), Err(Usage::Wrong(_))), "{wrong}");
        }
        assert_eq!(parse("-z h"), Err(Usage::Option(OptError::UnknownShort('z'))));
    }
}
