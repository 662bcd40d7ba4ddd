//! The commands that a page of `docs/` shows are run, and print what the page says.
//!
//! In a block ```` ```console ````, lines that begin with `$ ` are commands of a real shell; what
//! stands below each is its standard output, then its standard error, without blanks at the ends of
//! lines. All commands of a block run in one empty folder.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::command;

/// Set to write what the commands print into the page.
const UPDATE: &str = "UPDATE_PAGES";

/// What a line of a shell prints, where `netarium` is the program of these tests.
fn shell(home: &Path, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_netarium")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([program].into_iter().chain(std::env::split_paths(&path)));
    let out = Command::new("sh")
        .args(["-c", line])
        .current_dir(home)
        .envs(command(home, &[]).get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("PATH", path.unwrap())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&out.stdout) + &text(&out.stderr)
}

/// The page with what its commands print today, and how many commands it has.
fn today(page: &str) -> (String, usize) {
    let (mut now, mut commands) = (String::new(), 0);
    let mut block = None;
    for line in page.lines() {
        match (line, &block) {
            ("```console", None) => block = Some(tempfile::tempdir().unwrap()),
            ("```", Some(_)) => block = None,
            (_, Some(home)) => {
                let Some(typed) = line.strip_prefix("$ ") else { continue };
                let said = shell(home.path(), typed);
                now += &format!("{line}\n");
                for line in said.trim_end().lines() {
                    now += &format!("{}\n", line.trim_end());
                }
                commands += 1;
                continue;
            }
            (_, None) => {}
        }
        now += &format!("{line}\n");
    }
    assert!(block.is_none(), "a block has no end");
    (now, commands)
}

#[test]
fn the_course_shows_what_its_commands_print() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/course.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (now, commands) = today(&page);
    assert!(commands >= 20, "a command for each chapter at least: {commands}");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    let mut command = "";
    for (n, (was, is)) in page.lines().zip(now.lines()).enumerate() {
        command = was.strip_prefix("$ ").unwrap_or(command);
        assert_eq!(was, is, "docs/course.md, line {}, after: {command}\n{UPDATE}=1 updates", n + 1);
    }
    assert_eq!(page.lines().count(), now.lines().count(), "docs/course.md is cut");
}

/// A page that says something else than its commands print is noticed.
#[test]
fn a_wrong_output_is_noticed() {
    let page = "text\n```console\n$ echo one; echo two >&2\none\n$ printf ''\n```\n$ no command\n";
    let (now, commands) = today(page);
    assert_eq!(commands, 2);
    assert_eq!(
        now,
        "text\n```console\n$ echo one; echo two >&2\none\ntwo\n$ printf ''\n```\n$ no command\n"
    );
}
