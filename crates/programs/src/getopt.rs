//! Options as GNU `getopt_long` reads them, shared by all programs, so that each can answer a
//! wrong one in its original's words.
//!
//! `-abc`, `-ofile`, `-o file`, `--long`, `--long=value`, `--long value`, unique prefixes of long
//! options, operands between options, and `--` after which everything is an operand.

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// No value.
    Nothing,
    /// A value, in the same word or the next.
    Value,
}

/// What `--help` stands for in a table of long options: reading ends there ([`OptError::Help`]).
pub const HELP: char = '\u{1}';
/// What `--version` stands for in a table of long options ([`OptError::Version`]).
pub const VERSION: char = '\u{2}';

/// A long option and the short one it stands for.
pub type Long = (&'static str, Takes, char);

/// What was read: options by their short letter with their values, and operands, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An option; the text is its value, empty for an option without one.
    Option(char, String),
    /// Anything else.
    Operand(String),
}

/// Why the words are not a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptError {
    /// `-z` is not an option.
    UnknownShort(char),
    /// `--word` is not an option.
    UnknownLong(String),
    /// `--wo` could be several.
    AmbiguousLong(String),
    /// `-o` at the end of the line.
    MissingShort(char),
    /// `--word` at the end of the line.
    MissingLong(String),
    /// `--word=value`, but it takes none.
    ExtraValue(String),
    /// No error: `--help` ends the reading.
    Help,
    /// No error: `--version` ends the reading.
    Version,
}

impl OptError {
    /// The message of the GNU library, after `program: `.
    pub fn gnu(&self) -> String {
        match self {
            OptError::UnknownShort(c) => format!("invalid option -- '{c}'"),
            OptError::UnknownLong(s) => format!("unrecognized option '--{s}'"),
            OptError::AmbiguousLong(s) => format!("option '--{s}' is ambiguous"),
            OptError::MissingShort(c) => format!("option requires an argument -- '{c}'"),
            OptError::MissingLong(s) => format!("option '--{s}' requires an argument"),
            OptError::ExtraValue(s) => format!("option '--{s}' doesn't allow an argument"),
            OptError::Help => "--help".to_owned(),
            OptError::Version => "--version".to_owned(),
        }
    }
}

/// The options of a program.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Short options as `getopt(3)` writes them: a colon follows a letter that takes a value.
    pub short: &'static str,
    /// Long options.
    pub long: &'static [Long],
}

impl Spec {
    /// Reads `args` (without the program's name).
    pub fn parse(&self, args: &[String]) -> Result<Vec<Item>, OptError> {
        let mut items = Vec::with_capacity(args.len());
        let mut words = args.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                items.extend(words.by_ref().cloned().map(Item::Operand));
            } else if let Some(long) = word.strip_prefix("--") {
                items.push(self.long(long, &mut words)?);
            } else if word.len() > 1 && word.starts_with('-') {
                self.cluster(&word[1..], &mut words, &mut items)?;
            } else {
                items.push(Item::Operand(word.clone()));
            }
        }
        Ok(items)
    }

    fn long<'a>(
        &self,
        word: &str,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<Item, OptError> {
        if self.long.is_empty() {
            // `getopt(3)` knows no long ones: the second hyphen is a letter to it.
            return Err(OptError::UnknownShort('-'));
        }
        let (name, value) = match word.split_once('=') {
            Some((n, v)) => (n, Some(v.to_owned())),
            None => (word, None),
        };
        let &(full, takes, letter) = self.find_long(name)?;
        match (takes, value) {
            (Takes::Nothing, None) => match letter {
                HELP => Err(OptError::Help),
                VERSION => Err(OptError::Version),
                letter => Ok(Item::Option(letter, String::new())),
            },
            (Takes::Nothing, Some(_)) => Err(OptError::ExtraValue(full.to_owned())),
            (Takes::Value, Some(v)) => Ok(Item::Option(letter, v)),
            (Takes::Value, None) => rest
                .next()
                .map(|v| Item::Option(letter, v.clone()))
                .ok_or_else(|| OptError::MissingLong(full.to_owned())),
        }
    }

    fn find_long(&self, name: &str) -> Result<&Long, OptError> {
        if let Some(exact) = self.long.iter().find(|l| l.0 == name) {
            return Ok(exact);
        }
        let mut fits = self.long.iter().filter(|l| l.0.starts_with(name));
        match (fits.next(), fits.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(OptError::UnknownLong(name.to_owned())),
            (Some(_), Some(_)) => Err(OptError::AmbiguousLong(name.to_owned())),
        }
    }

    fn cluster<'a>(
        &self,
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        items: &mut Vec<Item>,
    ) -> Result<(), OptError> {
        for (at, c) in letters.char_indices() {
            match self.short_takes(c) {
                None => return Err(OptError::UnknownShort(c)),
                Some(Takes::Nothing) => items.push(Item::Option(c, String::new())),
                Some(Takes::Value) => {
                    let glued = &letters[at + c.len_utf8()..];
                    let value = if glued.is_empty() {
                        rest.next().cloned().ok_or(OptError::MissingShort(c))?
                    } else {
                        glued.to_owned()
                    };
                    items.push(Item::Option(c, value));
                    break;
                }
            }
        }
        Ok(())
    }

    fn short_takes(&self, c: char) -> Option<Takes> {
        let at = self.short.find(c).filter(|_| c != ':')?;
        let colon = self.short[at + c.len_utf8()..].starts_with(':');
        Some(if colon { Takes::Value } else { Takes::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: Spec = Spec {
        short: "vo:n",
        long: &[
            ("verbose", Takes::Nothing, 'v'),
            ("version", Takes::Nothing, 'V'),
            ("output", Takes::Value, 'o'),
            ("help", Takes::Nothing, HELP),
        ],
    };

    fn check(line: &str, expect: Result<&[(char, &str)], OptError>) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let got = SPEC.parse(&args).map(|items| {
            items
                .into_iter()
                .map(|i| match i {
                    Item::Option(c, v) => (c, v),
                    Item::Operand(v) => ('-', v),
                })
                .collect::<Vec<_>>()
        });
        let expect = expect.map(|e| e.iter().map(|&(c, v)| (c, v.to_owned())).collect::<Vec<_>>());
        assert_eq!(got, expect, "{line}");
    }

    #[test]
    fn a_program_without_long_options_knows_none() {
        let spec = Spec { short: "v", long: &[] };
        assert_eq!(spec.parse(&["--help".to_owned()]), Err(OptError::UnknownShort('-')));
        assert!(spec.parse(&["--".to_owned(), "--help".to_owned()]).is_ok());
    }

    #[test]
    fn options_read_as_getopt_reads_them() {
        check("-vn x -ofile", Ok(&[('v', ""), ('n', ""), ('-', "x"), ('o', "file")]));
        check("-vo file - -- -v", Ok(&[('v', ""), ('o', "file"), ('-', "-"), ('-', "-v")]));
        check("--output=a=b --verb --out c", Ok(&[('o', "a=b"), ('v', ""), ('o', "c")]));
        check("-vz", Err(OptError::UnknownShort('z')));
        check("-:", Err(OptError::UnknownShort(':')));
        check("-o", Err(OptError::MissingShort('o')));
        check("--output", Err(OptError::MissingLong("output".into())));
        check("--ver", Err(OptError::AmbiguousLong("ver".into())));
        check("--nope=1", Err(OptError::UnknownLong("nope".into())));
        check("--verbose=1", Err(OptError::ExtraValue("verbose".into())));
        check("-v --help -z", Err(OptError::Help));
        check("-z --help", Err(OptError::UnknownShort('z')));
        check("-- --help", Ok(&[('-', "--help")]));
        check("-o --he x --hel", Err(OptError::Help));
        check("-o --help", Ok(&[('o', "--help")]));
        check("-é", Err(OptError::UnknownShort('é')));
    }
}
