//! `netarium shell` at a real pseudo-terminal, as a person has it: what stands on the screen after
//! what was typed.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::Running;
use pty_process::blocking::{Command, Pty};

/// Nothing takes this long; a wait that does is a failure with a screen instead of a hang.
const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: NonZero<u16> = NonZero::new(60).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(100).unwrap();

const CTRL_A: &str = "\x01";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_E: &str = "\x05";
const CTRL_L: &str = "\x0c";
const CTRL_R: &str = "\x12";
const CTRL_U: &str = "\x15";
const CTRL_W: &str = "\x17";
const CTRL_Z: &str = "\x1a";
const UP: &str = "\x1b[A";
const LEFT: &str = "\x1b[D";
const TAB: &str = "\t";

/// A terminal with the command in it: a keyboard and a screen.
struct Terminal {
    child: Child,
    pty: Arc<Pty>,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Terminal {
    fn open(home: &Path, args: &[&str]) -> Terminal {
        let (pty, pts) = pty_process::blocking::open().expect("a pseudo-terminal");
        pty.resize(pty_process::Size::new(ROWS.get(), COLUMNS.get())).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_netarium"))
            .args(args)
            .current_dir(home)
            .env("HOME", home)
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_RUNTIME_DIR", home)
            .env("TMPDIR", home)
            .env("TERM", "xterm");
        let child = command.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let output = Arc::clone(&pty);
        let (to, bytes) = channel();
        std::thread::spawn(move || read(&output, |piece| to.send(piece).is_ok()));
        let screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        Terminal { child, pty, bytes, screen }
    }

    fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Types, without Enter.
    fn keys(&mut self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen ends with this, trailing blanks aside.
    fn ends(&mut self, with: &str) {
        let with = with.trim_end().to_owned();
        self.until(&format!("…{with}"), |text| text.trim_end().ends_with(&with));
    }

    /// Types a line, and waits until the editor has let go of the terminal: it holds its newline back
    /// until then.
    fn starts(&mut self, line: &str) {
        self.keys(&format!("{line}\r"));
        let end = Instant::now() + PATIENCE;
        while !(self.text().trim_end().ends_with(line)
            && self.screen.screen().cursor_position().1 == 0)
        {
            self.more(end, line);
        }
    }

    /// Waits until the screen is as it should be.
    fn until(&mut self, what: &str, good: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !good(&self.text()) {
            self.more(end, what);
        }
    }

    fn more(&mut self, end: Instant, what: &str) {
        let left = end.saturating_duration_since(Instant::now());
        match self.bytes.recv_timeout(left) {
            Ok(bytes) => self.screen.process(&bytes),
            Err(e) => panic!("expected {what:?} ({e}):\n{}", self.text()),
        }
    }

    /// Types a line at the prompt of a clear screen; what stands between it and the next prompt.
    fn line(&mut self, line: &str) -> String {
        self.keys(CTRL_L);
        self.until("a clear screen", |text| text.trim_end() == PROMPT);
        self.keys(line);
        self.ends(&format!("{PROMPT} {line}"));
        self.keys("\r");
        let last = format!("\n{PROMPT}");
        self.until("a prompt", |text| text.trim_end().ends_with(&last));
        let text = self.text();
        let (_, said) = text.split_once(line).unwrap();
        said.trim_end().strip_suffix(PROMPT).unwrap().trim_start_matches('\n').to_owned()
    }

    /// What the command ended with, once it has.
    fn end(mut self) -> i32 {
        self.child.wait().unwrap().code().expect("an exit code")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the other end is closed.
fn read(mut output: &Pty, mut give: impl FnMut(Vec<u8>) -> bool) {
    let mut buffer = [0; 4_096];
    while let Ok(n @ 1..) = output.read(&mut buffer) {
        if !give(buffer[..n].to_vec()) {
            return;
        }
    }
}

const PROMPT: &str = "root@client:/#";

/// A shell in the lab `requests`, which lives as long as it does.
fn shell(home: &Path) -> Terminal {
    let mut terminal = Terminal::open(home, &["shell", "--lab", "requests", "client"]);
    terminal.ends(PROMPT);
    terminal
}

#[test]
fn lines_are_edited_and_come_back() {
    let home = tempfile::tempdir().unwrap();
    let mut t = shell(home.path());
    // To the beginning, to the end, two to the left.
    t.keys(&format!("cho acd{CTRL_A}e{CTRL_E}e{LEFT}{LEFT}{LEFT}b"));
    t.ends("# echo abcde");
    t.keys("\r");
    t.ends("abcde\nroot@client:/#");
    // A word back, the line away.
    t.keys(&format!("echo one two{CTRL_W}three"));
    t.ends("# echo one three");
    t.keys(CTRL_U);
    t.ends("abcde\nroot@client:/#");
    t.keys("echo second\r");
    t.ends("second\nroot@client:/#");
    // History: two lines up, and by what they contain.
    t.keys(&format!("{UP}{UP}"));
    t.ends("# echo abcde");
    t.keys(&format!("{CTRL_U}{CTRL_R}sec"));
    t.ends("(reverse-i-search)`sec': echo second");
    t.keys("\r");
    t.ends("second\nroot@client:/#");
    // What is typed ahead of a prompt is the next command.
    t.keys("echo ahead\recho of it\r");
    t.ends("ahead\nroot@client:/# echo of it\nof it\nroot@client:/#");
    // Ctrl-C drops a line; nothing of it runs.
    t.keys("echo never");
    t.ends("echo never");
    t.keys(CTRL_C);
    t.ends("echo never\nroot@client:/#");
    // What Ctrl-C leaves behind is what the shell ends with, as elsewhere.
    t.keys(CTRL_D);
    assert_eq!(t.end(), 130);
}

#[test]
fn tab_completes_programs_files_and_hosts() {
    let home = tempfile::tempdir().unwrap();
    let mut t = shell(home.path());
    for (typed, becomes) in [
        ("nets", "# nets"),
        ("traceroute w", "# traceroute web"),
        ("cat htdo", "# cat htdocs/"),
        ("cat htdocs/files/he", "# cat htdocs/files/hello.txt"),
        ("curl -s http://we", "# curl -s http://web/"),
        ("ls | gre", "# ls | grep"),
    ] {
        t.keys(&format!("{typed}{TAB}"));
        t.ends(becomes);
        t.keys(CTRL_U);
        t.ends(PROMPT);
    }
    // Two are possible: they are listed, and the line stays.
    t.keys(&format!("nets{TAB}{TAB}"));
    t.until("a list", |text| {
        let rows: Vec<&str> = text.lines().map(str::trim_end).collect();
        rows.ends_with(&["netsh    netstat", "root@client:/# nets"])
    });
    t.keys(&format!("{CTRL_U}ls htdocs/files/{TAB}{TAB}"));
    t.until("a list of names without their folder", |text| {
        text.lines().any(|l| l.trim_end() == "hello.txt   index.html")
    });
}

#[test]
fn pipes_redirection_and_exit_codes() {
    let home = tempfile::tempdir().unwrap();
    let mut t = shell(home.path());
    assert_eq!(t.line("curl -s http://web/files/hello.txt | wc -c > n; cat n"), "13\n");
    assert_eq!(t.line("echo more >> n && cat < n | tail -n 1"), "more\n");
    assert_eq!(t.line("curl -s http://web:81/; echo $?"), "7\n");
    assert_eq!(t.line("cat nofile 2> why; echo $?; cat why").lines().count(), 2);
    assert_eq!(t.line("nonsense || echo 127 is $?"), "sh: 5: nonsense: not found\n127 is 127\n");
    // A line that is not whole asks for its rest.
    t.keys("for i in 1 2 3\r");
    t.ends(">");
    t.keys("do echo round $i; done\r");
    t.ends("round 1\nround 2\nround 3\nroot@client:/#");
    t.keys("exit 3\r");
    assert_eq!(t.end(), 3);
}

#[test]
fn ctrl_c_ends_the_program_and_only_that() {
    let home = tempfile::tempdir().unwrap();
    let mut t = shell(home.path());
    t.line("x=kept");
    t.line("sleep 1000 &");
    t.keys("ping web\r");
    t.until("two answers", |text| text.contains("icmp_seq=2"));
    t.keys(CTRL_C);
    t.until("a summary", |text| text.contains(" packet loss") && text.trim_end().ends_with(PROMPT));
    assert!(t.text().contains("^C\n--- web ping statistics ---\n"), "{}", t.text());
    // The shell, its variables and the job in the background are still there.
    let said = t.line("echo $x; jobs");
    assert_eq!(said, "kept\n[1]+  Running                 sleep 1000 &\n");
    // A program that does not listen for signals is ended by it.
    t.keys("echo asleep; sleep 1000\r");
    t.ends("echo asleep; sleep 1000\nasleep");
    t.keys(CTRL_C);
    t.ends("^C\nroot@client:/#");
    assert_eq!(t.line("echo $?"), "130\n");
}

#[test]
fn jobs_are_stopped_continued_and_killed() {
    let home = tempfile::tempdir().unwrap();
    let mut t = shell(home.path());
    t.keys("echo go; ping web > pings\r");
    t.ends("echo go; ping web > pings\ngo");
    t.keys(CTRL_Z);
    t.ends("[1]+  Stopped                 ping web > pings\nroot@client:/#");
    assert_eq!(t.line("bg"), "[1]+ ping web > pings &\n");
    assert_eq!(t.line("jobs"), "[1]+  Running                 ping web > pings &\n");
    t.keys("fg\r");
    t.ends("fg\nping web > pings");
    t.keys(CTRL_Z);
    t.ends("[1]+  Stopped                 ping web > pings\nroot@client:/#");
    // SIGTERM reaches a stopped job: the shell wakes it for that, as bash does.
    assert_eq!(t.line("kill %1; sleep 0.1"), "[1]+  Terminated              ping web > pings\n");
    // A job that speaks while a line is being typed does not spoil it.
    t.keys("(sleep 0.3; echo from behind) &\r");
    t.until("a job", |text| text.contains("\n[1] ") && text.trim_end().ends_with(PROMPT));
    t.keys("echo in front");
    t.until("both", |text| {
        text.contains("from behind\n") && text.trim_end().ends_with("# echo in front")
    });
    t.keys("\r");
    t.until("its output", |text| text.contains("echo in front\nin front\n"));
}

#[test]
fn programs_read_what_is_typed() {
    let home = tempfile::tempdir().unwrap();
    let mut t = shell(home.path());
    t.starts("cat -n");
    t.keys("one\r");
    t.ends("     1\tone".replace('\t', "  ").as_str());
    t.keys(CTRL_D);
    t.ends(PROMPT);
    // A request by hand, as the class does it.
    t.starts("nc -C web 80");
    t.keys("GET /files/hello.txt HTTP/1.0\r\r");
    t.until("the answer", |text| text.contains("HTTP/1.0 200 OK") && text.contains("hello, world"));
    // As the original: the server has closed, but who types has not.
    t.keys(CTRL_C);
    t.ends(PROMPT);
}

/// A shell beside `up`: it comes and goes, and the lab stays.
#[test]
fn a_shell_in_a_running_lab() {
    let home = tempfile::tempdir().unwrap();
    let lab = Running::start(home.path(), &["requests", "--proxy", "off"]);
    let mut t = Terminal::open(home.path(), &["shell", "web"]);
    t.ends("root@web:/#");
    t.keys("echo from the terminal > note\r");
    t.ends("note\nroot@web:/#");
    t.keys(CTRL_D);
    assert_eq!(t.end(), 0);
    assert_eq!(lab.run(&["exec", "web", "cat", "note"]), (0, "from the terminal\n".to_owned()));
    // A host that there is not, with those that there are: as `exec` tells it.
    let mut t = Terminal::open(home.path(), &["shell", "wbe"]);
    t.until("the lab's hosts", |text| {
        text.contains("has no host `wbe`") && text.contains("its hosts are ")
    });
    assert_eq!(t.end(), 2);
    // The lab ends while a shell is open: it says so, and does not hang.
    let mut t = Terminal::open(home.path(), &["shell", "web"]);
    t.ends("root@web:/#");
    lab.stop();
    assert_ne!(t.end(), 0);
    let out = common::netarium(home.path(), &["shell", "nobody", "--lab", "requests", "-c", "ls"]);
    assert_ne!(out.status.code(), Some(0));
}
