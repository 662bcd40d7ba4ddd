//! The command, started from outside.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Runs the command without colours, in directories of its own.
pub(crate) fn netarium(home: &Path, args: &[&str]) -> Output {
    command(home, args).output().unwrap()
}

pub(crate) fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netarium"));
    command
        .args(args)
        .current_dir(home)
        .env("NO_COLOR", "1")
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_RUNTIME_DIR", home)
        .env("TMPDIR", home)
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// A lab that runs until it is dropped.
pub(crate) struct Running {
    home: PathBuf,
    child: Child,
    /// What it said of itself when it was up.
    pub(crate) up: serde_json::Value,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    /// `netarium up` with these arguments, until its doors are open.
    pub(crate) fn start(home: &Path, args: &[&str]) -> Running {
        let args = [&["up", "--json"], args].concat();
        let mut child =
            command(home, &args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("it comes up").unwrap();
        let up: serde_json::Value = serde_json::from_str(&first).unwrap();
        assert_eq!(up["event"], "up", "{first}");
        Running { home: home.to_owned(), child, up, lines }
    }

    /// The address of its first published port.
    pub(crate) fn door(&self) -> String {
        self.up["lab"]["published"][0]["listen"].as_str().unwrap().to_owned()
    }

    /// A command for it; what it says, and its exit code.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String) {
        let out = netarium(&self.home, args);
        let said = [out.stdout, out.stderr].concat();
        (out.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The next thing that it tells of this kind.
    pub(crate) fn tells(&mut self, event: &str) -> serde_json::Value {
        self.lines
            .by_ref()
            .map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap())
            .find(|said| said["event"] == event)
            .unwrap_or_else(|| panic!("it ended without `{event}`"))
    }

    /// Ends it as Ctrl-C does, and waits.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
