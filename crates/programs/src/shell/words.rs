//! Expansion of words: POSIX.1-2017 §2.6.

use std::rc::Rc;

use netarium_world::process::{Group, Spawn};
use tokio::io::AsyncReadExt;

use super::ast::{Change, Part, Script, Word};
use super::pattern::{self, Letter};
use super::state::{Shell, Stop, VALUE_MAX};
use super::sum;

/// What a word becomes: fields of letters.
#[derive(Debug, Default)]
struct Fields {
    done: Vec<Vec<Letter>>,
    current: Vec<Letter>,
    /// There is a current field, even if it is empty.
    open: bool,
    /// How many letters there are in all.
    size: usize,
}

impl Fields {
    fn add(&mut self, text: &str, quoted: bool) {
        self.open |= quoted || !text.is_empty();
        self.size += text.len();
        self.current.extend(text.chars().map(|c| (c, quoted)));
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            self.done.push(std::mem::take(&mut self.current));
        }
    }

    /// Adds the result of an expansion and splits it.
    fn split(&mut self, text: &str, separators: &str) {
        self.size += text.len();
        for c in text.chars() {
            if !separators.contains(c) {
                self.open = true;
                self.current.push((c, false));
            } else if c.is_ascii_whitespace() {
                self.end();
            } else {
                self.open = true;
                self.end();
            }
        }
    }
}

impl Shell {
    /// The words of a command, with everything expanded.
    pub(super) async fn expand(&mut self, words: &[Word]) -> Result<Vec<String>, Stop> {
        let mut all = Vec::new();
        let mut size = 0;
        for word in words {
            let fields = self.fields(word, true).await?;
            size += fields.size + 16;
            for field in fields.done {
                all.extend(pattern::paths(&self.process, &field));
            }
            if size > VALUE_MAX {
                return Err(self.fail("Out of space").await);
            }
        }
        Ok(all)
    }

    /// A word as one text: no splitting, no file names.
    pub(super) async fn expand_one(&mut self, word: &Word) -> Result<String, Stop> {
        Ok(pattern::text(&self.letters_of(word).await?))
    }

    /// A word as a pattern.
    pub(super) async fn letters_of(&mut self, word: &Word) -> Result<Vec<Letter>, Stop> {
        let fields = self.fields(word, false).await?;
        Ok(fields.done.into_iter().next().unwrap_or_default())
    }

    async fn fields(&mut self, word: &Word, split: bool) -> Result<Fields, Stop> {
        let mut fields = Fields::default();
        self.parts(word, split, &mut fields).await?;
        fields.end();
        Ok(fields)
    }

    fn parts<'a>(
        &'a mut self,
        word: &'a Word,
        split: bool,
        fields: &'a mut Fields,
    ) -> LocalBox<'a, Result<(), Stop>> {
        Box::pin(async move {
            for part in word {
                match part {
                    Part::Text { text, quoted } => fields.add(text, *quoted),
                    Part::Home => {
                        let home = self.value("HOME").unwrap_or_else(|| "/".to_owned());
                        fields.add(&home, true);
                    }
                    Part::Variable { name, change, quoted } => {
                        self.variable(name, change, (*quoted, split), fields).await?;
                    }
                    Part::Command { script, quoted } => {
                        let text = self.substitute(script).await?;
                        self.result(&text, *quoted, split, fields);
                    }
                    Part::Sum { text, quoted } => {
                        let text = self.expand_one(text).await?;
                        match sum::evaluate(&text, self) {
                            Ok(value) => {
                                self.result(&value.to_string(), *quoted, split, fields);
                            }
                            Err(why) => return Err(self.fail(&why).await),
                        }
                    }
                }
                if fields.size > VALUE_MAX {
                    return Err(self.fail("Out of space").await);
                }
            }
            Ok(())
        })
    }

    /// Adds what an expansion gave.
    fn result(&self, text: &str, quoted: bool, split: bool, fields: &mut Fields) {
        if quoted || !split {
            fields.add(text, quoted);
        } else {
            let separators = self.value("IFS").unwrap_or_else(|| " \t\n".to_owned());
            fields.split(text, &separators);
        }
    }

    async fn variable(
        &mut self,
        name: &str,
        change: &Change,
        (quoted, split): (bool, bool),
        fields: &mut Fields,
    ) -> Result<(), Stop> {
        if name == "@" && *change == Change::None && quoted && split {
            for (n, parameter) in self.parameters.iter().enumerate() {
                if n > 0 {
                    fields.end();
                }
                fields.add(parameter, true);
            }
            return Ok(());
        }
        let value = self.value(name);
        let unset = value.is_none() && !matches!(change, Change::Default { .. });
        if unset && self.options.nounset && !matches!(name, "@" | "*") {
            return Err(self.fail(&format!("{name}: parameter not set")).await);
        }
        let text = match change {
            Change::None => value.unwrap_or_default(),
            Change::Length if matches!(name, "@" | "*") => self.parameters.len().to_string(),
            Change::Length => value.unwrap_or_default().chars().count().to_string(),
            Change::Strip { suffix, longest, pattern } => {
                let pattern = self.letters_of(pattern).await?;
                strip(&value.unwrap_or_default(), &pattern, *suffix, *longest)
            }
            Change::Default { operator, colon, word } => {
                let value = value.filter(|v| !(*colon && v.is_empty()));
                match (operator, value) {
                    ('+', None) => String::new(),
                    ('-' | '=' | '?', Some(value)) => value,
                    ('=', None) => {
                        let value = self.expand_one(word).await?;
                        if let Err(why) = self.set(name, value.clone()) {
                            return Err(self.fail(&why).await);
                        }
                        value
                    }
                    ('?', None) => {
                        let mut why = self.expand_one(word).await?;
                        if why.is_empty() {
                            why = "parameter not set".to_owned();
                        }
                        return Err(self.fail(&format!("{name}: {why}")).await);
                    }
                    _ => return self.parts(word, split, fields).await,
                }
            }
        };
        self.result(&text, quoted, split, fields);
        Ok(())
    }

    /// The output of a script, without the newlines at its end.
    async fn substitute(&mut self, script: &Rc<Script>) -> Result<String, Stop> {
        let Ok((mut read, write)) = self.process.pipe() else {
            return Err(self.fail("Cannot fork").await);
        };
        let spawn = Spawn::new(vec![self.name.clone()])
            .stdin(self.io.0[0].clone())
            .stdout(write)
            .stderr(self.io.0[2].clone())
            .group(Group::Inherit)
            .env(self.environment());
        let child = match self.fork_script(spawn, Rc::clone(script)) {
            Ok(child) => child,
            Err(e) => return Err(self.fail(&format!("Cannot {e}")).await),
        };
        let mut out = Vec::new();
        // More than this is not asked for: the writer then gets SIGPIPE.
        let limit = VALUE_MAX as u64 + 1;
        let _ = (&mut read).take(limit).read_to_end(&mut out).await;
        drop(read);
        self.substituted = Some(child.wait().await);
        if out.len() > VALUE_MAX {
            return Err(self.fail("Out of space").await);
        }
        let mut text = String::from_utf8_lossy(&out).into_owned();
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }
}

/// A future that borrows.
pub(super) type LocalBox<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + 'a>>;

/// A text without what fits the pattern at one of its ends.
fn strip(text: &str, pattern: &[Letter], suffix: bool, longest: bool) -> String {
    let letters: Vec<char> = text.chars().collect();
    let n = letters.len();
    let fits = |cut: usize| {
        let part = if suffix { &letters[n - cut..] } else { &letters[..cut] };
        pattern::matches(pattern, part)
    };
    let cut = if longest { (0..=n).rev().find(|&c| fits(c)) } else { (0..=n).find(|&c| fits(c)) };
    let cut = cut.unwrap_or(0);
    if suffix { letters[..n - cut].iter().collect() } else { letters[cut..].iter().collect() }
}
