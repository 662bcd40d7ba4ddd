//! `sh`: scripts, jobs, redirections; beside dash where that is installed.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "runs the real dash")]

mod common;

use std::process::{Command, Stdio};

use common::{Said, Shell, lab};
use netarium_world::{Input, Output, PortId, Stream, World};

/// Runs `sh -c script` on `pc`.
fn sh(script: &str) -> Said {
    Shell::new(lab(&[])).run_argv("pc", vec!["sh".into(), "-c".into(), script.into()])
}

fn check(script: &str, code: i32, out: &str) {
    let said = sh(script);
    assert_eq!((said.code, said.out.as_str()), (code, out), "{script}\n{}", said.err);
}

/// Scripts whose output, messages and exit codes are the real dash's, too.
const SCRIPTS: &[&str] = &[
    "echo a 'b  c' \"d  e\" f\\ g",
    "x=1; y=\"$x 2\"; echo $y \"$y\" '$y' ${y}z ${#y} ${none:-deflt} ${x:+set} ${none+set}",
    "x=a.tar.gz; echo ${x%.*} ${x%%.*} ${x#*.} ${x##*.}",
    "echo $((1 + 2 * 3)) $(( (7 % 4) << 2 )); i=3; i=$((i+1)); echo $i",
    "for i in 1 2 3; do echo $i; done | tail -n 1",
    "i=0; while [ $i -lt 5 ]; do i=$((i+1)); [ $i = 3 ] && continue; [ $i = 5 ] && break; echo $i; done",
    "until false; do echo once; break; done; echo $?",
    "if false; then echo a; elif true; then echo b; else echo c; fi",
    "case abc in x*) echo x;; a?c|y) echo yes;; *) echo no;; esac",
    "f() { echo \"f $1 $#\"; return 3; }; f a b; echo $?",
    "(cd /; x=2; exit 5); echo $? $x",
    "{ echo a; echo b; } | sort -r",
    "echo one > o; echo two >> o; cat < o; wc -l < o; rm o",
    "cat nofile 2> e; echo $?; cat e; rm e",
    "(echo out; echo err >&2) 2>&1 | sort",
    "echo x | cat - nofile 2>/dev/null; echo $?",
    "false || echo or; true && echo and; ! true; echo $?",
    "nonsense; echo $?",
    "./nonsense; echo $?",
    "/; echo $?",
    "exit 300",
    "false",
    "true | false; echo $?; false | true; echo $?",
    "echo $(echo a; echo b) \"$(echo a; echo b)\" `echo c`",
    "set -- a 'b c' d; for x in \"$@\"; do echo \"<$x>\"; done; for x in $*; do echo \"[$x]\"; done; shift 2; echo $1 $#",
    "set -e; true; false; echo not here",
    "set -e; if false; then :; fi; false || true; echo here",
    "set -u; echo ${x}; echo not here",
    "x=5 sh -c 'echo $x'; echo \"<$x>\"; export x=6; sh -c 'echo $x'",
    "echo a#b # c",
    "cat <<END; echo after\nx $((1+1)) \\$y\nEND\n",
    "cat <<'END'\nx $((1+1))\nEND\n",
    "cat <<-A <<B\n\ta\n\tA\nb\nB\n",
    "read a b < /dev/null; echo $?; echo '1 2 3' | { read a b; echo \"$a,$b\"; }",
    "printf '%s-%03d|' a 7 b 8; echo",
    "eval 'echo $((2+2))'",
    "test 1 -lt 2 && [ -n a ] && ! [ a = b ] && echo yes",
    "[ x; echo $?",
    "[ a -eq 1 ]; echo $?",
    "sleep 0 & wait; echo $?",
    "(exit 7) & wait $!; echo $?",
    "sh -c 'kill -TERM $$'; echo $?",
    "sh -c 'kill -9 $$' 2>/dev/null; echo $?",
    "kill -0 99999; echo $?",
    "if true; then echo a",
    "echo 'a",
    "echo a | | b",
    "fi",
    "for 1 in a; do :; done",
    "cat < nofile; echo $?",
    "echo x > nodir/file; echo $?",
    "cd nodir; echo $?",
    "unset x; echo ${x?gone}; echo not here",
    "x=abc; echo \"${x:-`echo d`}\" '${x}'",
    "echo \"a\\\"b\\$c\\\\d\\e\"",
    "a=1; a=$a$a; a=$a$a; echo $a",
    "IFS=:; x=a:b::c; for i in $x; do echo \"<$i>\"; done",
    "echo ab\\\ncd",
    "true;;",
    "type cd nonsense; echo $?",
    "command -v echo; command -v nonsense; echo $?",
    "shift 3",
    "f() { f; }; :",
    "exec echo gone; echo not here",
    "trap_=1; readonly_=2; echo $trap_$readonly_",
    "yes=1; while :; do echo $yes; break; done > f; cat f; rm f",
    "x=$(false); echo $?; x=$(exit 9) true; echo $?",
    "echo $0 $# $?",
    "echo *.none '*' \\*",
    "mkdir g; echo > g/b; echo > g/a; echo > g/.h; echo g/* g/[ab] g/.h* g/?; rm g/a g/b g/.h; rmdir g",
];

#[test]
fn scripts_do_what_dash_does() {
    let dir = std::env::temp_dir().join(format!("netarium-dash-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let is_dash = Command::new("dash").args(["-c", ":"]).status().is_ok_and(|s| s.success());
    if !is_dash {
        eprintln!("skipped: dash is not installed");
        return;
    }
    let mut wrong = Vec::new();
    for script in SCRIPTS {
        let real = Command::new("dash")
            .arg0_sh()
            .args(["-c", script])
            .current_dir(&dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("HOME", "/")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let real = (real.status.code(), text(&real.stdout), text(&real.stderr));
        let said = sh(script);
        let ours = (Some(said.code), said.out, said.err);
        if ours != real {
            wrong.push(format!("{script}\n  dash {real:?}\n  ours {ours:?}"));
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

/// `$0` is `sh`, as ours says.
trait CalledSh {
    fn arg0_sh(&mut self) -> &mut Self;
}

impl CalledSh for Command {
    #[cfg(unix)]
    fn arg0_sh(&mut self) -> &mut Self {
        std::os::unix::process::CommandExt::arg0(self, "sh")
    }

    #[cfg(not(unix))]
    fn arg0_sh(&mut self) -> &mut Self {
        self
    }
}

#[test]
fn loops_take_time_and_nothing_grows_without_end() {
    let said = sh("x=x; while :; do x=$x$x; done");
    assert_eq!((said.code, said.err.as_str()), (2, "sh: 1: Out of space\n"));
    let said = sh("f() { f; }; f");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("Maximum function recursion depth"), "{}", said.err);
    let mut shell = Shell::new(lab(&[]));
    let port = shell.start("pc", "sh␣-c");
    let _ = port;
    let port = shell.start_argv("pc", vec!["sh".into(), "-c".into(), "while :; do :; done".into()]);
    shell.wait(100);
    shell.world.apply(Input::Signal { port, signal: 2 });
    assert_eq!(shell.finish(port, "a loop without end").code, 130);
    let said =
        sh("echo 'sh bomb & sh bomb & wait' > bomb; sh bomb 2>&1 | tail -n 1; ps -e | wc -l");
    assert!(said.code == 0 && said.out.contains("Cannot fork"), "{said:?}");
}

/// A session with `sh -i`, as a terminal has it.
struct Terminal {
    world: World,
    port: PortId,
}

impl Terminal {
    fn open() -> Terminal {
        let (mut world, port) = (lab(&[]), 7);
        world.run_until(netarium_base::Instant::from_nanos(1_000_000));
        let argv = vec!["sh".to_owned(), "-i".to_owned()];
        world.apply(Input::Exec { port, host: "pc".into(), argv, stdin: true, credit: 1 << 24 });
        Terminal { world, port }
    }

    /// What was printed since the last time, without the marks of the prompt; and the exit code.
    fn read(&mut self) -> (String, Option<i32>) {
        let (mut text, mut code) = (String::new(), None);
        while let Some(output) = self.world.poll_output() {
            match output {
                Output::Data { stream: Stream::Stdout | Stream::Stderr, bytes, .. } => {
                    text += std::str::from_utf8(&bytes).unwrap();
                }
                Output::Exit { code: c, .. } => code = Some(c),
                _ => {}
            }
        }
        for mark in [
            "\x1b]133;A\x1b\\",
            "\x1b]133;B\x1b\\",
            "\x1b]7;file://pc/\x1b\\",
            "\x1b]7;file://pc/htdocs\x1b\\",
        ] {
            text = text.replace(mark, "");
        }
        (text, code)
    }

    /// Types a line and lets some milliseconds pass.
    fn line(&mut self, line: &str, ms: u64) -> String {
        let bytes = format!("{line}\n").into_bytes();
        self.world.apply(Input::Data { port: self.port, bytes });
        let until = self.world.now().as_nanos() + ms * 1_000_000;
        self.world.run_until(netarium_base::Instant::from_nanos(until));
        self.read().0
    }

    fn signal(&mut self, signal: u8) -> String {
        self.world.apply(Input::Signal { port: self.port, signal });
        self.read().0
    }
}

#[test]
fn a_terminal_has_prompts_and_jobs() {
    let mut t = Terminal::open();
    assert_eq!(t.read().0, "root@pc:/# ");
    assert_eq!(t.line("echo hi; cd htdocs", 1), "hi\nroot@pc:/htdocs# ");
    assert_eq!(t.line("for i in 1 2", 1), "> ");
    assert_eq!(t.line("do echo $i; done", 1), "1\n2\nroot@pc:/htdocs# ");
    assert_eq!(t.line("cd /; sleep 100", 10), "");
    assert_eq!(t.signal(2), "\nroot@pc:/# ", "Ctrl-C ends it, not the shell");
    assert_eq!(t.line("echo $?", 1), "130\nroot@pc:/# ");
    assert_eq!(t.line("sleep 0.1 &", 1), "[1] 102\nroot@pc:/# ");
    assert_eq!(t.line("jobs", 200), "[1]+  Running                 sleep 0.1 &\nroot@pc:/# ");
    assert_eq!(t.line("", 1), "[1]+  Done                    sleep 0.1\nroot@pc:/# ");
    assert_eq!(t.line("sleep 100 | cat", 10), "");
    assert_eq!(t.signal(20), "\n[1]+  Stopped                 sleep 100 | cat\nroot@pc:/# ");
    assert_eq!(t.line("bg", 1), "[1]+ sleep 100 | cat &\nroot@pc:/# ");
    assert_eq!(t.line("fg %1", 1), "sleep 100 | cat\n");
    assert_eq!(t.signal(2), "\nroot@pc:/# ");
    assert_eq!(t.line("sleep 100 &", 1), "[1] 105\nroot@pc:/# ");
    let killed = t.line("kill %1", 1) + &t.line("", 1);
    assert_eq!(killed, "root@pc:/# [1]+  Terminated              sleep 100\nroot@pc:/# ");
    assert_eq!(t.line("while :; do :; done", 50), "");
    assert_eq!(t.signal(2), "");
    assert_eq!(t.line("", 1), "root@pc:/# root@pc:/# ", "the loop noticed it in its next round");
    assert!(t.line("nonsense", 1).contains("nonsense: not found"));
    assert!(t.line(")", 1).contains("Syntax error: \")\" unexpected"));
    assert!(t.line("history", 1).contains("    1  echo hi; cd htdocs\n"));
    t.world.apply(Input::Eof { port: 7 });
    assert_eq!(t.read().1, Some(0));
}

#[test]
fn input_that_is_no_terminal_is_a_script() {
    let mut shell = Shell::new(lab(&[]));
    let said = shell.run_with_input("pc", "sh", "read x\nvalue\necho got $x; cat\nfor the cat\n");
    assert_eq!((said.code, said.out.as_str()), (0, "got value\nfor the cat\n"));
    let said = shell.run_with_input("pc", "sh", "echo a | wc -l\nexit 4\necho never\n");
    assert_eq!((said.code, said.out.as_str()), (4, "1\n"));
    let said = shell.run_with_input("pc", "sh", "if true; then\n echo multi\nfi");
    assert_eq!((said.code, said.out.as_str()), (0, "multi\n"));
}

#[test]
fn files_with_commands_run() {
    check(
        "echo 'echo \"$0 $1 $#\"; exit 6' > s; sh s a b; echo $?; ./s x; . ./s y",
        6,
        "s a 2\n6\n./s x 1\nsh  0\n",
    );
    check("mkdir d; cd d; pwd; echo $PWD; cd ..; pwd; cd d; cd -", 0, "/d\n/d\n/\n/\n");
}
