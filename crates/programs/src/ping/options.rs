//! ping's command line.

use netarium_base::Duration;
use netarium_stack::MtuDiscover;

use crate::getopt::{Item, OptError, Spec};

/// The most bytes of data that fit into an IPv4 packet.
const SIZE_MAX: u64 = 65_507;

const SPEC: Spec = Spec { short: "bc:i:M:s:t:W:w:qnvhV4", long: &[] };

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) host: String,
    /// `-c`: stop after so many requests.
    pub(super) count: Option<u64>,
    /// `-i`: time between requests.
    pub(super) interval: Duration,
    /// `-s`: bytes of data.
    pub(super) size: usize,
    /// `-t`: time to live.
    pub(super) ttl: Option<u8>,
    /// `-W`: how long to wait for the last answers.
    pub(super) wait: Option<Duration>,
    /// `-w`: when to stop whatever happens.
    pub(super) deadline: Option<Duration>,
    /// `-M`: whether packets may be cut.
    pub(super) mtu_discover: Option<MtuDiscover>,
    /// `-b`: the address may be everybody's.
    pub(super) broadcast: bool,
    pub(super) quiet: bool,
    pub(super) numeric: bool,
}

/// Why there is nothing to ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// `-h`.
    Help,
    /// `-V`.
    Version,
    /// Not an option; ping adds its usage and ends with 2.
    Option(OptError),
    /// A bad value or a missing address; the text follows `ping: `, exit code as given.
    Wrong(String, i32),
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Options, Usage> {
        let mut o = Options {
            host: String::new(),
            count: None,
            interval: Duration::from_secs(1),
            size: 56,
            ttl: None,
            wait: None,
            deadline: None,
            mtu_discover: None,
            broadcast: false,
            quiet: false,
            numeric: false,
        };
        let mut host = None;
        for item in SPEC.parse(args).map_err(Usage::Option)? {
            match item {
                Item::Option('c', v) => o.count = Some(number(&v, 1, i64::MAX as u64)?),
                Item::Option('s', v) => o.size = number(&v, 0, SIZE_MAX)? as usize,
                Item::Option('t', v) => o.ttl = Some(number(&v, 1, 255)? as u8),
                Item::Option('i', v) => o.interval = interval(&v)?,
                Item::Option('W', v) => o.wait = Some(seconds(&v)?),
                Item::Option('w', v) => o.deadline = Some(seconds(&v)?),
                Item::Option('M', v) => o.mtu_discover = Some(mtu_discover(&v)?),
                Item::Option('b', _) => o.broadcast = true,
                Item::Option('q', _) => o.quiet = true,
                Item::Option('n', _) => o.numeric = true,
                Item::Option('h', _) => return Err(Usage::Help),
                Item::Option('V', _) => return Err(Usage::Version),
                Item::Option(..) => {}
                Item::Operand(name) => host = Some(name),
            }
        }
        let missing = || Usage::Wrong("usage error: Destination address required".to_owned(), 1);
        o.host = host.ok_or_else(missing)?;
        Ok(o)
    }
}

fn mtu_discover(text: &str) -> Result<MtuDiscover, Usage> {
    match text {
        "do" => Ok(MtuDiscover::Do),
        "want" => Ok(MtuDiscover::Want),
        "dont" => Ok(MtuDiscover::Dont),
        "probe" => Ok(MtuDiscover::Probe),
        _ => Err(Usage::Wrong("invalid -M argument: ".to_owned() + text, 1)),
    }
}

fn number(text: &str, min: u64, max: u64) -> Result<u64, Usage> {
    let bad = || Usage::Wrong(format!("invalid argument: '{text}'"), 1);
    let n: i128 = text.parse().map_err(|_| bad())?;
    u64::try_from(n).ok().filter(|n| (min..=max).contains(n)).ok_or_else(|| {
        let text = format!("invalid argument: '{text}': out of range: {min} <= value <= {max}");
        Usage::Wrong(text, 1)
    })
}

fn seconds(text: &str) -> Result<Duration, Usage> {
    format!("{text}s").parse().map_err(|_| Usage::Wrong(format!("invalid argument: '{text}'"), 1))
}

/// At least 2 ms, as for users of the original.
fn interval(text: &str) -> Result<Duration, Usage> {
    let span =
        seconds(text).map_err(|_| Usage::Wrong(format!("bad timing interval: {text}"), 1))?;
    if span < Duration::from_millis(2) {
        let text =
            "cannot flood; minimal interval for user must be >= 2 ms, use -i 0.002 (or higher)";
        return Err(Usage::Wrong(text.to_owned(), 2));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Usage> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn values_are_checked_in_pings_words() {
        let o = parse("-c 3 -i0.2 web -qW 2 -t 64 -s 10").unwrap();
        assert_eq!((o.count, o.size, o.ttl, o.quiet), (Some(3), 10, Some(64), true));
        assert_eq!(o.interval, Duration::from_millis(200));
        let wrong = |line: &str| match parse(line) {
            Err(Usage::Wrong(text, code)) => (text, code),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(wrong(""), ("usage error: Destination address required".into(), 1));
        assert_eq!(wrong("-c x h"), ("invalid argument: 'x'".into(), 1));
        assert_eq!(
            wrong("-t 300 h"),
            ("invalid argument: '300': out of range: 1 <= value <= 255".into(), 1)
        );
        assert_eq!(wrong("-i 0 h").1, 2);
        assert_eq!(parse("-z h"), Err(Usage::Option(OptError::UnknownShort('z'))));
        assert_eq!(parse("-c"), Err(Usage::Option(OptError::MissingShort('c'))));
    }
}
