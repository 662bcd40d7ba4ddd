//! curl's command line. Its grammar is curl's own, not `getopt`'s: a long option never takes its
//! value after `=`, and messages quote the whole word.

use netarium_base::Duration;

/// Where the body of a URL goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// `-o FILE`; `-` is standard output.
    File(String),
    /// `-O`: the last part of the URL's path.
    RemoteName,
}

/// A piece of `-d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// As written.
    Text(String),
    /// `@FILE`, without line ends and NULs unless `binary`.
    File { path: String, binary: bool },
}

/// `--resolve HOST:PORT:ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pinned {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) address: core::net::IpAddr,
}

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) urls: Vec<String>,
    /// The n-th belongs to the n-th URL.
    pub(super) outputs: Vec<Output>,
    pub(super) verbose: bool,
    pub(super) include: bool,
    pub(super) head: bool,
    pub(super) get: bool,
    pub(super) silent: bool,
    pub(super) show_error: bool,
    pub(super) fail: bool,
    pub(super) fail_with_body: bool,
    pub(super) location: bool,
    pub(super) http10: bool,
    pub(super) method: Option<String>,
    pub(super) data: Vec<Data>,
    pub(super) json: bool,
    pub(super) headers: Vec<String>,
    pub(super) user_agent: Option<String>,
    pub(super) referer: Option<String>,
    pub(super) user: Option<String>,
    pub(super) cookie: Option<String>,
    pub(super) max_time: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) max_redirs: Option<u32>,
    pub(super) write_out: Option<String>,
    pub(super) resolve: Vec<Pinned>,
    /// `--help` or `--version` was asked for.
    pub(super) show: Option<Show>,
}

/// A request for words instead of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    Help,
    Version,
}

/// Why a command line is wrong; the text follows `curl: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Usage(pub(super) String);

/// (long name, short letter or NUL, takes a value)
const TABLE: &[(&str, char, bool)] = &[
    ("compressed", '\0', false),
    ("connect-timeout", '\u{1}', true),
    ("cookie", 'b', true),
    ("data", 'd', true),
    ("data-ascii", 'd', true),
    ("data-binary", '\u{2}', true),
    ("data-raw", '\u{3}', true),
    ("fail", 'f', false),
    ("fail-with-body", '\u{4}', false),
    ("get", 'G', false),
    ("head", 'I', false),
    ("header", 'H', true),
    ("help", 'h', false),
    ("http1.0", '0', false),
    ("http1.1", '\u{5}', false),
    ("include", 'i', false),
    ("ipv4", '4', false),
    ("json", '\u{6}', true),
    ("location", 'L', false),
    ("max-redirs", '\u{7}', true),
    ("max-time", 'm', true),
    ("no-buffer", 'N', false),
    ("no-progress-meter", '\u{b}', false),
    ("output", 'o', true),
    ("referer", 'e', true),
    ("remote-name", 'O', false),
    ("request", 'X', true),
    ("resolve", '\u{8}', true),
    ("show-error", 'S', false),
    ("silent", 's', false),
    ("url", '\u{e}', true),
    ("user", 'u', true),
    ("user-agent", 'A', true),
    ("verbose", 'v', false),
    ("version", 'V', false),
    ("write-out", 'w', true),
];

/// What `-I -d` is answered with, wrapped as curl wraps warnings.
pub(super) const BOTH_METHODS: &str = "\
Warning: You can only select one HTTP request method! You asked for both POST \n\
Warning: (-d, --data) and HEAD (-I, --head).";

impl Options {
    /// Reads the words after `curl`.
    pub(super) fn parse(args: &[String]) -> Result<Options, Usage> {
        let mut o = Options::default();
        let mut words = args.iter();
        let mut operands_only = false;
        while let Some(word) = words.next() {
            if operands_only || word == "-" || !word.starts_with('-') {
                o.urls.push(word.clone());
            } else if word == "--" {
                operands_only = true;
            } else if let Some(long) = word.strip_prefix("--") {
                let (letter, takes) = find_long(long, word)?;
                let value = if takes { Some(next(&mut words, word)?) } else { None };
                o.apply(letter, value.unwrap_or_default(), word)?;
            } else {
                o.cluster(word, &mut words)?;
            }
        }
        o.check()?;
        Ok(o)
    }

    fn check(&self) -> Result<(), Usage> {
        if self.show.is_none() && self.urls.is_empty() {
            return Err(Usage(String::new()));
        }
        if self.head && !self.data.is_empty() && !self.get {
            return Err(Usage(BOTH_METHODS.to_owned()));
        }
        Ok(())
    }

    fn cluster<'a>(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), Usage> {
        for (at, c) in word.char_indices().skip(1) {
            let row = TABLE.iter().find(|r| r.1 == c && !c.is_control());
            let &(_, letter, takes) = row.ok_or_else(|| unknown(word))?;
            if !takes {
                self.apply(letter, String::new(), word)?;
                continue;
            }
            let glued = &word[at + c.len_utf8()..];
            let value = if glued.is_empty() { next(words, word)? } else { glued.to_owned() };
            return self.apply(letter, value, word);
        }
        Ok(())
    }

    fn apply(&mut self, letter: char, value: String, word: &str) -> Result<(), Usage> {
        match letter {
            'v' => self.verbose = true,
            'i' => self.include = true,
            'I' => self.head = true,
            'G' => self.get = true,
            's' => self.silent = true,
            'S' => self.show_error = true,
            'f' => self.fail = true,
            '\u{4}' => self.fail_with_body = true,
            'L' => self.location = true,
            '0' => self.http10 = true,
            'h' => self.show = self.show.or(Some(Show::Help)),
            'V' => self.show = self.show.or(Some(Show::Version)),
            'X' => self.method = Some(value),
            'H' => self.headers.push(value),
            'A' => self.user_agent = Some(value),
            'e' => self.referer = Some(value),
            'u' => self.user = Some(value),
            'b' => self.cookie = Some(value),
            'o' => self.outputs.push(Output::File(value)),
            'O' => self.outputs.push(Output::RemoteName),
            'w' => self.write_out = Some(value),
            '\u{e}' => self.urls.push(value),
            'd' => self.data.push(data(value, false)),
            '\u{2}' => self.data.push(data(value, true)),
            '\u{3}' => self.data.push(Data::Text(value)),
            '\u{6}' => {
                self.json = true;
                self.data.push(data(value, true));
            }
            'm' => self.max_time = seconds(&value, word)?,
            '\u{1}' => self.connect_timeout = seconds(&value, word)?,
            '\u{7}' => self.max_redirs = Some(value.parse().map_err(|_| not_a_number(word))?),
            '\u{8}' => self.resolve.push(pinned(&value)?),
            // Accepted and without effect: HTTP/1.1 and IPv4 are what there is, nothing is
            // buffered or compressed, and there is no progress meter.
            _ => {}
        }
        Ok(())
    }
}

fn data(value: String, binary: bool) -> Data {
    match value.strip_prefix('@') {
        Some(path) => Data::File { path: path.to_owned(), binary },
        None => Data::Text(value),
    }
}

fn find_long(name: &str, word: &str) -> Result<(char, bool), Usage> {
    if let Some(r) = TABLE.iter().find(|r| r.0 == name) {
        return Ok((r.1, r.2));
    }
    let mut fits = TABLE.iter().filter(|r| r.0.starts_with(name) && !name.is_empty());
    match (fits.next(), fits.next()) {
        (Some(r), None) => Ok((r.1, r.2)),
        (Some(_), Some(_)) => Err(Usage(format!("option {word}: is ambiguous"))),
        (None, _) => Err(unknown(word)),
    }
}

fn next<'a>(words: &mut impl Iterator<Item = &'a String>, word: &str) -> Result<String, Usage> {
    words.next().cloned().ok_or_else(|| Usage(format!("option {word}: requires parameter")))
}

fn unknown(word: &str) -> Usage {
    Usage(format!("option {word}: is unknown"))
}

fn not_a_number(word: &str) -> Usage {
    Usage(format!("option {word}: expected a proper numerical parameter"))
}

/// Decimal seconds; 0 means no limit, as in curl.
fn seconds(text: &str, word: &str) -> Result<Option<Duration>, Usage> {
    let span: Duration = format!("{text}s").parse().map_err(|_| not_a_number(word))?;
    Ok((!span.is_zero()).then_some(span))
}

fn pinned(text: &str) -> Result<Pinned, Usage> {
    let bad = || Usage(format!("Couldn't parse CURLOPT_RESOLVE entry '{text}'"));
    let mut parts = text.splitn(3, ':');
    let (Some(host), Some(port), Some(address)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(bad());
    };
    let address = address.trim_start_matches('[').trim_end_matches(']');
    Ok(Pinned {
        host: host.to_ascii_lowercase(),
        port: port.parse().map_err(|_| bad())?,
        address: address.parse().map_err(|_| bad())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args).map_err(|u| u.0)
    }

    #[test]
    fn options_cluster_and_values_may_be_glued() {
        let o = parse("-svo out -XPOST -da=b http://web/ -d c --max-time 1.5").unwrap();
        assert!(o.silent && o.verbose);
        assert_eq!(o.outputs, [Output::File("out".into())]);
        assert_eq!(o.method.as_deref(), Some("POST"));
        assert_eq!(o.data, [Data::Text("a=b".into()), Data::Text("c".into())]);
        assert_eq!(o.urls, ["http://web/"]);
        assert_eq!(o.max_time, Some(Duration::from_millis(1500)));
        let o = parse("--resolve web:80:10.0.0.2 -d @f --data-binary @g u").unwrap();
        assert_eq!(o.resolve[0].address.to_string(), "10.0.0.2");
        assert_eq!(o.data[0], Data::File { path: "f".into(), binary: false });
        assert_eq!(o.data[1], Data::File { path: "g".into(), binary: true });
    }

    #[test]
    fn wrong_lines_are_answered_in_curls_words() {
        for (line, message) in [
            ("", ""),
            ("--foo", "option --foo: is unknown"),
            ("-sQ", "option -sQ: is unknown"),
            ("--data=x u", "option --data=x: is unknown"),
            ("-m", "option -m: requires parameter"),
            ("-m abc u", "option -m: expected a proper numerical parameter"),
            ("--da x", "option --da: is ambiguous"),
        ] {
            assert_eq!(parse(line).unwrap_err(), message, "{line}");
        }
    }
}
