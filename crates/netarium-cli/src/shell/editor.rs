//! The line editor: a thread of its own, since reading a line waits for a person.

use std::sync::mpsc;

use netarium_server::client::Client;
use rustyline::completion::{Completer, Pair};
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, ExternalPrinter, Helper};
use serde::Deserialize;
use tokio::sync::mpsc as channel;

use crate::remote::escape;

/// How a line has ended.
#[derive(Debug)]
pub(super) enum Line {
    /// With Enter.
    Text(String),
    /// With Ctrl-C.
    Interrupted,
    /// With Ctrl-D, or because the terminal is gone.
    End,
}

/// A line that is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) prompt: String,
    pub(super) folder: String,
}

/// The editor's end of the conversation.
pub(super) struct Asking {
    pub(super) wanted: mpsc::Sender<Wanted>,
    pub(super) lines: channel::Receiver<Line>,
    /// Prints above the line that is being edited.
    pub(super) printer: Option<Box<dyn ExternalPrinter + Send>>,
}

/// Starts the editor's thread.
pub(super) fn start(client: Client, host: String) -> Result<Asking, String> {
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true);
    let mut editor: Editor<Words, MemHistory> =
        Editor::with_history(config.build(), MemHistory::new()).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    editor.set_helper(Some(Words { client, host, runtime, folder: "/".to_owned() }));
    let printer = editor.create_external_printer().ok();
    let printer = printer.map(|p| Box::new(p) as Box<dyn ExternalPrinter + Send>);
    let (wanted, orders) = mpsc::channel::<Wanted>();
    let (answers, lines) = channel::channel(1);
    std::thread::Builder::new()
        .name("line editor".to_owned())
        .spawn(move || {
            while let Ok(Wanted { prompt, folder }) = orders.recv() {
                if let Some(helper) = editor.helper_mut() {
                    helper.folder = folder;
                }
                let line = match editor.readline(&prompt) {
                    Ok(text) => Line::Text(text),
                    Err(ReadlineError::Interrupted) => Line::Interrupted,
                    Err(_) => Line::End,
                };
                if answers.blocking_send(line).is_err() {
                    return;
                }
            }
        })
        .map_err(|e| e.to_string())?;
    Ok(Asking { wanted, lines, printer })
}

/// Completes words: programs, files and host names, as the lab says.
struct Words {
    client: Client,
    host: String,
    runtime: tokio::runtime::Runtime,
    folder: String,
}

#[derive(Debug, Deserialize)]
struct Completions {
    words: Vec<String>,
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (from, first) = word_before(&line[..at]);
        let path = format!(
            "/api/v1/hosts/{}/complete?folder={}&word={}&command={first}",
            escape(&self.host),
            escape(&self.folder),
            escape(&line[from..at])
        );
        let answer = self.runtime.block_on(self.client.get(&path)).ok();
        let words = answer.and_then(|a| serde_json::from_slice::<Completions>(&a).ok());
        // A lab that does not answer completes nothing.
        Ok((from, words.map_or_else(Vec::new, |w| w.words.into_iter().map(shown).collect())))
    }
}

/// A word as it stands in a list: the last part of a path, without the blank behind.
fn shown(word: String) -> Pair {
    let whole = word.trim_end();
    let folder = whole.trim_end_matches('/').rfind('/').map_or(0, |at| at + 1);
    Pair { display: whole[folder..].to_owned(), replacement: word }
}

/// Where the word before the cursor begins, and whether it is a command's name.
fn word_before(line: &str) -> (usize, bool) {
    let from = line.rfind([' ', '\t', '|', ';', '&', '<', '>', '(', '`']).map_or(0, |at| at + 1);
    let before = line[..from].trim_end();
    let keyword = ["if", "then", "do", "else", "while", "until", "!", "{"];
    let first = before.is_empty()
        || before.ends_with(['|', ';', '&', '(', '`'])
        || before.rsplit([' ', ';']).next().is_some_and(|w| keyword.contains(&w));
    (from, first)
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::word_before;

    #[test]
    fn the_word_before_the_cursor() {
        for (line, from, command) in [
            ("net", 0, true),
            ("ls ht", 3, false),
            ("ls | gr", 5, true),
            ("a; b", 3, true),
            ("cat <in", 5, false),
            ("for i in 1; do ec", 15, true),
            ("", 0, true),
        ] {
            assert_eq!(word_before(line), (from, command), "{line:?}");
        }
    }
}
