//! `rm`, `mkdir`, `rmdir`, `cp`, `mv`, `touch`: GNU's messages; files are the host's, in memory.

use netarium_world::files::FileError;
use netarium_world::process::{LocalBoxFuture, Process};

use super::help::{HELP, VERSION, refuse};
use super::input::usage;
use crate::getopt::{Item, Long, Spec, Takes};

const LONG: &[Long] = &[
    ("recursive", Takes::Nothing, 'r'),
    ("force", Takes::Nothing, 'f'),
    ("parents", Takes::Nothing, 'p'),
    ("verbose", Takes::Nothing, 'v'),
    HELP,
    VERSION,
];

/// The letters that were given, and the operands.
async fn read(
    process: &Process,
    name: &str,
    short: &'static str,
) -> Result<(String, Vec<String>), i32> {
    let args = process.args();
    let spec = Spec { short, long: LONG };
    let items = match spec.parse(args.get(1..).unwrap_or_default()) {
        Ok(items) => items,
        Err(e) => return Err(refuse(process, name, &e, 1).await),
    };
    let (mut letters, mut operands) = (String::new(), Vec::new());
    for item in items {
        match item {
            Item::Option(c, _) => letters.push(c),
            Item::Operand(word) => operands.push(word),
        }
    }
    Ok((letters, operands))
}

/// Tries something with each operand; the words of what fails go to standard error.
async fn each(
    process: &Process,
    name: &str,
    operands: &[String],
    verb: impl Fn(&str) -> Result<(), String>,
) -> i32 {
    if operands.is_empty() {
        return usage(process, name, "missing operand", 1).await;
    }
    let mut code = 0;
    for path in operands {
        if let Err(why) = verb(path) {
            process.eprint(&format!("{name}: {why}\n")).await;
            code = 1;
        }
    }
    code
}

/// `rm [-rf] FILE…`
pub(crate) fn rm(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let (letters, operands) = match read(&process, "rm", "rRfiv").await {
            Ok(read) => read,
            Err(code) => return code,
        };
        let force = letters.contains('f');
        if force && operands.is_empty() {
            return 0;
        }
        let recursive = letters.contains(['r', 'R']);
        each(&process, "rm", &operands, |path| match process.remove_file(path) {
            Ok(()) => Ok(()),
            Err(FileError::IsDirectory) if recursive => {
                remove_tree(&process, path).map_err(|e| format!("cannot remove '{path}': {e}"))
            }
            Err(FileError::NotFound) if force => Ok(()),
            Err(e) => Err(format!("cannot remove '{path}': {e}")),
        })
        .await
    })
}

fn remove_tree(process: &Process, path: &str) -> Result<(), FileError> {
    for entry in process.list_dir(path)? {
        let inner = format!("{}/{}", path.trim_end_matches('/'), entry.name);
        if entry.metadata.is_dir {
            remove_tree(process, &inner)?;
        } else {
            process.remove_file(&inner)?;
        }
    }
    process.remove_dir(path)
}

/// Whether the folder that a path is in is there.
fn parent_is_there(process: &Process, path: &str) -> bool {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => process.metadata(parent).is_ok_and(|m| m.is_dir),
        _ => true,
    }
}

/// `mkdir [-p] DIR…`
pub(crate) fn mkdir(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let (letters, operands) = match read(&process, "mkdir", "pv").await {
            Ok(read) => read,
            Err(code) => return code,
        };
        let parents = letters.contains('p');
        each(&process, "mkdir", &operands, |path| {
            let result = if parents || parent_is_there(&process, path) {
                process.make_dir(path)
            } else {
                Err(FileError::NotFound)
            };
            match result {
                Err(FileError::Exists)
                    if parents && process.metadata(path).is_ok_and(|m| m.is_dir) =>
                {
                    Ok(())
                }
                other => other.map_err(|e| format!("cannot create directory ‘{path}’: {e}")),
            }
        })
        .await
    })
}

/// `rmdir DIR…`
pub(crate) fn rmdir(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let (_, operands) = match read(&process, "rmdir", "pv").await {
            Ok(read) => read,
            Err(code) => return code,
        };
        each(&process, "rmdir", &operands, |path| {
            process.remove_dir(path).map_err(|e| format!("failed to remove '{path}': {e}"))
        })
        .await
    })
}

/// `touch FILE…`
pub(crate) fn touch(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let (_, operands) = match read(&process, "touch", "amc").await {
            Ok(read) => read,
            Err(code) => return code,
        };
        if operands.is_empty() {
            return usage(&process, "touch", "missing file operand", 1).await;
        }
        each(&process, "touch", &operands, |path| match process.read_file(path) {
            Err(FileError::IsDirectory) => Ok(()),
            old => {
                let there = parent_is_there(&process, path);
                let contents = old.unwrap_or_default();
                let result = if there {
                    process.write_file(path, contents)
                } else {
                    Err(FileError::NotFound)
                };
                result.map_err(|e| format!("cannot touch '{path}': {e}"))
            }
        })
        .await
    })
}

/// `cp [-r] FROM… TO`
pub(crate) fn cp(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(transfer(process, "cp"))
}

/// `mv FROM… TO`
pub(crate) fn mv(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(transfer(process, "mv"))
}

async fn transfer(process: Process, name: &'static str) -> i32 {
    let (letters, mut operands) = match read(&process, name, "rRafvp").await {
        Ok(read) => read,
        Err(code) => return code,
    };
    let Some(to) = operands.pop() else {
        return usage(&process, name, "missing file operand", 1).await;
    };
    if operands.is_empty() {
        let why = format!("missing destination file operand after '{to}'");
        return usage(&process, name, &why, 1).await;
    }
    let into = process.metadata(&to).is_ok_and(|m| m.is_dir);
    if operands.len() > 1 && !into {
        process.eprint(&format!("{name}: target '{to}': No such file or directory\n")).await;
        return 1;
    }
    let recursive = name == "mv" || letters.contains(['r', 'R', 'a']);
    let mut code = 0;
    for from in operands {
        let base = from.trim_end_matches('/').rsplit('/').next().unwrap_or(&from);
        let target = if into { format!("{}/{base}", to.trim_end_matches('/')) } else { to.clone() };
        if let Err(why) = transfer_one(&process, name, &from, &target, recursive) {
            process.eprint(&format!("{name}: {why}\n")).await;
            code = 1;
        }
    }
    code
}

fn transfer_one(
    process: &Process,
    name: &str,
    from: &str,
    to: &str,
    recursive: bool,
) -> Result<(), String> {
    let stat = |e: FileError| format!("cannot stat '{from}': {e}");
    let metadata = process.metadata(from).map_err(stat)?;
    let (source, target) = (process.absolute(from), process.absolute(to));
    if source == target {
        return Err(format!("'{from}' and '{to}' are the same file"));
    }
    if metadata.is_dir && !recursive {
        return Err(format!("-r not specified; omitting directory '{from}'"));
    }
    let inside = metadata.is_dir
        && target.strip_prefix(source.trim_end_matches('/')).is_some_and(|t| t.starts_with('/'));
    if inside && name == "mv" {
        return Err(format!("cannot move '{from}' to a subdirectory of itself, '{to}'"));
    }
    if !parent_is_there(process, to) {
        let verb = if name == "cp" { "create regular file" } else { "move" };
        return Err(match name {
            "cp" => format!("cannot {verb} '{to}': {}", FileError::NotFound),
            _ => format!("cannot {verb} '{from}' to '{to}': {}", FileError::NotFound),
        });
    }
    let failed = |e: FileError| format!("cannot create regular file '{to}': {e}");
    copy_tree(process, from, to, metadata.is_dir, &target).map_err(failed)?;
    if inside {
        // All but the copy itself has been copied, as with the original.
        return Err(format!("cannot copy a directory, '{from}', into itself, '{to}'"));
    }
    if name == "mv" {
        let gone =
            if metadata.is_dir { remove_tree(process, from) } else { process.remove_file(from) };
        gone.map_err(|e| format!("cannot remove '{from}': {e}"))?;
    }
    Ok(())
}

/// Copies a file or a folder with all in it but the folder `except`, an absolute path.
fn copy_tree(
    process: &Process,
    from: &str,
    to: &str,
    is_dir: bool,
    except: &str,
) -> Result<(), FileError> {
    if !is_dir {
        return process.write_file(to, process.read_file(from)?);
    }
    // What is there before the folder of the copy is made.
    let entries = process.list_dir(from)?;
    match process.make_dir(to) {
        Ok(()) | Err(FileError::Exists) => {}
        Err(e) => return Err(e),
    }
    for entry in entries {
        let inner = |base: &str| format!("{}/{}", base.trim_end_matches('/'), entry.name);
        if process.absolute(&inner(from)) != except {
            copy_tree(process, &inner(from), &inner(to), entry.metadata.is_dir, except)?;
        }
    }
    Ok(())
}
