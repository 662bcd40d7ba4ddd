//! Commands of the shell itself: those that change it, and some that are programs, too.

use netarium_base::Pid;
use netarium_world::process::{Group, Spawn, signal};
use tokio::io::AsyncWriteExt;

use super::jobs::{self, JobState};
use super::lexer::name_len;
use super::state::{Flow, Shell, Stop};
use crate::tools::{echo, printf, signals, test};

/// Their names, sorted, and what `help` says.
const BUILTINS: &[(&str, &str)] = &[
    (".", ". FILE [ARG…]            run a file's commands in this shell"),
    (":", ":                        do nothing"),
    ("[", "[ EXPRESSION ]           test, see there"),
    ("bg", "bg [%JOB]                let a stopped job go on in the background"),
    ("break", "break [N]                leave a loop"),
    ("cd", "cd [DIR|-]               change the working directory"),
    ("command", "command [-v] NAME…       run or find a command, not a function"),
    ("continue", "continue [N]             begin a loop's next round"),
    ("echo", "echo [-neE] WORD…        print words"),
    ("eval", "eval WORD…               run words as a command"),
    ("exec", "exec [COMMAND…]          run a command instead of this shell"),
    ("exit", "exit [N]                 leave the shell"),
    ("export", "export [-p] [NAME[=VALUE]…]  give variables to programs"),
    ("false", "false                    fail"),
    ("fg", "fg [%JOB]                bring a job to the foreground"),
    ("help", "help                     this list"),
    ("history", "history                  the lines that were typed"),
    ("jobs", "jobs [-l|-p]             list jobs"),
    ("kill", "kill [-SIGNAL] PID|%JOB…  send a signal"),
    ("local", "local NAME[=VALUE]…      variables that end with the function"),
    ("printf", "printf FORMAT [WORD…]    print in a format"),
    ("pwd", "pwd                      print the working directory"),
    ("read", "read [-r] NAME…          read a line into variables"),
    ("readonly", "readonly [-p] [NAME[=VALUE]…]  variables that stay as they are"),
    ("return", "return [N]               leave a function"),
    ("set", "set [-eux] [--] [WORD…]  options and parameters"),
    ("shift", "shift [N]                drop the first parameters"),
    ("source", "source FILE [ARG…]       as ."),
    ("test", "test EXPRESSION          compare, or look at files"),
    ("true", "true                     succeed"),
    ("type", "type NAME…               what a command is"),
    ("unset", "unset [-fv] NAME…        forget variables or functions"),
    ("wait", "wait [PID|%JOB…]         wait for background jobs"),
];

pub(super) fn is_builtin(name: &str) -> bool {
    BUILTINS.binary_search_by(|b| b.0.cmp(name)).is_ok()
}

/// All names, sorted.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BUILTINS.iter().map(|b| b.0)
}

impl Shell {
    /// Runs a builtin; `argv` begins with its name.
    pub(super) async fn builtin(&mut self, argv: Vec<String>) -> Flow {
        let args = &argv[1..];
        match argv[0].as_str() {
            ":" | "true" => Ok(0),
            "false" => Ok(1),
            "." | "source" => Box::pin(self.source(args)).await,
            "break" | "continue" | "exit" | "return" => self.leave(&argv).await,
            "cd" => self.cd(args).await,
            "pwd" => self.say(&format!("{}\n", self.process.cwd())).await,
            "echo" => self.say(&echo::render(args)).await,
            "printf" => match printf::render(args) {
                Ok(text) => self.say(&text).await,
                Err(why) => Ok(self.error(2, &format!("printf: {why}")).await),
            },
            "test" | "[" => match test::run(&argv, &self.process, &self.io.0) {
                Ok(true) => Ok(0),
                Ok(false) => Ok(1),
                Err(why) => Ok(self.error(2, &format!("{}: {why}", argv[0])).await),
            },
            "eval" => {
                let text = args.join(" ");
                self.enter().await?;
                let flow = Box::pin(self.text(&text)).await;
                self.depth -= 1;
                flow
            }
            "command" => Box::pin(self.command_builtin(args)).await,
            "exec" => Box::pin(self.exec(args)).await,
            "export" | "local" | "readonly" => self.declare(&argv[0], args).await,
            "unset" => self.forget(args).await,
            "set" => self.set_options(args).await,
            "shift" => self.shift(args).await,
            "read" => self.read(args).await,
            "type" => self.types(args).await,
            "help" => self.help().await,
            "history" => {
                let lines = self.history.iter().enumerate();
                let text: String = lines.map(|(n, l)| format!("{:>5}  {l}\n", n + 1)).collect();
                self.say(&text).await
            }
            _ => self.job_builtin(&argv).await,
        }
    }

    /// Writes a builtin's output. A reader that is gone has ended this process already.
    async fn say(&self, text: &str) -> Flow {
        match self.io.0[1].clone().write_all(text.as_bytes()).await {
            Ok(()) => Ok(0),
            Err(e) => Ok(self.error(1, &format!("write error: {e}")).await),
        }
    }

    async fn number(&mut self, word: Option<&String>) -> Result<Option<i32>, Stop> {
        match word.map(|w| w.parse::<u16>()) {
            None => Ok(None),
            Some(Ok(n)) => Ok(Some(i32::from(n))),
            Some(Err(_)) => {
                let why = format!("Illegal number: {}", word.map_or("", |w| w));
                Err(self.fail(&why).await)
            }
        }
    }

    async fn leave(&mut self, argv: &[String]) -> Flow {
        let n = self.number(argv.get(1)).await?;
        let times = n.map_or(1, |n| n.max(1) as usize);
        Err(match argv[0].as_str() {
            "break" => Stop::Break(times),
            "continue" => Stop::Continue(times),
            "return" => Stop::Return(n.unwrap_or(self.status)),
            _ => Stop::Exit(n.map_or(self.status, |n| n & 255)),
        })
    }

    async fn cd(&mut self, args: &[String]) -> Flow {
        let to = match args.first().map(String::as_str) {
            None => self.value("HOME").unwrap_or_else(|| "/".to_owned()),
            Some("-") => self.value("OLDPWD").unwrap_or_else(|| self.process.cwd()),
            Some(to) => to.to_owned(),
        };
        let old = self.process.cwd();
        if self.process.set_cwd(&to).is_err() {
            return Ok(self.error(2, &format!("cd: can't cd to {to}")).await);
        }
        let now = self.process.cwd();
        // Paths are short.
        let _ = (self.set("OLDPWD", old), self.set("PWD", now.clone()));
        if args.first().is_some_and(|a| a == "-") {
            return self.say(&format!("{now}\n")).await;
        }
        Ok(0)
    }

    async fn source(&mut self, args: &[String]) -> Flow {
        let Some(name) = args.first() else {
            return Err(self.fail(".: filename argument required").await);
        };
        let Ok(bytes) = self.process.read_file(name) else {
            return Err(self.fail(&format!(".: cannot open {name}: No such file")).await);
        };
        self.enter().await?;
        let lines = (self.lines, self.line);
        let flow = self.text(&String::from_utf8_lossy(&bytes)).await;
        (self.lines, self.line) = lines;
        self.depth -= 1;
        match flow {
            Err(Stop::Return(code)) => Ok(code),
            other => other,
        }
    }

    async fn command_builtin(&mut self, args: &[String]) -> Flow {
        match args.first().map(String::as_str) {
            None => Ok(0),
            Some("-v") => {
                let mut code = 0;
                for name in &args[1..] {
                    match self.kind(name) {
                        Kind::Missing => code = 127,
                        Kind::Program(path) => {
                            self.say(&format!("{path}\n")).await?;
                        }
                        _ => {
                            self.say(&format!("{name}\n")).await?;
                        }
                    }
                }
                Ok(code)
            }
            Some(name) if is_builtin(name) => self.builtin(args.to_vec()).await,
            Some(_) => self.run_program(args).await,
        }
    }

    async fn run_program(&mut self, args: &[String]) -> Flow {
        let [stdin, stdout, stderr] = self.io.0.clone();
        let group = if self.options.interactive { Group::New } else { Group::Inherit };
        let spawn = Spawn::new(args.to_vec()).env(self.environment()).group(group);
        match self.process.spawn_program(spawn.stdin(stdin).stdout(stdout).stderr(stderr)) {
            Ok(child) => {
                let group = self.options.interactive.then(|| child.pid());
                self.foreground(vec![child], group, &args.join(" ")).await
            }
            Err(e) => {
                let why = if e.code() == 127 { "not found".to_owned() } else { e.to_string() };
                Ok(self.error(e.code(), &format!("{}: {why}", args[0])).await)
            }
        }
    }

    async fn exec(&mut self, args: &[String]) -> Flow {
        if args.is_empty() {
            self.redirected = true;
            return Ok(0);
        }
        let flow = self.run_program(args).await;
        Err(Stop::Exit(self.ended(flow)))
    }

    /// `export`, `local` and `readonly`.
    async fn declare(&mut self, how: &str, args: &[String]) -> Flow {
        if how != "local" && (args.is_empty() || args[0] == "-p") {
            return self.say(&self.listing(how)).await;
        }
        for arg in args {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (arg.as_str(), None),
            };
            if name.is_empty() || name_len(name) != name.len() {
                return Err(self.fail(&format!("{how}: {name}: bad variable name")).await);
            }
            if how == "local" && !self.make_local(name) {
                return Err(self.fail("local: not in a function").await);
            }
            if let Some(value) = value
                && let Err(why) = self.set(name, value.to_owned())
            {
                return Err(self.fail(&why).await);
            }
            match how {
                "export" => self.export(name),
                "readonly" => self.freeze(name),
                _ => {}
            }
        }
        Ok(0)
    }

    async fn forget(&mut self, args: &[String]) -> Flow {
        let functions = args.first().is_some_and(|a| a == "-f");
        for name in args.iter().filter(|a| !a.starts_with('-')) {
            if functions {
                self.functions.remove(name);
            } else {
                if let Err(why) = self.unset(name) {
                    return Err(self.fail(&format!("unset: {why}")).await);
                }
            }
        }
        Ok(0)
    }

    async fn set_options(&mut self, args: &[String]) -> Flow {
        if args.is_empty() {
            return self.say(&self.listing("set")).await;
        }
        for (n, arg) in args.iter().enumerate() {
            let on = arg.starts_with('-');
            match arg.as_str() {
                "--" => {
                    self.parameters = args[n + 1..].to_vec();
                    return Ok(0);
                }
                letters if letters.len() > 1 && (on || letters.starts_with('+')) => {
                    for c in letters[1..].chars() {
                        match c {
                            'e' => self.options.errexit = on,
                            'u' => self.options.nounset = on,
                            'x' => self.options.xtrace = on,
                            c => {
                                let why = format!("set: Illegal option {}{c}", &letters[..1]);
                                return Err(self.fail(&why).await);
                            }
                        }
                    }
                }
                _ => {
                    self.parameters = args[n..].to_vec();
                    return Ok(0);
                }
            }
        }
        Ok(0)
    }

    async fn shift(&mut self, args: &[String]) -> Flow {
        let n = self.number(args.first()).await?.unwrap_or(1) as usize;
        if n > self.parameters.len() {
            return Err(self.fail("shift: can't shift that many").await);
        }
        self.parameters.drain(..n);
        Ok(0)
    }

    async fn read(&mut self, args: &[String]) -> Flow {
        let raw = args.first().is_some_and(|a| a == "-r");
        let names = if raw { &args[1..] } else { args };
        if names.is_empty() {
            return Ok(self.error(2, "read: arg count").await);
        }
        let (mut line, mut input) = (Vec::new(), self.io.0[0].clone());
        loop {
            if input.read_line(&mut line).await.unwrap_or(0) == 0 {
                break;
            }
            if raw || !line.ends_with(b"\\\n") {
                break;
            }
            line.truncate(line.len() - 2);
        }
        let complete = line.ends_with(b"\n");
        let text = String::from_utf8_lossy(&line).into_owned();
        let text = if raw { text } else { text.replace('\\', "") };
        let separators = self.value("IFS").unwrap_or_else(|| " \t\n".to_owned());
        let mut rest = text.trim_end_matches('\n');
        for (n, name) in names.iter().enumerate() {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() && separators.contains(c));
            let value = if n + 1 == names.len() {
                rest.trim_end_matches(|c: char| c.is_whitespace() && separators.contains(c))
            } else {
                let end = rest.find(|c| separators.contains(c)).unwrap_or(rest.len());
                let value = &rest[..end];
                rest = rest[end..].strip_prefix(|c| separators.contains(c)).unwrap_or("");
                value
            };
            if let Err(why) = self.set(name, value.to_owned()) {
                return Err(self.fail(&why).await);
            }
        }
        Ok(i32::from(!complete))
    }

    fn kind(&self, name: &str) -> Kind {
        let plain = name.rsplit('/').next().unwrap_or(name);
        if self.functions.contains_key(name) {
            Kind::Function
        } else if is_builtin(name) {
            Kind::Builtin
        } else if name.contains('/') && self.process.metadata(name).is_ok_and(|m| !m.is_dir) {
            Kind::Program(name.to_owned())
        } else if self.process.programs().binary_search(&plain).is_ok() {
            Kind::Program(if name == plain { format!("/usr/bin/{name}") } else { name.to_owned() })
        } else {
            Kind::Missing
        }
    }

    async fn types(&mut self, args: &[String]) -> Flow {
        let mut code = 0;
        for name in args {
            let what = match self.kind(name) {
                Kind::Function => "is a shell function".to_owned(),
                Kind::Builtin => "is a shell builtin".to_owned(),
                Kind::Program(path) => format!("is {path}"),
                Kind::Missing => {
                    code = 127;
                    self.say(&format!("{name}: not found\n")).await?;
                    continue;
                }
            };
            self.say(&format!("{name} {what}\n")).await?;
        }
        Ok(code)
    }

    async fn help(&mut self) -> Flow {
        let mut text = "Commands of this shell:\n".to_owned();
        BUILTINS.iter().for_each(|b| text += &format!("  {}\n", b.1));
        text += "\nPrograms of this host (most answer --help):\n ";
        let mut width = 0;
        for name in self.process.programs() {
            if width + name.len() > 76 {
                text += "\n ";
                width = 0;
            }
            text += &format!(" {name}");
            width += name.len() + 1;
        }
        text += "\n\nWords may be joined: | > >> < 2> 2>&1 && || ; & and if, for, while, case.\n";
        self.say(&text).await
    }

    async fn job_builtin(&mut self, argv: &[String]) -> Flow {
        let args = &argv[1..];
        match argv[0].as_str() {
            "jobs" => {
                let text = match args.first().map(String::as_str) {
                    Some("-p") => self
                        .jobs
                        .0
                        .iter()
                        .filter_map(|j| j.children.first())
                        .map(|c| format!("{}\n", c.pid()))
                        .collect(),
                    _ => self.jobs.list(),
                };
                self.say(&text).await
            }
            "kill" => self.kill(args).await,
            "wait" => self.wait(args).await,
            name => {
                let Some(at) = self.jobs.find(args.first().map(String::as_str)) else {
                    let which = args.first().map_or("current", |a| a);
                    let why = format!("{name}: No such job: {which}");
                    return Ok(self.error(2, &why).await);
                };
                let job = self.jobs.0.remove(at);
                let Some(group) = job.group else {
                    self.jobs.put(job);
                    let why = format!("{name}: job not created under job control");
                    return Ok(self.error(2, &why).await);
                };
                if name == "bg" {
                    self.process.kill_group(group, signal::CONT);
                    let text = format!("[{}]+ {} &\n", job.number, job.text);
                    self.jobs.put(job);
                    return self.say(&text).await;
                }
                self.say(&format!("{}\n", job.text)).await?;
                self.process.set_foreground(group);
                self.process.kill_group(group, signal::CONT);
                self.wait_for(job).await
            }
        }
    }

    async fn kill(&mut self, args: &[String]) -> Flow {
        let request = match signals::parse(args) {
            Ok(signals::Request::List(text)) => return self.say(&text).await,
            Ok(signals::Request::Send(number, whom)) => (number, whom),
            Ok(signals::Request::Unlisted(word)) => {
                let why = format!("kill: invalid signal number or exit status: {word}\n");
                let _ = self.io.0[2].clone().write_all(why.as_bytes()).await;
                return Ok(2);
            }
            Err(why) => {
                let _ = self.io.0[2].clone().write_all(why.as_bytes()).await;
                return Ok(1);
            }
        };
        let mut code = 0;
        for word in request.1 {
            let there = if word.starts_with('%') {
                match self.jobs.find(Some(&word)).map(|at| &self.jobs.0[at]) {
                    Some(job) => {
                        let pids = job.children.iter().map(|c| c.pid());
                        let mut any = false;
                        pids.for_each(|pid| any |= self.process.kill(pid, request.0));
                        // A stopped job could not hear it.
                        let ends = matches!(request.0, signal::TERM | signal::HUP);
                        if let (true, JobState::Stopped, Some(group)) =
                            (ends, job.state(), job.group)
                        {
                            self.process.kill_group(group, signal::CONT);
                        }
                        any
                    }
                    None => {
                        code = self.error(1, &format!("kill: No such job: {word}")).await;
                        continue;
                    }
                }
            } else {
                if word.parse::<i64>().is_err() {
                    return Ok(self.error(2, &format!("kill: Illegal number: {word}")).await);
                }
                signals::send(&self.process, &word, request.0)
            };
            if !there {
                // With an empty line behind it, as dash has it.
                code = self.error(1, "kill: No such process\n").await;
            }
        }
        Ok(code)
    }

    /// `wait`: until jobs have ended, or Ctrl-C.
    async fn wait(&mut self, args: &[String]) -> Flow {
        let interrupted = 128 + i32::from(signal::INT);
        if args.is_empty() {
            let done = if self.options.interactive {
                let stop = self.process.catch(&[signal::INT]);
                jobs::unless(self.jobs.all_settled(), stop).await.is_some()
            } else {
                self.jobs.all_settled().await;
                true
            };
            if !self.options.interactive {
                self.jobs.0.retain(|j| !matches!(j.state(), JobState::Done(_)));
            }
            return Ok(if done { 0 } else { interrupted });
        }
        let mut code = 0;
        for word in args {
            let at = match word.parse::<u32>() {
                Ok(pid) => {
                    let has = |j: &jobs::Job| j.children.iter().any(|c| c.pid() == Pid(pid));
                    self.jobs.0.iter().position(has)
                }
                Err(_) => self.jobs.find(Some(word)),
            };
            let Some(at) = at else {
                if word.starts_with('%') {
                    return Ok(self.error(2, &format!("wait: No such job: {word}")).await);
                }
                code = 127;
                continue;
            };
            let job = &self.jobs.0[at];
            let state = if self.options.interactive {
                jobs::unless(job.settled(), self.process.catch(&[signal::INT])).await
            } else {
                Some(job.settled().await)
            };
            match state {
                None => return Ok(interrupted),
                Some(JobState::Done(ended)) => {
                    code = ended;
                    // At a terminal the next prompt tells of it, and forgets it.
                    if !self.options.interactive {
                        self.jobs.0.remove(at);
                    }
                }
                Some(_) => code = 128 + i32::from(signal::TSTP),
            }
        }
        Ok(code)
    }
}

/// What a command's name means.
enum Kind {
    Function,
    Builtin,
    Program(String),
    Missing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtins_are_sorted() {
        assert!(names().is_sorted());
        assert!(is_builtin("[") && is_builtin("wait") && !is_builtin("ls"));
    }
}
