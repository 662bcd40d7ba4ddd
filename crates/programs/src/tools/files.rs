//! `ls`.

use std::fmt::Write as _;

use netarium_base::Instant;
use netarium_world::files::{DirEntry, Metadata};
use netarium_world::process::{LocalBoxFuture, Process};

use super::help::{HELP, VERSION, refuse};
use crate::calendar::Date;
use crate::getopt::{Item, Long, Spec, Takes};

const LONG: &[Long] = &[
    ("all", Takes::Nothing, 'a'),
    ("almost-all", Takes::Nothing, 'A'),
    ("directory", Takes::Nothing, 'd'),
    ("classify", Takes::Nothing, 'F'),
    ("human-readable", Takes::Nothing, 'h'),
    ("reverse", Takes::Nothing, 'r'),
    ("recursive", Takes::Nothing, 'R'),
    HELP,
    VERSION,
];
/// How wide the lines of `-m` are.
const WIDTH: usize = 80;

/// `ls [-aAlh1mFdrtSR] [PATH]…`.
pub(crate) fn ls(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let spec = Spec { short: "aAlh1mFdrtSRnG", long: LONG };
        let items = match spec.parse(args.get(1..).unwrap_or_default()) {
            Ok(items) => items,
            Err(e) => return refuse(&process, "ls", &e, 2).await,
        };
        let (mut letters, mut paths) = (String::new(), Vec::new());
        for item in items {
            match item {
                // Of the layouts the last one counts.
                Item::Option(c @ ('l' | 'm' | '1'), _) => {
                    letters.retain(|l| !matches!(l, 'l' | 'm' | '1') || (c == '1' && l == 'l'));
                    letters.push(c);
                }
                Item::Option(c, _) => letters.push(c),
                Item::Operand(path) => paths.push(path),
            }
        }
        if paths.is_empty() {
            paths.push(".".to_owned());
        }
        let mut view = View {
            epoch: process.unix_time().saturating_sub(process.now().as_nanos()),
            titled: paths.len() > 1 || letters.contains('R'),
            letters,
            process,
            code: 0,
        };
        view.show(paths).await;
        view.code
    })
}

/// What is listed, and how.
struct View {
    process: Process,
    letters: String,
    /// The lab's start in nanoseconds since 1970.
    epoch: u64,
    /// Each folder's name stands above it.
    titled: bool,
    code: i32,
}

impl View {
    fn has(&self, c: char) -> bool {
        self.letters.contains(c)
    }

    /// Files first, then what is in each folder.
    async fn show(&mut self, paths: Vec<String>) {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for path in paths {
            match self.process.metadata(&path) {
                Ok(metadata) if metadata.is_dir && !self.has('d') => folders.push(path),
                Ok(metadata) => files.push(DirEntry { name: path, metadata }),
                Err(why) => {
                    let text = format!("ls: cannot access '{path}': {why}\n");
                    self.process.eprint(&text).await;
                    self.code = 2;
                }
            }
        }
        let mut first = files.is_empty();
        self.sort(&mut files);
        self.process.print(&listing(&files, &self.letters, self.epoch)).await;
        while !folders.is_empty() {
            let folder = folders.remove(0);
            let entries = self.entries(&folder);
            let mut text = if first { String::new() } else { "\n".to_owned() };
            first = false;
            if self.titled {
                text += &format!("{folder}:\n");
            }
            if self.has('l') {
                text += "total 0\n";
            }
            self.process.print(&(text + &listing(&entries, &self.letters, self.epoch))).await;
            if self.has('R') {
                let below = entries
                    .iter()
                    .filter(|e| e.metadata.is_dir && !matches!(e.name.as_str(), "." | ".."));
                let base = folder.trim_end_matches('/');
                let below: Vec<String> = below.map(|e| format!("{base}/{}", e.name)).collect();
                folders.splice(0..0, below);
            }
        }
    }

    fn entries(&self, folder: &str) -> Vec<DirEntry> {
        let mut entries = self.process.list_dir(folder).unwrap_or_default();
        entries.retain(|e| self.has('a') || self.has('A') || !e.name.starts_with('.'));
        self.sort(&mut entries);
        if self.has('a') {
            let dots = [".", ".."].map(|name| {
                let metadata = self.process.metadata(folder).unwrap_or(NOWHERE);
                DirEntry { name: name.to_owned(), metadata }
            });
            entries.splice(0..0, dots);
        }
        entries
    }

    fn sort(&self, entries: &mut [DirEntry]) {
        if self.has('t') {
            entries.sort_by_key(|e| std::cmp::Reverse(e.metadata.modified));
        } else if self.has('S') {
            entries.sort_by_key(|e| std::cmp::Reverse(e.metadata.len));
        }
        if self.has('r') {
            entries.reverse();
        }
    }
}

const NOWHERE: Metadata = Metadata { len: 0, is_dir: true, modified: Instant::ZERO };

/// A size as `-h` writes it: `4.0K`.
fn human(bytes: u64) -> String {
    let units = ["", "K", "M", "G"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    match unit {
        0 => bytes.to_string(),
        // Rounded up, as GNU's does.
        _ if value < 9.95 => format!("{:.1}{}", (value * 10.0).ceil() / 10.0, units[unit]),
        _ => format!("{:.0}{}", value.ceil(), units[unit]),
    }
}

/// `epoch`: the lab's start in nanoseconds since 1970.
fn listing(entries: &[DirEntry], letters: &str, epoch: u64) -> String {
    if letters.contains('m') {
        return commas(entries, letters);
    }
    let mut out = String::new();
    let size = |e: &DirEntry| match letters.contains('h') {
        true => human(e.metadata.len),
        false => e.metadata.len.to_string(),
    };
    let width = entries.iter().map(|e| size(e).len()).max().unwrap_or(1);
    for e in entries {
        let m = &e.metadata;
        if letters.contains('l') {
            let kind = if m.is_dir { "drwxr-xr-x" } else { "-rw-r--r--" };
            let d = Date::from_unix(epoch.saturating_add(m.modified.as_nanos()) / 1_000_000_000);
            let _ = write!(
                out,
                "{kind} 1 root root {:>width$} {} {:>2} {:02}:{:02} ",
                size(e),
                d.month_name(),
                d.day,
                d.hour,
                d.minute
            );
        }
        let _ = writeln!(out, "{}{}", e.name, slash(e, letters));
    }
    out
}

/// What `-F` puts behind a folder's name.
fn slash(entry: &DirEntry, letters: &str) -> &'static str {
    if letters.contains('F') && entry.metadata.is_dir { "/" } else { "" }
}

/// `-m`: names with commas between them, in lines.
fn commas(entries: &[DirEntry], letters: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for (n, e) in entries.iter().enumerate() {
        let name = format!("{}{}", e.name, slash(e, letters));
        let width = name.chars().count();
        if n > 0 {
            // GNU's lines keep room for the comma behind the name.
            let fits = column + width + 2 < WIDTH;
            out += if fits { ", " } else { ",\n" };
            column = if fits { column + 2 } else { 0 };
        }
        out += &name;
        column += width;
    }
    if !entries.is_empty() {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_listings() {
        let file = |name: &str, len, is_dir| DirEntry {
            name: name.into(),
            metadata: Metadata { len, is_dir, modified: Instant::ZERO },
        };
        let entries = [file("a.txt", 6, false), file("big", 204_800, false), file("d", 0, true)];
        insta::assert_snapshot!(listing(&entries, "l", 1_795_356_857_000_000_000), @r"
        -rw-r--r-- 1 root root      6 Nov 22 14:14 a.txt
        -rw-r--r-- 1 root root 204800 Nov 22 14:14 big
        drwxr-xr-x 1 root root      0 Nov 22 14:14 d
        ");
        assert_eq!(listing(&entries[..1], "", 0), "a.txt\n");
        assert_eq!(listing(&entries, "mF", 0), "a.txt, big, d/\n");
        assert_eq!(listing(&[], "m", 0), "");
        let long: Vec<DirEntry> = (10..40).map(|n| file(&format!("f{n}"), 0, false)).collect();
        let lines = listing(&long, "m", 0);
        let widths: Vec<usize> = lines.lines().map(str::len).collect();
        assert_eq!(widths, [79, 68]);
    }
}
