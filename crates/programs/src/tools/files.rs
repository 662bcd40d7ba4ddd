//! `cat` and `ls`.

use std::fmt::Write as _;

use netarium_base::Instant;
use netarium_world::files::{DirEntry, Metadata};
use netarium_world::process::{LocalBoxFuture, Process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::input::{Input, names, usage};
use crate::calendar::Date;
use crate::getopt::{Item, Spec, Takes};

/// `cat [-n] [FILE]…`; `-` and nothing are standard input.
pub(crate) fn cat(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let spec = Spec { short: "nu", long: &[("number", Takes::Nothing, 'n')] };
        let items = match spec.parse(args.get(1..).unwrap_or_default()) {
            Ok(items) => items,
            Err(e) => return usage(&process, "cat", &e.gnu(), 1).await,
        };
        let (mut numbers, mut files) = (None, Vec::new());
        for item in items {
            match item {
                Item::Option('n', _) => numbers = Some(1),
                Item::Option(..) => {}
                Item::Operand(name) => files.push(name),
            }
        }
        let mut code = 0;
        for name in names(files) {
            if let Err(why) = show(&process, &name, &mut numbers).await {
                process.eprint(&format!("cat: {name}: {why}\n")).await;
                code = 1;
            }
        }
        code
    })
}

/// Copies a file; `numbers` is the number of its next line, when lines are numbered.
async fn show(process: &Process, name: &str, numbers: &mut Option<u64>) -> Result<(), String> {
    let mut input = Input::open(process, name)?;
    let mut out = process.stdout();
    if let Some(number) = numbers {
        while let Some(line) = input.line().await? {
            let row = [format!("{number:>6}\t").as_bytes(), &line].concat();
            out.write_all(&row).await.map_err(|e| e.to_string())?;
            *number += 1;
        }
        return Ok(());
    }
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = input.fd.read(&mut buffer).await.map_err(|e| e.to_string())?;
        if n == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..n]).await.map_err(|e| e.to_string())?;
    }
}

/// `ls [-aAlh1FdrtSR] [PATH]…`.
pub(crate) fn ls(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let spec = Spec { short: "aAlh1FdrtSRnG", long: &[("all", Takes::Nothing, 'a')] };
        let items = match spec.parse(args.get(1..).unwrap_or_default()) {
            Ok(items) => items,
            Err(e) => {
                let hint = "Try 'ls --help' for more information.";
                process.eprint(&format!("ls: {}\n{hint}\n", e.gnu())).await;
                return 2;
            }
        };
        let (mut letters, mut paths) = (String::new(), Vec::new());
        for item in items {
            match item {
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
        let slash = if letters.contains('F') && m.is_dir { "/" } else { "" };
        let _ = writeln!(out, "{}{slash}", e.name);
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
    }
}
