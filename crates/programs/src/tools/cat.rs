//! `cat`.

use netarium_world::process::{LocalBoxFuture, Process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::help::{HELP, VERSION, refuse};
use super::input::{Input, names};
use crate::getopt::{Item, Long, Spec, Takes};

const LONG: &[Long] = &[
    ("show-all", Takes::Nothing, 'A'),
    ("number-nonblank", Takes::Nothing, 'b'),
    ("show-ends", Takes::Nothing, 'E'),
    ("number", Takes::Nothing, 'n'),
    ("squeeze-blank", Takes::Nothing, 's'),
    ("show-tabs", Takes::Nothing, 'T'),
    ("show-nonprinting", Takes::Nothing, 'v'),
    HELP,
    VERSION,
];
const SPEC: Spec = Spec { short: "AbeEnstTuv", long: LONG };

/// How lines are shown, and what of them goes on in the next file.
#[derive(Clone, Debug, Default)]
struct View {
    number: bool,
    /// Lines that have something in them only.
    nonblank: bool,
    ends: bool,
    tabs: bool,
    squeeze: bool,
    visible: bool,
    /// Lines that were numbered.
    lines: u64,
    /// The last line was empty.
    blank: bool,
    /// The last file ended within a line.
    within: bool,
}

impl View {
    fn option(&mut self, letter: char) {
        match letter {
            'A' => (self.visible, self.ends, self.tabs) = (true, true, true),
            'b' => self.nonblank = true,
            'e' => (self.visible, self.ends) = (true, true),
            'E' => self.ends = true,
            'n' => self.number = true,
            's' => self.squeeze = true,
            't' => (self.visible, self.tabs) = (true, true),
            'T' => self.tabs = true,
            'v' => self.visible = true,
            _ => {}
        }
    }

    /// Whether files go out as they are.
    fn is_plain(&self) -> bool {
        !(self.number || self.nonblank || self.ends || self.tabs || self.squeeze || self.visible)
    }

    /// A line as it is shown, with its newline when it has one.
    fn line(&mut self, line: &[u8]) -> Vec<u8> {
        let (text, ended) = match line.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (line, false),
        };
        let goes_on = std::mem::replace(&mut self.within, !ended);
        let empty = text.is_empty() && !goes_on;
        if empty && self.squeeze && self.blank {
            return Vec::new();
        }
        self.blank = empty;
        let mut out = Vec::with_capacity(line.len() + 8);
        let counted = if self.nonblank { !empty } else { self.number };
        if counted && !goes_on {
            self.lines += 1;
            out.extend_from_slice(format!("{:>6}\t", self.lines).as_bytes());
        }
        // With -E alone, the carriage return of a line end is shown, too.
        let (text, carriage) = match text.strip_suffix(b"\r") {
            Some(rest) if ended && self.ends => (rest, true),
            _ => (text, false),
        };
        for &byte in text {
            self.byte(byte, &mut out);
        }
        out.extend_from_slice(if carriage { b"^M" } else { b"" });
        if ended {
            out.extend_from_slice(if self.ends { b"$\n" } else { b"\n" });
        }
        out
    }

    fn byte(&self, byte: u8, out: &mut Vec<u8>) {
        if byte == b'\t' {
            out.extend_from_slice(if self.tabs { b"^I" } else { b"\t" });
            return;
        }
        if !self.visible {
            out.push(byte);
            return;
        }
        if byte >= 128 {
            out.extend_from_slice(b"M-");
        }
        match byte & 0x7f {
            127 => out.extend_from_slice(b"^?"),
            low @ ..32 => out.extend_from_slice(&[b'^', low + 64]),
            other => out.push(other),
        }
    }
}

/// `cat [-AbeEnstTuv] [FILE]…`; `-` and nothing are standard input.
pub(crate) fn cat(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let items = match SPEC.parse(args.get(1..).unwrap_or_default()) {
            Ok(items) => items,
            Err(e) => return refuse(&process, "cat", &e, 1).await,
        };
        let (mut view, mut files) = (View::default(), Vec::new());
        for item in items {
            match item {
                Item::Option(letter, _) => view.option(letter),
                Item::Operand(name) => files.push(name),
            }
        }
        let mut code = 0;
        for name in names(files) {
            if let Err(why) = show(&process, &name, &mut view).await {
                process.eprint(&format!("cat: {name}: {why}\n")).await;
                code = 1;
            }
        }
        code
    })
}

/// Copies a file.
async fn show(process: &Process, name: &str, view: &mut View) -> Result<(), String> {
    let mut input = Input::open(process, name)?;
    let mut out = process.stdout();
    if view.is_plain() {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let n = input.fd.read(&mut buffer).await.map_err(|e| e.to_string())?;
            if n == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..n]).await.map_err(|e| e.to_string())?;
        }
    }
    while let Some(line) = input.line().await? {
        out.write_all(&view.line(&line)).await.map_err(|e| e.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::View;

    fn check(letters: &str, text: &[u8], expect: &str) {
        let mut view = View::default();
        letters.chars().for_each(|c| view.option(c));
        let lines = text.split_inclusive(|b| *b == b'\n').flat_map(|l| view.line(l));
        assert_eq!(String::from_utf8_lossy(&lines.collect::<Vec<u8>>()), expect, "{letters}");
    }

    #[test]
    fn lines_are_shown_as_gnus_cat_shows_them() {
        check("A", b"a\tb\x01\x7f\xff\xc3\xa4\r\n\nend", "a^Ib^A^?M-^?M-CM-$^M$\n$\nend");
        check("E", b"a\tb\r\n\n\r", "a\tb^M$\n$\n\r");
        check("n", b"a\n\nb\n", "     1\ta\n     2\t\n     3\tb\n");
        check("nb", b"a\n\nb\n", "     1\ta\n\n     2\tb\n");
        check("s", b"\n\n\na\n\n\nb\n", "\na\n\nb\n");
        check("T", b"a\tb\x01\n", "a^Ib\x01\n");
    }
}
