//! `sh`: scripts, jobs, redirections; beside dash where that is installed.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "runs the real dash"
)]

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
    "exec 2>&1; nosuch; echo a",
    "exec >f && echo in f; echo too; exec >&2; cat f",
    "{ exec >f; echo in f; } >g; echo out; cat f; cat g",
    "if true; then exec >f; fi; echo in f; cat f >&2",
    "g() { exec 2>f; }; g; nosuch; cat f",
    "f() { local a=1 b; echo \"$a[$b]\"; a=2; b=3; g; }; g() { echo $a; a=7; }; a=0; b=5; f; echo $a $b",
    "f() { local a=1; (local a=2; echo $a); echo $a; unset a; echo \"<$a>\"; }; a=9; f; echo $a",
    "local x; echo not here",
    "f() { local 1x; }; f; echo not here",
    "readonly x=1; readonly -p; x=2; echo not here",
    "readonly x=1; unset x; echo not here",
    "readonly x=1; read x <h; echo not here",
    "if exec >f; then echo in; fi; cat f >&2",
    "for i in 1 2; do [ $i = 1 ] && exec >f; echo loop$i; done; cat f >&2",
    "i=0; while [ $i -lt 2 ]; do i=$((i+1)); [ $i = 1 ] && exec >f; echo w$i; done; cat f >&2",
    "while exec >f; do echo in; break; done; cat f >&2",
    "printf '1\\n2\\n' >h; if exec <h; then read x; echo \"[$x]\"; fi; read x; echo \"[$x]\"",
    "f() { exec >f; return 0; }; if f; then echo m; fi; cat f >&2",
    "{ exec >f; echo a; } 2>g; echo b; cat f >&2",
    "f() { exec >f; echo in; }; f >g; echo back; cat f; cat g",
    "eval 'exec >f' >g; echo back; command exec >f; echo in f; cat f >&2",
    "nosuch 2>e >/none/x; cat e; x=$(nosuch) 2>e; cat e; echo $(nosuch) 2>e; cat e",
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
    "seq 20 | head -n 3; seq 20 | tail -n 2; seq 5 | head -n -2; seq 5 | tail -n +4; seq 3 | head -c 3",
    "seq 5 > f; head -2 f; tail -1 f; head -n 1 f - < f; tail -c 4 f; rm f",
    "printf 'b 2\na 10\nc 1\na 10\n' > f; sort f; sort -r f; sort -u f; sort -k2n f; sort -k2,2nr -k1 f; sort -t' ' -k2 f; rm f",
    "printf 'a\na\nb\na\n' | uniq; printf 'a\na\nb\na\n' | uniq -c; printf 'a\na\nb\n' | uniq -d; printf 'a\na\nb\n' | uniq -u",
    "printf 'one two\nthree\n' | wc; printf 'one two\n' | wc -w; printf 'x' > f; wc f; wc -l f f; rm f",
    "printf 'a:b:c\nd\n' | cut -d: -f2; printf 'a:b:c\nd\n' | cut -d: -f1,3- -s; echo hello | cut -c2-3",
    "printf 'foo\nBar\nbar baz\n' > f; grep bar f; grep -i BAR f; grep -v o f; grep -c a f; grep -n a f; grep -o 'ba.' f; grep -w bar f; grep -x foo f; grep -q x f; echo $?; rm f",
    "printf 'a+b\naab\na1\n' | grep 'a+b'; printf 'aab\n' | grep -E 'a+b'; printf 'a.b\naxb\n' | grep -F a.b; printf 'ab\nabab\n' | grep '\\(ab\\)\\{2\\}'; printf 'x:80 \nx:8080\n' | grep ':80\\b'",
    "seq 9 | grep -A1 -B1 5; seq 9 | grep -C1 -n '[28]'; grep x nofile; echo $?; grep; echo $?",
    "seq 3 | tee f > g; cat f g; echo 4 | tee -a f; wc -l < f; rm f g",
    "cat -n nofile; echo $?; printf 'a\nb\n' | cat -n",
    "mkdir d; mkdir d; echo $?; mkdir a/b; echo $?; mkdir -p a/b; ls a; rmdir a; echo $?; rm d; echo $?; rm -r a d; rm nofile; echo $?; rm -f nofile; echo $?",
    "echo 1 > f; cp f g; mv g h; cat h; cp nofile x; echo $?; cp f; echo $?; mkdir d; cp f h d; ls d; cp d e; echo $?; cp -r d e; ls e; mv f f; echo $?; rm -r f h d e",
    "mkdir t; cd t; touch f; ls; wc -c f; touch no/f; echo $?; rm f; ls nofile; echo $?; cd ..; rmdir t",
    "env -i A=1 env; env nonsense; echo $?; printenv NONE; echo $?",
    "sleep x; echo $?; sleep; echo $?; seq 1 2",
    "test -f nofile || echo no; echo > f; test -f f -a -s f && echo yes; test -d f || echo nodir; rm f",
    "id -u; true | false | true; echo $?",
    "date -u -d @0; date -u -d @1700000000 '+%F %T %j' | cut -c1-19",
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
        // In the C locale the tools' quotes are plain.
        let ours = (Some(said.code), said.out, said.err.replace(['‘', '’'], "'"));
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
    let port = shell.start_argv("pc", vec!["sh".into(), "-c".into(), "while :; do :; done".into()]);
    shell.wait(100);
    shell.world.apply(Input::Signal { port, signal: 2 });
    assert_eq!(shell.finish(port, "a loop without end").code, 130);
    let said = sh("for i in $(seq 1100); do sleep 1 & done 2>&1 | tail -n 1");
    assert_eq!((said.code, said.out.as_str()), (0, "sh: 1: Cannot fork\n"));
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
fn nslookup_prompts_at_a_terminal() {
    let mut t = Terminal::open();
    assert_eq!(t.read().0, "root@pc:/# ");
    assert_eq!(t.line("nslookup", 1), "> ");
    assert_eq!(t.line("set debug", 1), "> ");
    assert_eq!(t.line("exit", 1), "\nroot@pc:/# ");
    // No server was asked: that is a failure.
    assert_eq!(t.line("echo $?", 1), "1\nroot@pc:/# ");
    assert_eq!(t.line("kill -l 99 2>/dev/null; echo $?", 1), "2\nroot@pc:/# ");
    let mut shell = Shell::new(lab(&[]));
    let said = shell.run_with_input("pc", "nslookup", "set debug\nexit\n");
    assert_eq!((said.code, said.out.as_str()), (1, "\n"));
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
