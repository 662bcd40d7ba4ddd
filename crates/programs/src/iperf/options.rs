//! The command line of `iperf`.

use netarium_base::Duration;

use crate::getopt::{Item, Long, Spec, Takes};

pub(super) const USAGE: &str = "\
Usage: iperf [-s|-c host] [options]
Try `iperf --help' for more information.
";

const HELP: &str = "\
Usage: iperf [-s|-c host] [options]
       iperf [-h|--help] [-v|--version]

Client/Server:
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
    ("fq-rate", Takes::Value, 'Q'),
    ("enhanced", Takes::Nothing, 'e'),
    ("help", Takes::Nothing, 'h'),
    ("version", Takes::Nothing, 'v'),
];

const SPEC: Spec = Spec { short: "sc:up:t:n:i:b:P:Rl:w:ehvB:f:", long: LONG };

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
}

/// Reads a command line without its first word. The error is an exit code, and what to print.
pub(super) fn parse(args: &[String]) -> Result<Options, (i32, String)> {
    let wrong = || (1, USAGE.to_owned());
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
    };
    let mut server = false;
    let seconds = |value: &str| format!("{value}s").parse::<Duration>().map_err(|_| wrong());
    let items = SPEC.parse(args).map_err(|e| (1, format!("iperf: {}\n{USAGE}", e.gnu())))?;
    for item in items {
        let Item::Option(c, value) = item else {
            let Item::Operand(word) = item else { continue };
            return Err((1, format!("iperf: ignoring extra argument -- {word}\n{USAGE}")));
        };
        match c {
            's' => server = true,
            'c' => o.client = Some(value),
            'u' => o.udp = true,
            'p' => o.port = value.parse().map_err(|_| wrong())?,
            't' => o.time = seconds(&value)?,
            'n' => o.bytes = Some(scaled(&value, 1_024).ok_or_else(wrong)?),
            'i' => o.interval = Some(seconds(&value)?).filter(|i| i.as_nanos() > 0),
            'b' => o.bandwidth = Some(scaled(&value, 1_000).filter(|b| *b > 0).ok_or_else(wrong)?),
            'Q' => o.fq_rate = Some(scaled(&value, 1_000).filter(|b| *b > 0).ok_or_else(wrong)?),
            'P' => o.parallel = value.parse().map_err(|_| wrong())?,
            'R' => o.reverse = true,
            'l' => o.length = scaled(&value, 1_024).ok_or_else(wrong)? as usize,
            'w' => o.window = scaled(&value, 1_024).and_then(|w| u32::try_from(w).ok()),
            'h' => return Err((1, HELP.to_owned())),
            'v' => return Err((1, "iperf version 2.1.8 (in virtual time)\n".to_owned())),
            _ => {}
        }
    }
    if server == o.client.is_some() {
        return Err(wrong());
    }
    o.parallel = o.parallel.clamp(1, PARALLEL_MAX);
    let default = if o.udp { 1_470 } else { 128 * 1_024 };
    let most = if o.udp { 65_507 } else { LENGTH_MAX };
    o.length =
        if o.length == 0 { default } else { o.length.clamp(if o.udp { 52 } else { 1 }, most) };
    Ok(o)
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
    let fraction = format!("{:0<3}", &fraction[..fraction.len().min(3)]).parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(unit * fraction / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

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
