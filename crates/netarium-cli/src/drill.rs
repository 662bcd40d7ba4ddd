//! `drill`: packetdrill scripts against this TCP.

use std::path::{Path, PathBuf};

use netarium_drill::{Flag, Outcome, Verdict, junit, run, summary};

use crate::args::Drill;
use crate::exit::{self, Error};
use crate::terminal::Terminal;

/// Folders within folders.
const MAX_DEPTH: u32 = 32;

/// Runs every script, shows what failed and what was skipped, and how many passed.
pub(crate) fn drill(args: &Drill, json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let files = scripts(&args.paths)?;
    if files.is_empty() {
        let hint = Some("scripts are files that end in .pkt".to_owned());
        return Err(Error::Usage("there is no script".to_owned(), hint));
    }
    let flags = flags(args);
    let mut outcomes = Vec::with_capacity(files.len());
    for file in &files {
        let bytes = std::fs::read(file)
            .map_err(|e| Error::Usage(format!("{}: {e}", file.display()), None))?;
        let text = String::from_utf8_lossy(&bytes);
        let outcome = run(&file.display().to_string(), &text, &flags);
        if !json {
            show(&outcome, args.verbose);
        }
        outcomes.push(Outcome { log: Vec::new(), ..outcome });
    }
    if let Some(path) = &args.junit {
        std::fs::write(path, junit(&outcomes))
            .map_err(|e| Error::failed(format!("{}: {e}", path.display())))?;
    }
    if json {
        print_json(&outcomes);
    } else {
        println!("{}", summary(&outcomes));
    }
    let failed = outcomes.iter().any(|o| matches!(o.verdict, Verdict::Failed(_)));
    if failed && !args.verbose && !json {
        terminal.hint("--verbose shows every event and packet");
    }
    Ok(if failed { exit::FAILURE } else { exit::OK })
}

fn flags(args: &Drill) -> Vec<Flag> {
    let flag =
        |name: &str, value: String| Flag { name: name.to_owned(), value: Some(value), line: 0 };
    let mut all: Vec<Flag> = args.define.iter().map(|d| flag("define", d.clone())).collect();
    all.extend(args.tolerance_usecs.map(|n| flag("tolerance_usecs", n.to_string())));
    all.extend(args.mtu.map(|n| flag("mtu", n.to_string())));
    all
}

fn show(outcome: &Outcome, verbose: bool) {
    if verbose {
        for line in &outcome.log {
            println!("           {line}");
        }
    }
    if verbose || outcome.verdict != Verdict::Passed || !outcome.notes.is_empty() {
        print!("{outcome}");
    }
}

fn print_json(outcomes: &[Outcome]) {
    let rows: Vec<serde_json::Value> = outcomes
        .iter()
        .map(|o| {
            let mut row = serde_json::json!({ "script": o.name, "notes": o.notes });
            match &o.verdict {
                Verdict::Passed => row["result"] = "passed".into(),
                Verdict::Skipped(why) => {
                    row["result"] = "skipped".into();
                    row["why"] = why.as_str().into();
                }
                Verdict::Failed(f) => {
                    row["result"] = "failed".into();
                    row["line"] = f.line.into();
                    row["why"] = f.why.as_str().into();
                    row["source"] = f.source.trim().into();
                    row["expected"] = f.expected.as_str().into();
                    row["got"] = f.got.as_str().into();
                    row["also"] = f.also.clone().into();
                }
            }
            row
        })
        .collect();
    println!("{:#}", serde_json::Value::Array(rows));
}

/// The scripts that paths mean: files as they are, folders with all `.pkt` files below them, in
/// the order of their names.
fn scripts(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut all = Vec::new();
    for path in paths {
        let wrong = |e| Error::Usage(format!("{}: {e}", path.display()), None);
        if std::fs::metadata(path).map_err(wrong)?.is_dir() {
            walk(path, 0, &mut all)?;
        } else {
            all.push(path.clone());
        }
    }
    Ok(all)
}

fn walk(folder: &Path, depth: u32, all: &mut Vec<PathBuf>) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::Usage(format!("{}: too deep", folder.display()), None));
    }
    let wrong = |e| Error::Usage(format!("{}: {e}", folder.display()), None);
    let mut entries = std::fs::read_dir(folder)
        .map_err(wrong)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(wrong)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, depth + 1, all)?;
        } else if path.extension().is_some_and(|e| e == "pkt") {
            all.push(path);
        }
    }
    Ok(())
}
