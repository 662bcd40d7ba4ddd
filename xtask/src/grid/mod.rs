//! The state × event grid of TCP: every state, reached by a short prefix, meets every segment.
//!
//! [`states`] says how a state is reached, [`events`] which segments arrive, [`oracle`] what must
//! follow, out of RFC 9293 §3.10.7 and RFC 5961 alone: nothing here knows the stack's code. The
//! scripts are committed; this chore writes them, or with `--check` compares.

mod events;
mod oracle;
mod states;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;

use crate::repo::Repo;
use events::Segment;
use oracle::{Answer, Reaction};
use states::State;

/// Where the scripts live.
const FOLDER: &str = "tests/scripts/tcp/grid";

/// Writes every script, or with `check` reports those that differ.
pub(crate) fn run(repo: &Repo, check: bool) -> Result<usize, Box<dyn Error>> {
    let mut scripts = BTreeMap::new();
    for state in State::ALL {
        for (name, segment) in events::segments(state) {
            let Some(reaction) = oracle::reaction(state, &segment) else { continue };
            let path = format!("{FOLDER}/{}/{name}.pkt", state.folder());
            scripts.insert(path, script(state, &segment, &reaction));
        }
    }
    let mut findings = 0;
    for path in repo.files_in(FOLDER, ".pkt").filter(|p| !scripts.contains_key(*p)) {
        println!("{path}: not a script of the grid any more (remove it)");
        findings += 1;
    }
    for (path, text) in &scripts {
        let file = repo.root.join(path);
        if std::fs::read_to_string(&file).is_ok_and(|old| old == *text) {
            continue;
        }
        if check {
            println!("{path}: differs from what `cargo xtask grid` writes");
            findings += 1;
        } else {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&file, text)?;
        }
    }
    println!("{} scripts of the grid", scripts.len());
    Ok(findings)
}

fn script(state: State, segment: &Segment, reaction: &Reaction) -> String {
    let mut out = String::new();
    let (name, what) = (state.name(), &segment.what);
    let _ = writeln!(out, "// {}: {what} in {name}: {}.", reaction.section, reaction.why);
    let _ = writeln!(out, "`sysctl -q net.ipv4.tcp_invalid_ratelimit=0`\n");
    out += &state.prefix();
    let _ = writeln!(out, "\n// The connection is in {name}. Now arrives: {what}.");
    let _ = writeln!(out, "+.01 < {segment}");
    match reaction.answer {
        Answer::Nothing => {}
        Answer::Soon(ref text) => {
            let _ = writeln!(out, "+0~+.2 > {text}");
        }
        Answer::Now(ref text) => {
            let _ = writeln!(out, "+0 > {text}");
        }
    }
    let _ = write!(out, "\n// {}\n{}", reaction.after.comment(), reaction.after.probe());
    out
}
