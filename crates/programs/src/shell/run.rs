//! Running commands: POSIX.1-2017 §2.9.

use std::rc::Rc;

use netarium_base::{Duration, Pid};
use netarium_world::files::FileError;
use netarium_world::process::{
    Child, ChildState, Environment, Fd, Group, OpenError, OpenMode, PIPE_MAX, Spawn, StartError,
    signal,
};
use tokio::io::AsyncWriteExt;

use super::ast::{AndOr, Command, Join, Part, Pipeline, Redirect, RedirectKind, Script, What};
use super::builtins;
use super::jobs::{Job, JobState, signal_words};
use super::pattern;
use super::state::{Flow, Io, Shell, Stop};
use super::words::LocalBox;

/// How deep functions, files and substitutions may call each other.
const DEPTH_MAX: usize = 64;
/// What one round of a loop takes: time must pass where a script goes round without end.
const ROUND: Duration = Duration::from_micros(1);

/// The streams of the commands of a list: as given, until one of them is an `exec` that sets others.
struct Streams<'a> {
    given: &'a Io,
    set: Option<Io>,
    execs: u32,
}

impl<'a> Streams<'a> {
    fn of(shell: &Shell, given: &'a Io) -> Streams<'a> {
        Streams { given, set: None, execs: shell.execs }
    }

    fn now(&mut self, shell: &Shell) -> &Io {
        if self.execs != shell.execs {
            self.execs = shell.execs;
            self.set.clone_from(&shell.streams);
        }
        self.set.as_ref().unwrap_or(self.given)
    }
}

impl Shell {
    /// Runs commands one after the other.
    pub(super) fn script<'a>(&'a mut self, script: &'a Script, io: &'a Io) -> LocalBox<'a, Flow> {
        Box::pin(async move {
            let mut streams = Streams::of(self, io);
            for and_or in script {
                let io = streams.now(self);
                if self.options.interactive && self.process.take_signal(&[signal::INT]).is_some() {
                    return Err(Stop::Interrupt);
                }
                self.status = if and_or.background {
                    self.in_background(and_or, io).await?
                } else {
                    self.and_or(and_or, io).await?
                };
            }
            Ok(self.status)
        })
    }

    async fn and_or(&mut self, and_or: &AndOr, io: &Io) -> Flow {
        let last = and_or.pipelines.len() - 1;
        let mut streams = Streams::of(self, io);
        for (n, (join, pipeline)) in and_or.pipelines.iter().enumerate() {
            let io = streams.now(self);
            let wanted = match join {
                Join::Always => true,
                Join::And => self.status == 0,
                Join::Or => self.status != 0,
            };
            if !wanted {
                continue;
            }
            let tested = n < last || pipeline.negated;
            self.conditions += usize::from(tested);
            let text = (and_or.text.as_str(), self.options.interactive && last == 0);
            let status = self.pipeline(pipeline, text, io).await;
            self.conditions -= usize::from(tested);
            self.status = status?;
            if pipeline.negated {
                self.status = i32::from(self.status == 0);
            } else if self.status != 0 && self.options.errexit && self.conditions == 0 && n == last
            {
                return Err(Stop::Exit(self.status));
            }
        }
        Ok(self.status)
    }

    async fn pipeline(
        &mut self,
        pipeline: &Pipeline,
        (text, alone): (&str, bool),
        io: &Io,
    ) -> Flow {
        if let [command] = pipeline.commands.as_slice() {
            self.typed = alone.then(|| text.to_owned());
            return self.command(command, io).await;
        }
        let (children, group) = match self.stages(&pipeline.commands, io).await? {
            Ok(started) => started,
            Err(status) => return Ok(status),
        };
        self.foreground(children, group, text).await
    }

    /// Starts all commands of a pipeline. Inside: an exit code when that was not possible.
    async fn stages(
        &mut self,
        commands: &[Command],
        io: &Io,
    ) -> Result<Result<(Vec<Child>, Option<Pid>), i32>, Stop> {
        let (mut children, mut group) = (Vec::new(), None);
        let mut input = io.0[0].clone();
        for (n, command) in commands.iter().enumerate() {
            let mut own = io.clone();
            own.0[0] = input;
            input = self.process.null();
            if n + 1 < commands.len() {
                let Ok((read, write)) = self.process.pipe() else {
                    return Ok(Err(self.error(io, 2, "Pipe call failed").await));
                };
                own.0[1] = write;
                input = read;
            }
            let wanted = match group {
                _ if !self.options.interactive => Group::Inherit,
                None => Group::New,
                Some(leader) => Group::Join(leader),
            };
            if let Some(child) = self.stage(command, &own, wanted).await? {
                if self.options.interactive {
                    group = group.or(Some(child.pid()));
                }
                children.push(child);
            } else if n + 1 == commands.len() {
                // Its last command is what a pipeline's exit code comes from.
                drop((own, input));
                for child in &children {
                    child.wait().await;
                }
                return Ok(Err(self.status));
            }
        }
        Ok(Ok((children, group)))
    }

    /// Starts one command as a process. `None`: that was not possible, and `status` says why.
    async fn stage(
        &mut self,
        command: &Command,
        io: &Io,
        group: Group,
    ) -> Result<Option<Child>, Stop> {
        self.line = command.line;
        if let What::Simple { assigns, words } = &command.what
            && let Some([Part::Text { text, .. }]) = words.first().map(Vec::as_slice)
            && !builtins::is_builtin(text)
            && !self.functions.contains_key(text)
        {
            let argv = self.expand(words, io).await?;
            let Some(io) = self.redirected(&command.redirects, io).await? else {
                return Ok(None);
            };
            let mut env = self.environment();
            for (name, word) in assigns {
                let value = self.expand_one(word, &io).await?;
                env.insert(name.clone(), value);
            }
            self.trace(&argv, &io).await;
            return self.spawn(argv, env, &io, group).await;
        }
        let command = Rc::new(command.clone());
        let spawn = self.child(vec![self.name.clone()], io).group(group);
        let state = self.subshell(self.process);
        let child = self.process.fork(spawn, move |process| {
            Box::pin(async move {
                let mut shell = state;
                shell.process = process;
                let io = Io::of(&process);
                let flow = match &command.what {
                    // This process is the subshell.
                    What::Subshell(script) => match shell.redirected(&command.redirects, &io).await
                    {
                        Ok(Some(io)) => shell.script(script, &io).await,
                        Ok(None) => Ok(shell.status),
                        Err(stop) => Err(stop),
                    },
                    _ => shell.command(&command, &io).await,
                };
                shell.ended(flow)
            })
        });
        self.started(child, io).await
    }

    async fn started(
        &mut self,
        child: Result<Child, StartError>,
        io: &Io,
    ) -> Result<Option<Child>, Stop> {
        match child {
            Ok(child) => Ok(Some(child)),
            Err(_) => {
                self.status = self.error(io, 2, "Cannot fork").await;
                Ok(None)
            }
        }
    }

    /// A child process that runs a script of this shell.
    pub(super) fn fork_script(
        &self,
        spawn: Spawn,
        script: Rc<Script>,
    ) -> Result<Child, StartError> {
        let state = self.subshell(self.process);
        self.process.fork(spawn, move |process| {
            Box::pin(async move {
                let mut shell = state;
                shell.process = process;
                let io = Io::of(&process);
                let flow = shell.script(&script, &io).await;
                shell.ended(flow)
            })
        })
    }

    /// The exit code of a shell whose commands have ended so.
    pub(super) fn ended(&self, flow: Flow) -> i32 {
        match flow {
            Ok(code) | Err(Stop::Exit(code) | Stop::Return(code)) => code,
            Err(Stop::Break(_) | Stop::Continue(_)) => self.status,
            Err(Stop::Interrupt) => 130,
        }
    }

    fn child(&self, argv: Vec<String>, io: &Io) -> Spawn {
        let [stdin, stdout, stderr] = io.0.clone();
        Spawn::new(argv).stdin(stdin).stdout(stdout).stderr(stderr).env(self.environment())
    }

    /// Starts a program, or a file with commands. `None`: there is none, and `status` says so.
    async fn spawn(
        &mut self,
        argv: Vec<String>,
        env: Environment,
        io: &Io,
        group: Group,
    ) -> Result<Option<Child>, Stop> {
        let name = argv.first().cloned().unwrap_or_default();
        let mut argv = argv;
        if name.contains('/') {
            match self.process.metadata(&name) {
                Ok(m) if m.is_dir => {
                    self.status = self.error(io, 126, &format!("{name}: Permission denied")).await;
                    return Ok(None);
                }
                Ok(_) => argv.insert(0, "sh".to_owned()),
                Err(_) => {}
            }
        }
        let spawn = self.child(argv, io).env(env).group(group);
        match self.process.spawn_program(spawn) {
            Ok(child) => Ok(Some(child)),
            Err(e) => {
                let (code, text) = match e {
                    StartError::NoSuchProgram => (127, format!("{name}: not found")),
                    StartError::TooLong => (126, format!("{name}: {e}")),
                    _ => (2, "Cannot fork".to_owned()),
                };
                self.status = self.error(io, code, &text).await;
                Ok(None)
            }
        }
    }

    /// Runs one command here.
    fn command<'a>(&'a mut self, command: &'a Command, io: &'a Io) -> LocalBox<'a, Flow> {
        Box::pin(async move {
            self.line = command.line;
            if let What::Simple { .. } = command.what {
                return self.simple(command, io).await;
            }
            let Some(inside) = self.redirected(&command.redirects, io).await? else {
                return Ok(self.status);
            };
            let before = (self.streams.clone(), self.execs);
            let flow = self.compound(command, &inside).await;
            if !command.redirects.is_empty() {
                // What `exec` set inside ends with the redirections around it.
                (self.streams, self.execs) = before;
            }
            flow
        })
    }

    /// Runs what is made of commands, with its streams.
    fn compound<'a>(&'a mut self, command: &'a Command, io: &'a Io) -> LocalBox<'a, Flow> {
        Box::pin(async move {
            match &command.what {
                What::Group(script) => self.script(script, io).await,
                What::Subshell(script) => {
                    let spawn = self.child(vec![self.name.clone()], io).group(self.own_group());
                    let child = self.fork_script(spawn, Rc::clone(script));
                    match self.started(child, io).await? {
                        Some(child) => self.alone(child, "( … )").await,
                        None => Ok(self.status),
                    }
                }
                What::If { arms, otherwise } => {
                    self.conditional(arms, otherwise.as_ref(), io).await
                }
                What::For { name, words, body } => {
                    let words = match words {
                        Some(words) => self.expand(words, io).await?,
                        None => self.parameters.clone(),
                    };
                    self.for_each(name, words, body, io).await
                }
                What::While { until, condition, body } => {
                    self.while_loop(*until, condition, body, io).await
                }
                What::Case { word, arms } => {
                    let text = self.expand_one(word, io).await?;
                    let text: Vec<char> = text.chars().collect();
                    for (patterns, body) in arms {
                        for pattern in patterns {
                            let letters = self.letters_of(pattern, io).await?;
                            if pattern::matches(&letters, &text) {
                                self.status = 0;
                                return self.script(body, io).await;
                            }
                        }
                    }
                    Ok(0)
                }
                What::Function { name, body } => {
                    self.define(name, Rc::clone(body));
                    Ok(0)
                }
                What::Simple { .. } => Ok(self.status),
            }
        })
    }

    fn own_group(&self) -> Group {
        if self.options.interactive { Group::New } else { Group::Inherit }
    }

    async fn conditional(
        &mut self,
        arms: &[(Script, Script)],
        otherwise: Option<&Script>,
        io: &Io,
    ) -> Flow {
        for (condition, body) in arms {
            if self.condition(condition, io).await? {
                self.status = 0;
                return self.script(body, io).await;
            }
        }
        self.status = 0;
        match otherwise {
            Some(body) => self.script(body, io).await,
            None => Ok(0),
        }
    }

    async fn condition(&mut self, script: &Script, io: &Io) -> Result<bool, Stop> {
        self.conditions += 1;
        let flow = self.script(script, io).await;
        self.conditions -= 1;
        Ok(flow? == 0)
    }

    async fn for_each(&mut self, name: &str, words: Vec<String>, body: &Script, io: &Io) -> Flow {
        let mut status = 0;
        for word in words {
            if let Err(why) = self.set(name, word) {
                return Err(self.fail(io, &why).await);
            }
            match self.round(body, io).await? {
                Some(code) => status = code,
                None => break,
            }
        }
        Ok(status)
    }

    async fn while_loop(
        &mut self,
        until: bool,
        condition: &Script,
        body: &Script,
        io: &Io,
    ) -> Flow {
        let mut status = 0;
        while self.condition(condition, io).await? != until {
            match self.round(body, io).await? {
                Some(code) => status = code,
                None => break,
            }
        }
        Ok(status)
    }

    /// One round of a loop. `None`: the loop ends.
    async fn round(&mut self, body: &Script, io: &Io) -> Result<Option<i32>, Stop> {
        self.process.sleep(ROUND).await;
        self.status = 0;
        match self.script(body, io).await {
            Ok(code) => Ok(Some(code)),
            Err(Stop::Break(1)) => Ok(None),
            Err(Stop::Break(n)) => Err(Stop::Break(n - 1)),
            Err(Stop::Continue(1)) => Ok(Some(0)),
            Err(Stop::Continue(n)) => Err(Stop::Continue(n - 1)),
            Err(stop) => Err(stop),
        }
    }

    async fn simple(&mut self, command: &Command, io: &Io) -> Flow {
        let What::Simple { assigns, words } = &command.what else { return Ok(self.status) };
        self.substituted = None;
        let argv = self.expand(words, io).await?;
        let Some(own) = self.redirected(&command.redirects, io).await? else {
            let special = argv.first().is_some_and(|name| name == "exec");
            return if special { Err(Stop::Exit(self.status)) } else { Ok(self.status) };
        };
        let mut values = Vec::new();
        for (name, word) in assigns {
            values.push((name.clone(), self.expand_one(word, io).await?));
        }
        let Some(name) = argv.first() else {
            for (name, value) in values {
                if let Err(why) = self.set(&name, value) {
                    return Err(self.fail(io, &why).await);
                }
            }
            return Ok(self.substituted.unwrap_or(0));
        };
        self.trace(&argv, &own).await;
        if let Some(body) = self.functions.get(name).cloned() {
            self.assign_all(values);
            return self.call(&body, argv, &own).await;
        }
        if builtins::is_builtin(name) {
            self.assign_all(values);
            return self.builtin(argv, &own).await;
        }
        let mut env = self.environment();
        env.extend(values);
        let text = self.typed.take().unwrap_or_else(|| argv.join(" "));
        match self.spawn(argv, env, &own, self.own_group()).await? {
            Some(child) => {
                drop(own);
                self.alone(child, &text).await
            }
            None => Ok(self.status),
        }
    }

    fn assign_all(&mut self, values: Vec<(String, String)>) {
        for (name, value) in values {
            // One that does not fit stays as it was.
            let _ = self.set(&name, value);
        }
    }

    /// Calls a function.
    async fn call(&mut self, body: &Command, argv: Vec<String>, io: &Io) -> Flow {
        self.enter(io).await?;
        let outer = std::mem::replace(&mut self.parameters, argv[1..].to_vec());
        let flow = self.command(body, io).await;
        self.parameters = outer;
        self.depth -= 1;
        match flow {
            Err(Stop::Return(code)) => Ok(code),
            other => other,
        }
    }

    /// Goes one step deeper.
    pub(super) async fn enter(&mut self, io: &Io) -> Result<(), Stop> {
        if self.depth >= DEPTH_MAX {
            let why = format!("Maximum function recursion depth ({DEPTH_MAX}) reached");
            return Err(self.fail(io, &why).await);
        }
        self.depth += 1;
        Ok(())
    }

    /// Waits for one child in the foreground.
    async fn alone(&mut self, child: Child, text: &str) -> Flow {
        let group = self.options.interactive.then(|| child.pid());
        self.foreground(vec![child], group, text).await
    }

    /// Waits for a pipeline in the foreground.
    pub(super) async fn foreground(
        &mut self,
        children: Vec<Child>,
        group: Option<Pid>,
        text: &str,
    ) -> Flow {
        let job = Job { number: 0, group, children, text: text.to_owned(), told: false };
        self.wait_for(job).await
    }

    /// Waits for a job that has the terminal; one that is stopped joins the others.
    pub(super) async fn wait_for(&mut self, mut job: Job) -> Flow {
        if let Some(group) = job.group {
            self.process.set_foreground(group);
        }
        let state = if self.options.interactive {
            job.settled().await
        } else {
            for child in &job.children {
                child.wait().await;
            }
            job.state()
        };
        if self.options.interactive {
            self.process.set_foreground(self.process.group());
        }
        match state {
            JobState::Done(code) => {
                self.tell_end(code).await;
                if self.options.interactive && code == 128 + i32::from(signal::INT) {
                    self.status = code;
                    return Err(Stop::Interrupt);
                }
                Ok(code)
            }
            JobState::Stopped | JobState::Running => {
                let stopped = job.children.iter().find_map(|c| match c.state() {
                    ChildState::Stopped(n) => Some(n),
                    _ => None,
                });
                job.told = true;
                if job.number == 0 {
                    let number = self.jobs.add(job.group, job.children, &job.text);
                    job = match self.jobs.0.iter().position(|j| j.number == number) {
                        Some(at) => self.jobs.0.remove(at),
                        None => return Ok(0),
                    };
                    job.told = true;
                }
                let line = job.line('+');
                self.jobs.put(job);
                self.process.eprint(&format!("\n{line}")).await;
                Ok(128 + i32::from(stopped.unwrap_or(signal::TSTP)))
            }
        }
    }

    /// Says by which signal a command has ended, as shells do.
    async fn tell_end(&self, code: i32) {
        let quiet = [signal::INT, signal::PIPE].map(|n| 128 + i32::from(n));
        if let Some(words) = signal_words(code).filter(|_| !quiet.contains(&code)) {
            self.process.eprint(&format!("{words}\n")).await;
        } else if self.options.interactive && code == quiet[0] {
            self.process.eprint("\n").await;
        }
    }

    /// `command &`
    async fn in_background(&mut self, and_or: &AndOr, io: &Io) -> Flow {
        let mut own = io.clone();
        if !self.options.interactive {
            own.0[0] = self.process.null();
        }
        let (children, group) = match and_or.pipelines.as_slice() {
            [(_, Pipeline { negated: false, commands })] => {
                match self.stages(commands, &own).await? {
                    Ok(started) => started,
                    Err(status) => return Ok(status),
                }
            }
            _ => {
                let script = vec![AndOr { background: false, ..and_or.clone() }];
                let spawn = self.child(vec![self.name.clone()], &own).group(self.own_group());
                let child = self.fork_script(spawn, Rc::new(script));
                match self.started(child, io).await? {
                    Some(child) => {
                        let group = self.options.interactive.then(|| child.pid());
                        (vec![child], group)
                    }
                    None => return Ok(self.status),
                }
            }
        };
        let last = children.last().map(Child::pid);
        self.background = last.or(self.background);
        let number = self.jobs.add(group, children, &and_or.text);
        if let Some(pid) = last.filter(|_| self.options.interactive) {
            self.process.eprint(&format!("[{number}] {pid}\n")).await;
        }
        Ok(0)
    }

    /// The streams of a command. `None`: a file could not be opened, and `status` says so.
    async fn redirected(&mut self, redirects: &[Redirect], io: &Io) -> Result<Option<Io>, Stop> {
        let mut own = io.clone();
        for r in redirects {
            let target = self.expand_one(&r.target, io).await?;
            if r.fd > 2 {
                self.status = self.error(io, 2, &format!("{}: bad file number", r.fd)).await;
                return Ok(None);
            }
            let opened = match r.kind {
                RedirectKind::Duplicate => match target.as_str() {
                    "-" => Ok(self.process.null()),
                    "0" | "1" | "2" => Ok(own.0[usize::from(target.as_bytes()[0] - b'0')].clone()),
                    _ => Err(format!("{target}: bad fd number")),
                },
                RedirectKind::Here => self.here(&target).await,
                RedirectKind::Read => self.opened(&target, OpenMode::Read),
                RedirectKind::Write => self.opened(&target, OpenMode::Truncate),
                RedirectKind::Append => self.opened(&target, OpenMode::Append),
            };
            match opened {
                Ok(fd) => own.0[r.fd] = fd,
                Err(why) => {
                    self.status = self.error(io, 2, &why).await;
                    return Ok(None);
                }
            }
        }
        Ok(Some(own))
    }

    fn opened(&self, path: &str, mode: OpenMode) -> Result<Fd, String> {
        let (verb, missing) = match mode {
            OpenMode::Read => ("open", "No such file"),
            _ => ("create", "Directory nonexistent"),
        };
        let folder = path.rsplit_once('/').map(|(folder, _)| folder).filter(|f| !f.is_empty());
        let there = folder.is_none_or(|f| self.process.metadata(f).is_ok_and(|m| m.is_dir));
        let opened = if there || path == "/dev/null" {
            self.process.open(path, mode)
        } else {
            Err(OpenError::File(FileError::NotFound))
        };
        opened.map_err(|e| match e {
            OpenError::File(FileError::NotFound | FileError::NotDirectory) => {
                format!("cannot {verb} {path}: {missing}")
            }
            e => format!("cannot {verb} {path}: {e}"),
        })
    }

    /// A descriptor that gives a text, which a pipe must hold: nobody reads it yet.
    async fn here(&self, text: &str) -> Result<Fd, String> {
        if text.len() > PIPE_MAX {
            return Err(format!("here document of more than {PIPE_MAX} bytes"));
        }
        let (read, mut write) = self.process.pipe().map_err(|e| e.to_string())?;
        write.write_all(text.as_bytes()).await.map_err(|e| e.to_string())?;
        Ok(read)
    }

    /// `-x`
    async fn trace(&self, argv: &[String], io: &Io) {
        if self.options.xtrace {
            let _ = io.0[2].clone().write_all(format!("+ {}\n", argv.join(" ")).as_bytes()).await;
        }
    }

    /// Says what is wrong; gives the exit code back.
    pub(super) async fn error(&self, io: &Io, code: i32, why: &str) -> i32 {
        let text = format!("{}{why}\n", self.prefix());
        // Who cannot be told goes without.
        let _ = io.0[2].clone().write_all(text.as_bytes()).await;
        code
    }

    /// Says what is wrong, where that ends the shell; at a terminal only the command.
    pub(super) async fn fail(&mut self, io: &Io, why: &str) -> Stop {
        self.status = self.error(io, 2, why).await;
        if self.options.interactive { Stop::Interrupt } else { Stop::Exit(2) }
    }
}
