//! `cat` and `ls`.

use std::fmt::Write as _;

use netarium_world::files::{DirEntry, FileError, Metadata};
use netarium_world::process::{LocalBoxFuture, Process, Stdin};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::calendar::Date;
use crate::getopt::{Item, Spec};

/// `cat [FILE]…`; `-` and nothing are standard input.
pub(crate) fn cat(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let names = match args.get(1..) {
            Some(names) if !names.is_empty() => names.to_vec(),
            _ => vec!["-".to_owned()],
        };
        let mut code = 0;
        for name in names {
            let result = if name == "-" {
                copy(&process, process.stdin()).await
            } else {
                show(&process, &name).await
            };
            if let Err(why) = result {
                process.eprint(&format!("cat: {name}: {why}\n")).await;
                code = 1;
            }
        }
        code
    })
}

async fn show(process: &Process, name: &str) -> Result<(), String> {
    let contents = process.read_file(name).map_err(|e| e.to_string())?;
    process.stdout().write_all(&contents).await.map_err(|e| e.to_string())
}

async fn copy(process: &Process, mut from: Stdin) -> Result<(), String>
where
    Stdin: AsyncRead,
{
    let (mut out, mut buffer) = (process.stdout(), vec![0; 16 * 1024]);
    loop {
        let n = from.read(&mut buffer).await.map_err(|e| e.to_string())?;
        if n == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..n]).await.map_err(|e| e.to_string())?;
    }
}

/// `ls [-a] [-l] [-1] [PATH]…`.
pub(crate) fn ls(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let spec = Spec { short: "al1hF", long: &[] };
        let items = match spec.parse(args.get(1..).unwrap_or_default()) {
            Ok(items) => items,
            Err(e) => {
                let hint = "Try 'ls --help' for more information.";
                process.eprint(&format!("ls: {}\n{hint}\n", e.gnu())).await;
                return 2;
            }
        };
        let (mut all, mut long, mut paths) = (false, false, Vec::new());
        for item in items {
            match item {
                Item::Option('a', _) => all = true,
                Item::Option('l', _) => long = true,
                Item::Option(..) => {}
                Item::Operand(path) => paths.push(path),
            }
        }
        if paths.is_empty() {
            paths.push(".".to_owned());
        }
        let several = paths.len() > 1;
        let epoch = process.unix_time().saturating_sub(process.now().as_nanos());
        let mut code = 0;
        for path in paths {
            match entries(&process, &path) {
                Ok(mut entries) => {
                    entries.retain(|e| all || !e.name.starts_with('.'));
                    let title = if several { format!("{path}:\n") } else { String::new() };
                    process.print(&(title + &listing(&entries, long, epoch))).await;
                }
                Err(why) => {
                    process.eprint(&format!("ls: cannot access '{path}': {why}\n")).await;
                    code = 2;
                }
            }
        }
        code
    })
}

fn entries(process: &Process, path: &str) -> Result<Vec<DirEntry>, FileError> {
    let metadata: Metadata = process.metadata(path)?;
    if metadata.is_dir {
        process.list_dir(path)
    } else {
        Ok(vec![DirEntry { name: path.to_owned(), metadata }])
    }
}

/// `epoch`: the lab's start in nanoseconds since 1970.
fn listing(entries: &[DirEntry], long: bool, epoch: u64) -> String {
    let mut out = String::new();
    let width = entries.iter().map(|e| e.metadata.len.to_string().len()).max().unwrap_or(1);
    for e in entries {
        let m = &e.metadata;
        if long {
            let kind = if m.is_dir { "drwxr-xr-x" } else { "-rw-r--r--" };
            let d = Date::from_unix(epoch.saturating_add(m.modified.as_nanos()) / 1_000_000_000);
            let _ = write!(
                out,
                "{kind} 1 root root {:>width$} {} {:>2} {:02}:{:02} ",
                m.len,
                d.month_name(),
                d.day,
                d.hour,
                d.minute
            );
        }
        let _ = writeln!(out, "{}", e.name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::Instant;

    #[test]
    fn long_listings() {
        let file = |name: &str, len, is_dir| DirEntry {
            name: name.into(),
            metadata: Metadata { len, is_dir, modified: Instant::ZERO },
        };
        let entries = [file("a.txt", 6, false), file("big", 204_800, false), file("d", 0, true)];
        insta::assert_snapshot!(listing(&entries, true, 1_795_356_857_000_000_000), @r"
        -rw-r--r-- 1 root root      6 Nov 22 14:14 a.txt
        -rw-r--r-- 1 root root 204800 Nov 22 14:14 big
        drwxr-xr-x 1 root root      0 Nov 22 14:14 d
        ");
        assert_eq!(listing(&entries[..1], false, 0), "a.txt\n");
    }
}
