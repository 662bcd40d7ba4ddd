//! The command line of `iperf`.

use netarium_base::Duration;

use super::report::Format;
use crate::getopt::{Item, Long, OptError, Spec, Takes};

pub(super) const USAGE: &str = "\
Usage: iperf [-s|-c host] [options]
Try `iperf --help' for more information.
";

const HELP: &str = "\
Usage: iperf [-s|-c host] [options]
       iperf [-h|--help] [-v|--version]

Client/Server:
  -B, --bind <host>[:<port>] bind to <host> and optional port
  -f, --format    [kmgtKMGTaAbB] format to report: Kbits, Mbits, KBytes, MBytes
  -i, --interval  #        seconds between periodic bandwidth reports
  -l, --len       #[KM]    length of buffer to read or write
  -p, --port      #        server port to listen on/connect to
  -u, --udp                use UDP rather than TCP
  -w, --window    #[KM]    socket buffer size
Server specific:
  -s, --server             run in server mode
Client specific:
  -b, --bandwidth #[KMG]   bandwidth to send at in bits/sec
  -c, --client    <host>   run in client mode, connecting to <host>
      --fq-rate   #[KMG]   bandwidth to pace in bits/sec (SO_MAX_PACING_RATE)
  -n, --num       #[KMG]   number of bytes to transmit (instead of -t)
  -P, --parallel  #        number of parallel client threads to run
  -R, --reverse            reverse the test (client receives, server sends)
  -t, --time      #        time in seconds to transmit for (default 10 secs)
";

const LONG: &[Long] = &[
    ("server", Takes::Nothing, 's'),
    ("client", Takes::Value, 'c'),
    ("udp", Takes::Nothing, 'u'),
    ("port", Takes::Value, 'p'),
    ("time", Takes::Value, 't'),
    ("num", Takes::Value, 'n'),
    ("interval", Takes::Value, 'i'),
    ("bandwidth", Takes::Value, 'b'),
    ("parallel", Takes::Value, 'P'),
    ("reverse", Takes::Nothing, 'R'),
    ("len", Takes::Value, 'l'),
    ("window", Takes::Value, 'w'),
    ("bind", Takes::Value, 'B'),
    ("format", Takes::Value, 'f'),
    ("fq-rate", Takes::Value, 'Q'),
    ("help", Takes::Nothing, 'h'),
    ("version", Takes::Nothing, 'v'),
];

const SPEC: Spec = Spec { short: "sc:up:t:n:i:b:P:Rl:w:hvB:f:", long: LONG };

/// The most parallel connections.
const PARALLEL_MAX: usize = 128;
/// The largest buffer of one write, bytes.
const LENGTH_MAX: usize = 1 << 20;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) client: Option<String>,
    pub(super) udp: bool,
    pub(super) port: u16,
    pub(super) time: Duration,
    /// Instead of a time, bytes.
    pub(super) bytes: Option<u64>,
    pub(super) interval: Option<Duration>,
    /// Bits per second.
    pub(super) bandwidth: Option<u64>,
    /// Payload bits per second that TCP paces to.
    pub(super) fq_rate: Option<u64>,
    pub(super) parallel: usize,
    pub(super) reverse: bool,
    pub(super) length: usize,
    pub(super) window: Option<u32>,
    /// The host of `-B`.
    pub(super) bind: Option<String>,
    /// The port of `-B HOST:PORT`, or 0.
    pub(super) bind_port: u16,
    pub(super) format: Format,
    /// Words for standard error before anything else.
    pub(super) warnings: String,
}

/// What a command line is answered that starts nothing: usage ends well, in the original, too.
fn usage(why: &str) -> (i32, String) {
    (0, format!("{why}{USAGE}"))
}

/// A wrong option in the words of the original's own `getopt`.
fn wrong(e: &OptError) -> (i32, String) {
    usage(&match e {
        OptError::UnknownShort(c) => format!("iperf: invalid option -- {c}\n"),
        OptError::MissingShort(c) => format!("iperf: option requires an argument -- {c}\n"),
        OptError::UnknownLong(s) => format!("iperf: unrecognized option `--{s}'\n"),
        OptError::AmbiguousLong(s) => format!("iperf: option `--{s}' is ambiguous\n"),
        OptError::MissingLong(s) => format!("iperf: option `--{s}' requires an argument\n"),
        OptError::ExtraValue(s) => format!("iperf: option `--{s}' doesn't allow an argument\n"),
        OptError::Help | OptError::Version => String::new(),
    })
}

/// Takes an option with a value that can be wrong.
fn set(o: &mut Options, c: char, value: &str) -> Result<(), (i32, String)> {
    let bad = |text: String| (1, text + "\n");
    let seconds = |value: &str| format!("{value}s").parse::<Duration>().ok();
    match c {
        'p' => {
            let why = || bad(format!("ERROR: -p value of '{value}' not recognized"));
            o.port = value.parse().map_err(|_| why())?;
        }
        't' => {
            let why = || bad(format!("ERROR: -t value of '{value}' not recognized"));
            o.time = seconds(value).ok_or_else(why)?;
        }
        'n' => {
            let why = || bad(format!("Invalid value for -n amount of '{value}'"));
            o.bytes = Some(scaled(value, 1_024).ok_or_else(why)?);
        }
        'i' => {
            let why = || bad(format!("Invalid value of '{value}' for -i interval"));
            o.interval = Some(seconds(value).ok_or_else(why)?).filter(|i| i.as_nanos() > 0);
        }
        'b' => {
            let why = || bad(format!("ERROR: -b value of '{value}' not recognized"));
            o.bandwidth = Some(scaled(value, 1_000).filter(|b| *b > 0).ok_or_else(why)?);
        }
        'Q' => {
            let why = || bad(format!("Invalid value for --fq-rate of '{value}'"));
            o.fq_rate = Some(scaled(value, 1_000).filter(|b| *b > 0).ok_or_else(why)?);
        }
        'B' => (o.bind, o.bind_port) = bind(value.to_owned()),
        'f' => o.format = Format::of(value),
        _ => {}
    }
    Ok(())
}

/// Reads a command line without its first word. The error is an exit code, and what to print.
pub(super) fn parse(args: &[String]) -> Result<Options, (i32, String)> {
    let mut o = Options {
        client: None,
        udp: false,
        port: 5001,
        time: Duration::from_secs(10),
        bytes: None,
        interval: None,
        bandwidth: None,
        fq_rate: None,
        parallel: 1,
        reverse: false,
        length: 0,
        window: None,
        bind: None,
        bind_port: 0,
        format: Format::default(),
        warnings: String::new(),
    };
    let mut server = false;
    let items = SPEC.parse(args).map_err(|e| wrong(&e))?;
    for item in items {
        let Item::Option(c, value) = item else {
            let Item::Operand(word) = item else { continue };
            o.warnings += &format!("iperf: ignoring extra argument -- {word}\n");
            continue;
        };
        match c {
            's' if o.client.is_some() => {
                o.warnings += "WARNING: option -s is not valid for client mode\n";
            }
            's' => server = true,
            // What is said first counts.
            'c' if server => {
                o.warnings += "WARNING: option -c is not valid for server mode\n";
            }
            'c' => o.client = Some(value),
            'u' => o.udp = true,
            // What is no number is one.
            'P' => o.parallel = value.parse().unwrap_or(1),
            'R' => o.reverse = true,
            'l' => o.length = scaled(&value, 1_024).unwrap_or(0) as usize,
            'w' => o.window = scaled(&value, 1_024).and_then(|w| u32::try_from(w).ok()),
            'h' => return Err((1, HELP.to_owned())),
            'v' => return Err((1, "iperf version 2.1.8 (in virtual time)\n".to_owned())),
            c => set(&mut o, c, &value)?,
        }
    }
    if !server && o.client.is_none() {
        return Err(usage(&o.warnings));
    }
    o.parallel = o.parallel.clamp(1, PARALLEL_MAX);
    let default = if o.udp { 1_470 } else { 128 * 1_024 };
    let most = if o.udp { 65_507 } else { LENGTH_MAX };
    o.length =
        if o.length == 0 { default } else { o.length.clamp(if o.udp { 52 } else { 1 }, most) };
    Ok(o)
}

/// `HOST` or `HOST:PORT`; a port that is none is any.
fn bind(value: String) -> (Option<String>, u16) {
    match value.split_once(':') {
        // More colons are an IPv6 address.
        Some((host, port)) if !port.contains(':') => {
            (Some(host.to_owned()), port.parse().unwrap_or(0))
        }
        _ => (Some(value), 0),
    }
}

/// `10`, `10K`, `1.5M`, `1G`, in units of 1000 or 1024.
fn scaled(text: &str, base: u64) -> Option<u64> {
    let unit = match text.chars().last()? {
        'k' | 'K' => base,
        'm' | 'M' => base * base,
        'g' | 'G' => base * base * base,
        _ => 1,
    };
    let digits = if unit == 1 { text } else { &text[..text.len() - 1] };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{:0<3}", fraction.get(..3).unwrap_or(fraction)).parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(unit * fraction / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Options, (i32, String)> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&args)
    }

    #[test]
    fn command_lines_of_iperf() {
        for (line, code, why) in [
            ("", 0, USAGE),
            ("-f k", 0, USAGE),
            ("-c", 0, "iperf: option requires an argument -- c\n"),
            ("-Q", 0, "iperf: invalid option -- Q\n"),
            ("-e -c web", 0, "iperf: invalid option -- e\n"),
            ("--foo", 0, "iperf: unrecognized option `--foo'\n"),
            ("foo", 0, "iperf: ignoring extra argument -- foo\n"),
            ("-c web -t x", 1, "ERROR: -t value of 'x' not recognized\n"),
            ("-c web -i x", 1, "Invalid value of 'x' for -i interval\n"),
            ("-c web -n x", 1, "Invalid value for -n amount of 'x'\n"),
            ("-h", 1, "Usage: iperf [-s|-c host] [options]\n       iperf"),
        ] {
            let (got, text) = of(line).expect_err(line);
            assert_eq!(got, code, "{line}");
            assert!(text.starts_with(why), "{line}: {text}");
            assert_eq!(code == 0, text.ends_with(USAGE), "{line}");
        }
        let o = of("-c web -B 10.0.0.1:5555 extra").unwrap();
        assert_eq!((o.bind.as_deref(), o.bind_port), (Some("10.0.0.1"), 5_555));
        assert_eq!(o.warnings, "iperf: ignoring extra argument -- extra\n");
        assert_eq!(of("-s -B ::1").unwrap().bind.as_deref(), Some("::1"));
        assert!(of("-s -c web").unwrap().client.is_none());
    }

    #[test]
    fn numbers_have_units() {
        for (text, base, value) in [
            ("10", 1_000, 10),
            ("10K", 1_024, 10_240),
            ("1.5M", 1_000, 1_500_000),
            ("1G", 1_000, 1_000_000_000),
        ] {
            assert_eq!(scaled(text, base), Some(value), "{text}");
        }
        assert_eq!(
            (scaled("", 1_000), scaled("x", 1_000), scaled("99999999999999999999", 1_000)),
            (None, None, None)
        );
    }
}
