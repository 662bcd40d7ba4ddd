//! The command line.

use netarium_wire::dissect::Dump;
use netarium_wire::packet_filter::Way;

use crate::getopt::{Item, Long, Spec, Takes};

/// Bytes that are kept of a packet by default.
pub(super) const SNAPLEN: u32 = 262_144;

const VERSION: &str = "tcpdump version 4.99.3 (netarium)\n";

const USAGE: &str = "Usage: tcpdump [-AdDefhKlLnNOpqStuUvxX#] [ -B size ] [ -c count ] [--count]
\t\t[ -F file ] [ -i interface ] [ --immediate-mode ] [ --number ]
\t\t[ --print ] [ -Q in|out|inout ] [ -r file ] [ -s snaplen ]
\t\t[ --version ] [ -w file ] [ --time-stamp-precision precision ]
\t\t[ --micro ] [ --nano ] [ -Z user ] [ expression ]
";

const LONG: &[Long] = &[
    ("buffer-size", Takes::Value, 'B'),
    ("count", Takes::Nothing, '1'),
    ("direction", Takes::Value, 'Q'),
    ("help", Takes::Nothing, 'h'),
    ("immediate-mode", Takes::Nothing, '2'),
    ("interface", Takes::Value, 'i'),
    ("list-interfaces", Takes::Nothing, 'D'),
    ("micro", Takes::Nothing, '3'),
    ("nano", Takes::Nothing, '4'),
    ("no-optimize", Takes::Nothing, 'O'),
    ("no-promiscuous-mode", Takes::Nothing, 'p'),
    ("number", Takes::Nothing, '#'),
    ("packet-buffered", Takes::Nothing, 'U'),
    ("print", Takes::Nothing, '5'),
    ("snapshot-length", Takes::Value, 's'),
    ("time-stamp-precision", Takes::Value, '6'),
    ("version", Takes::Nothing, '7'),
];

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) interface: Option<String>,
    pub(super) read: Option<String>,
    pub(super) write: Option<String>,
    pub(super) expression_file: Option<String>,
    pub(super) expression: String,
    pub(super) list: bool,
    pub(super) only_count: bool,
    pub(super) numeric: bool,
    pub(super) ethernet: bool,
    pub(super) verbose: u8,
    pub(super) quiet: bool,
    pub(super) absolute: bool,
    /// How many `-t`.
    pub(super) times: u8,
    pub(super) nano: bool,
    pub(super) number: bool,
    pub(super) print: bool,
    pub(super) dump: Dump,
    pub(super) dump_link: bool,
    pub(super) count: Option<u64>,
    pub(super) snaplen: u32,
    /// Not promiscuous.
    pub(super) plain: bool,
    /// Every packet goes to the file at once.
    pub(super) unbuffered: bool,
    /// Bytes of the ring.
    pub(super) buffer: Option<usize>,
    pub(super) direction: Option<Way>,
}

/// What is said instead of capturing.
pub(super) enum Said {
    /// On standard output; not an error.
    Out(String),
    /// What is wrong.
    Wrong(String),
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Said> {
    Err(Said::Wrong(text.into()))
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Options, Said> {
        let spec = Spec { short: "AB:c:dDeF:hi:KlLnNOpqQ:r:s:StuUvw:xXZ:#", long: LONG };
        // Unlike GNU programs, tcpdump takes everything behind the first operand for the expression.
        let (words, expression) = split(args);
        let items = spec
            .parse(words)
            .map_err(|e| Said::Wrong(format!("{}\n{VERSION}{}", e.gnu(), USAGE.trim_end())))?;
        let mut o = Options { snaplen: SNAPLEN, ..Options::default() };
        let mut dumps = [0; 3];
        for item in items {
            let Item::Option(letter, value) = item else { continue };
            match letter {
                'A' => dumps[0] += 1,
                'x' => dumps[1] += 1,
                'X' => dumps[2] += 1,
                _ => o.set(letter, value)?,
            }
        }
        o.expression = expression.join(" ");
        (o.dump, o.dump_link) = match dumps {
            [_, _, n] if n > 0 => (Dump::HexText, n > 1),
            [_, n, _] if n > 0 => (Dump::Hex, n > 1),
            [n, ..] if n > 0 => (Dump::Text, n > 1),
            _ => (Dump::None, false),
        };
        if o.times > 5 {
            return wrong("only -t, -tt, -ttt, -tttt and -ttttt are supported");
        }
        Ok(o)
    }

    fn set(&mut self, letter: char, value: String) -> Result<(), Said> {
        match letter {
            'B' => match value.parse::<usize>() {
                Ok(kib) if kib > 0 => self.buffer = Some(kib.saturating_mul(1024)),
                _ => return wrong(format!("invalid packet buffer size {value}")),
            },
            'c' => match value.parse() {
                Ok(n) if n > 0 => self.count = Some(n),
                _ => return wrong(format!("invalid packet count {value}")),
            },
            's' => match value.parse::<u32>() {
                Ok(0) => self.snaplen = SNAPLEN,
                Ok(n) if n <= SNAPLEN => self.snaplen = n,
                _ => {
                    return wrong(format!(
                        "invalid snaplen {value} (must be >= 0 and <= {SNAPLEN})"
                    ));
                }
            },
            'Q' => {
                self.direction = match value.to_ascii_lowercase().as_str() {
                    "in" => Some(Way::In),
                    "out" => Some(Way::Out),
                    "inout" => None,
                    _ => return wrong(format!("unknown capture direction `{value}'")),
                }
            }
            '6' => {
                self.nano = match value.as_str() {
                    "nano" => true,
                    "micro" => false,
                    _ => return wrong(format!("unknown time stamp precision `{value}'")),
                }
            }
            'h' | '7' => {
                let usage = if letter == 'h' { USAGE } else { "" };
                return Err(Said::Out(format!("{VERSION}{usage}")));
            }
            'F' => self.expression_file = Some(value),
            'i' => self.interface = Some(value),
            'r' => self.read = Some(value),
            'w' => self.write = Some(value),
            _ => self.flag(letter),
        }
        Ok(())
    }

    /// Options without values. What makes no difference here (`-l`, `-O`, `-K`…) is taken silently.
    fn flag(&mut self, letter: char) {
        match letter {
            'D' => self.list = true,
            'e' => self.ethernet = true,
            'n' => self.numeric = true,
            'p' => self.plain = true,
            'q' => self.quiet = true,
            'S' => self.absolute = true,
            't' => self.times = self.times.saturating_add(1),
            'U' => self.unbuffered = true,
            'v' => self.verbose = self.verbose.saturating_add(1),
            '#' => self.number = true,
            '1' => self.only_count = true,
            '3' => self.nano = false,
            '4' => self.nano = true,
            '5' => self.print = true,
            _ => {}
        }
    }
}

/// Options, and the words behind them.
fn split(args: &[String]) -> (&[String], &[String]) {
    const VALUED: &str = "BcFiQrswZ";
    let mut at = 0;
    while let Some(word) = args.get(at) {
        if word == "--" {
            return (&args[..at], &args[at + 1..]);
        }
        let Some(letters) = word.strip_prefix('-').filter(|l| !l.is_empty()) else { break };
        at += 1;
        let takes_next = match letters.strip_prefix('-') {
            Some(long) => {
                let mut fits = LONG.iter().filter(|l| l.0.starts_with(long));
                !long.contains('=') && fits.next().is_some_and(|l| l.1 == Takes::Value)
            }
            None => letters
                .char_indices()
                .find(|(_, c)| VALUED.contains(*c))
                .is_some_and(|(i, c)| i + c.len_utf8() == letters.len()),
        };
        at += usize::from(takes_next);
    }
    let at = at.min(args.len());
    (&args[..at], &args[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words).map_err(|said| match said {
            Said::Out(text) | Said::Wrong(text) => text,
        })
    }

    #[test]
    fn options_end_where_the_expression_begins() {
        let o = parse("-i any -nn -c 3 -ttt -XX port 80 or not -x").unwrap();
        assert_eq!(o.interface.as_deref(), Some("any"));
        assert_eq!((o.count, o.times, o.dump, o.dump_link), (Some(3), 3, Dump::HexText, true));
        assert_eq!(o.expression, "port 80 or not -x");
        assert_eq!(parse("-vvAc5 tcp").unwrap().count, Some(5));
        assert_eq!(parse("--interface lo tcp").unwrap().expression, "tcp");
        assert_eq!(parse("--interface=lo tcp").unwrap().expression, "tcp");
        assert_eq!(parse("-- -x").unwrap().expression, "-x");
        assert_eq!(parse("-s 0").unwrap().snaplen, SNAPLEN);
    }

    #[test]
    fn wrong_values_are_told_as_tcpdump_tells_them() {
        for (line, text) in [
            ("-c 0", "invalid packet count 0"),
            ("-c x", "invalid packet count x"),
            ("-s -1", "invalid snaplen -1 (must be >= 0 and <= 262144)"),
            ("-B 0", "invalid packet buffer size 0"),
            ("-Q up", "unknown capture direction `up'"),
            ("-tttttt", "only -t, -tt, -ttt, -tttt and -ttttt are supported"),
        ] {
            assert_eq!(parse(line).unwrap_err(), text, "{line}");
        }
        assert!(parse("--foo").unwrap_err().starts_with("unrecognized option '--foo'\n"));
        assert!(parse("-i").unwrap_err().starts_with("option requires an argument -- 'i'\n"));
        assert!(parse("-h").unwrap_err().contains("Usage: tcpdump"));
    }
}
