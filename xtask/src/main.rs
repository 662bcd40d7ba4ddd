//! Project chores, run as `cargo xtask CHORE`.
//!
//! In reading order:
//!
//! 1. [`repo`]: the files of the project and the findings reported about them;
//! 2. [`source`]: a Rust file as the rules see it: names used, attributes, functions, test code;
//! 3. [`tidy`]: the house rules that neither rustc nor clippy checks;
//! 4. [`licences`]: every dependency's licence against the allow list;
//! 5. [`states`]: the diagram of TCP's states, from the table in the source;
//! 6. [`determinism`]: each built-in lab twice, in two processes, compared byte by byte;
//! 7. [`grid`]: the scripts in which every TCP state meets every segment;
//! 8. [`portable`]: whether it compiles for Windows, macOS and, below `server`, WebAssembly.

mod determinism;
mod grid;
mod licences;
mod portable;
mod repo;
mod source;
mod states;
mod tidy;

use std::process::ExitCode;

use repo::Repo;

const USAGE: &str = "\
usage: cargo xtask CHORE

  tidy [--fix]   check the house rules; --fix rewrites the clippy.toml copies and the ratchet
  licences       check the licence of every dependency against the allow list
  states [--check]  draw docs/tcp-states.md from the table of transitions, or compare
  determinism    run each built-in lab twice and compare captures and traces byte by byte
  grid [--check] write the state × event scripts of TCP; --check reports those that differ
  portable       compile for Windows, macOS and WebAssembly, as far as rustup has their targets

exit code: 0 nothing found, 1 findings, 2 the chore itself could not run";

/// What a chore ends with: how many findings it printed, or why it could not run.
type Outcome = Result<usize, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["tidy"] => Repo::open().and_then(|repo| tidy::run(&repo, false)),
        ["tidy", "--fix"] => Repo::open().and_then(|repo| tidy::run(&repo, true)),
        ["licences"] => Repo::open().and_then(|repo| licences::run(&repo)),
        ["states"] => Repo::open().and_then(|repo| states::run(&repo, false)),
        ["states", "--check"] => Repo::open().and_then(|repo| states::run(&repo, true)),
        ["determinism"] => Repo::open().and_then(|repo| determinism::run(&repo)),
        ["grid"] => Repo::open().and_then(|repo| grid::run(&repo, false)),
        ["grid", "--check"] => Repo::open().and_then(|repo| grid::run(&repo, true)),
        ["portable"] => Repo::open().and_then(|repo| portable::run(&repo)),
        ["--help" | "-h" | "help"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}
