//! Running commands: POSIX.1-2017 §2.9.

use std::rc::Rc;

use netarium_base::{Duration, Pid};
use netarium_world::process::{Child, ChildState, Environment, Group, Spawn, StartError, signal};
use tokio::io::AsyncWriteExt;

use super::ast::{AndOr, Command, Join, Part, Pipeline, Script, What, Word};
use super::builtins;
use super::jobs::{Job, JobState, signal_words};
use super::pattern;
use super::redirect::Io;
use super::state::{Flow, Shell, Stop};
use super::words::LocalBox;

/// How deep functions, files and substitutions may call each other.
const DEPTH_MAX: usize = 64;
/// What one round of a loop takes: time must pass where a script goes round without end.
const ROUND: Duration = Duration::from_micros(1);

/// What has come of a simple command.
enum Done {
    /// It has ended, with this exit code.
    Code(i32),
    /// It runs as a program, under this name as a job.
    Started(Child, String),
}

impl Shell {
    /// Runs commands one after the other.
    pub(super) fn script<'a>(&'a mut self, script: &'a Script) -> LocalBox<'a, Flow> {
        Box::pin(async move {
            for and_or in script {
                if self.options.interactive && self.process.take_signal(&[signal::INT]).is_some() {
                    return Err(Stop::Interrupt);
                }
                self.status = if and_or.background {
                    self.in_background(and_or).await?
                } else {
                    self.and_or(and_or).await?
                };
            }
            Ok(self.status)
        })
    }

    async fn and_or(&mut self, and_or: &AndOr) -> Flow {
        let last = and_or.pipelines.len() - 1;
        for (n, (join, pipeline)) in and_or.pipelines.iter().enumerate() {
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
            let status = self.pipeline(pipeline, text).await;
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

    async fn pipeline(&mut self, pipeline: &Pipeline, (text, alone): (&str, bool)) -> Flow {
        if let [command] = pipeline.commands.as_slice() {
            self.typed = alone.then(|| text.to_owned());
            return self.command(command).await;
        }
        let (children, group) = match self.stages(&pipeline.commands).await? {
            Ok(started) => started,
            Err(status) => return Ok(status),
        };
        self.foreground(children, group, text).await
    }

    /// Starts all commands of a pipeline. Inside: an exit code when that was not possible.
    async fn stages(
        &mut self,
        commands: &[Command],
    ) -> Result<Result<(Vec<Child>, Option<Pid>), i32>, Stop> {
        let (mut children, mut group) = (Vec::new(), None);
        let mut input = self.io.0[0].clone();
        for (n, command) in commands.iter().enumerate() {
            let mut own = self.io.clone();
            own.0[0] = input;
            input = self.process.null();
            if n + 1 < commands.len() {
                let Ok((read, write)) = self.process.pipe() else {
                    return Ok(Err(self.error(2, "Pipe call failed").await));
                };
                own.0[1] = write;
                input = read;
            }
            let wanted = match group {
                _ if !self.options.interactive => Group::Inherit,
                None => Group::New,
                Some(leader) => Group::Join(leader),
            };
            if let Some(child) = self.stage(command, own, wanted).await? {
                if self.options.interactive {
                    group = group.or(Some(child.pid()));
                }
                children.push(child);
            } else if n + 1 == commands.len() {
                // Its last command is what a pipeline's exit code comes from.
                drop(input);
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
        io: Io,
        group: Group,
    ) -> Result<Option<Child>, Stop> {
        let outer = std::mem::replace(&mut self.io, io);
        let started = self.stage_here(command, group).await;
        self.io = outer;
        started
    }

    async fn stage_here(&mut self, command: &Command, group: Group) -> Result<Option<Child>, Stop> {
        self.line = command.line;
        if let What::Simple { assigns, words } = &command.what
            && let Some([Part::Text { text, .. }]) = words.first().map(Vec::as_slice)
            && !builtins::is_builtin(text)
            && !self.functions.contains_key(text)
        {
            let argv = self.expand(words).await?;
            if !self.redirect(&command.redirects).await? {
                return Ok(None);
            }
            let mut env = self.environment();
            for (name, word) in assigns {
                let value = self.expand_one(word).await?;
                env.insert(name.clone(), value);
            }
            self.trace(&argv).await;
            return self.spawn(argv, env, group).await;
        }
        let command = Rc::new(command.clone());
        let spawn = self.child(vec![self.name.clone()]).group(group);
        let state = self.subshell();
        let child = self.process.fork(spawn, move |process| {
            Box::pin(async move {
                let mut shell = state;
                (shell.process, shell.io) = (process, Io::of(&process));
                let flow = match &command.what {
                    // This process is the subshell.
                    What::Subshell(script) => match shell.redirect(&command.redirects).await {
                        Ok(true) => shell.script(script).await,
                        Ok(false) => Ok(shell.status),
                        Err(stop) => Err(stop),
                    },
                    _ => shell.command(&command).await,
                };
                shell.ended(flow)
            })
        });
        self.started(child).await
    }

    async fn started(&mut self, child: Result<Child, StartError>) -> Result<Option<Child>, Stop> {
        match child {
            Ok(child) => Ok(Some(child)),
            Err(_) => {
                self.status = self.error(2, "Cannot fork").await;
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
        let state = self.subshell();
        self.process.fork(spawn, move |process| {
            Box::pin(async move {
                let mut shell = state;
                (shell.process, shell.io) = (process, Io::of(&process));
                let flow = shell.script(&script).await;
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

    fn child(&self, argv: Vec<String>) -> Spawn {
        let [stdin, stdout, stderr] = self.io.0.clone();
        Spawn::new(argv).stdin(stdin).stdout(stdout).stderr(stderr).env(self.environment())
    }

    /// Starts a program, or a file with commands. `None`: there is none, and `status` says so.
    async fn spawn(
        &mut self,
        argv: Vec<String>,
        env: Environment,
        group: Group,
    ) -> Result<Option<Child>, Stop> {
        let name = argv.first().cloned().unwrap_or_default();
        let mut argv = argv;
        if name.contains('/') {
            match self.process.metadata(&name) {
                Ok(m) if m.is_dir => {
                    self.status = self.error(126, &format!("{name}: Permission denied")).await;
                    return Ok(None);
                }
                Ok(_) => argv.insert(0, "sh".to_owned()),
                Err(_) => {}
            }
        }
        let spawn = self.child(argv).env(env).group(group);
        match self.process.spawn_program(spawn) {
            Ok(child) => Ok(Some(child)),
            Err(e) => {
                let (code, text) = match e {
                    StartError::NoSuchProgram => (127, format!("{name}: not found")),
                    StartError::TooLong => (126, format!("{name}: {e}")),
                    _ => (2, "Cannot fork".to_owned()),
                };
                self.status = self.error(code, &text).await;
                Ok(None)
            }
        }
    }

    /// Runs one command here.
    fn command<'a>(&'a mut self, command: &'a Command) -> LocalBox<'a, Flow> {
        Box::pin(async move {
            self.line = command.line;
            if let What::Simple { .. } = command.what {
                return self.simple(command).await;
            }
            let outer = self.io.clone();
            let flow = match self.redirect(&command.redirects).await {
                Ok(true) => self.compound(command).await,
                Ok(false) => Ok(self.status),
                Err(stop) => Err(stop),
            };
            self.restore(&command.redirects, &outer);
            flow
        })
    }

    /// Runs what is made of commands.
    fn compound<'a>(&'a mut self, command: &'a Command) -> LocalBox<'a, Flow> {
        Box::pin(async move {
            match &command.what {
                What::Group(script) => self.script(script).await,
                What::Subshell(script) => {
                    let spawn = self.child(vec![self.name.clone()]).group(self.own_group());
                    let child = self.fork_script(spawn, Rc::clone(script));
                    match self.started(child).await? {
                        Some(child) => self.alone(child, "( … )").await,
                        None => Ok(self.status),
                    }
                }
                What::If { arms, otherwise } => self.conditional(arms, otherwise.as_ref()).await,
                What::For { name, words, body } => {
                    let words = match words {
                        Some(words) => self.expand(words).await?,
                        None => self.parameters.clone(),
                    };
                    self.for_each(name, words, body).await
                }
                What::While { until, condition, body } => {
                    self.while_loop(*until, condition, body).await
                }
                What::Case { word, arms } => {
                    let text = self.expand_one(word).await?;
                    let text: Vec<char> = text.chars().collect();
                    for (patterns, body) in arms {
                        for pattern in patterns {
                            let letters = self.letters_of(pattern).await?;
                            if pattern::matches(&letters, &text) {
                                self.status = 0;
                                return self.script(body).await;
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

    async fn conditional(&mut self, arms: &[(Script, Script)], otherwise: Option<&Script>) -> Flow {
        for (condition, body) in arms {
            if self.condition(condition).await? {
                self.status = 0;
                return self.script(body).await;
            }
        }
        self.status = 0;
        match otherwise {
            Some(body) => self.script(body).await,
            None => Ok(0),
        }
    }

    async fn condition(&mut self, script: &Script) -> Result<bool, Stop> {
        self.conditions += 1;
        let flow = self.script(script).await;
        self.conditions -= 1;
        Ok(flow? == 0)
    }

    async fn for_each(&mut self, name: &str, words: Vec<String>, body: &Script) -> Flow {
        let mut status = 0;
        for word in words {
            if let Err(why) = self.set(name, word) {
                return Err(self.fail(&why).await);
            }
            match self.round(body).await? {
                Some(code) => status = code,
                None => break,
            }
        }
        Ok(status)
    }

    async fn while_loop(&mut self, until: bool, condition: &Script, body: &Script) -> Flow {
        let mut status = 0;
        while self.condition(condition).await? != until {
            match self.round(body).await? {
                Some(code) => status = code,
                None => break,
            }
        }
        Ok(status)
    }

    /// One round of a loop. `None`: the loop ends.
    async fn round(&mut self, body: &Script) -> Result<Option<i32>, Stop> {
        self.process.sleep(ROUND).await;
        self.status = 0;
        match self.script(body).await {
            Ok(code) => Ok(Some(code)),
            Err(Stop::Break(1)) => Ok(None),
            Err(Stop::Break(n)) => Err(Stop::Break(n - 1)),
            Err(Stop::Continue(1)) => Ok(Some(0)),
            Err(Stop::Continue(n)) => Err(Stop::Continue(n - 1)),
            Err(stop) => Err(stop),
        }
    }

    async fn simple(&mut self, command: &Command) -> Flow {
        let What::Simple { assigns, words } = &command.what else { return Ok(self.status) };
        self.substituted = None;
        let argv = self.expand(words).await?;
        let outer = self.io.clone();
        let done = match self.redirect(&command.redirects).await {
            Ok(true) => self.run(assigns, argv).await,
            Ok(false) if argv.first().is_some_and(|name| name == "exec") => {
                Err(Stop::Exit(self.status))
            }
            Ok(false) => Ok(Done::Code(self.status)),
            Err(stop) => Err(stop),
        };
        if !std::mem::take(&mut self.redirected) {
            self.restore(&command.redirects, &outer);
        }
        match done? {
            Done::Code(code) => Ok(code),
            Done::Started(child, text) => self.alone(child, &text).await,
        }
    }

    /// Runs a simple command with the streams that it has now.
    async fn run(&mut self, assigns: &[(String, Word)], argv: Vec<String>) -> Result<Done, Stop> {
        let mut values = Vec::new();
        for (name, word) in assigns {
            values.push((name.clone(), self.expand_one(word).await?));
        }
        let Some(name) = argv.first() else {
            for (name, value) in values {
                if let Err(why) = self.set(&name, value) {
                    return Err(self.fail(&why).await);
                }
            }
            return Ok(Done::Code(self.substituted.unwrap_or(0)));
        };
        self.trace(&argv).await;
        if let Some(body) = self.functions.get(name).cloned() {
            self.assign_all(values);
            return self.call(&body, argv).await.map(Done::Code);
        }
        if builtins::is_builtin(name) {
            self.assign_all(values);
            return self.builtin(argv).await.map(Done::Code);
        }
        let mut env = self.environment();
        env.extend(values);
        let text = self.typed.take().unwrap_or_else(|| argv.join(" "));
        Ok(match self.spawn(argv, env, self.own_group()).await? {
            Some(child) => Done::Started(child, text),
            None => Done::Code(self.status),
        })
    }

    fn assign_all(&mut self, values: Vec<(String, String)>) {
        for (name, value) in values {
            // One that does not fit stays as it was.
            let _ = self.set(&name, value);
        }
    }

    /// Calls a function.
    async fn call(&mut self, body: &Command, argv: Vec<String>) -> Flow {
        self.enter().await?;
        let outer = std::mem::replace(&mut self.parameters, argv[1..].to_vec());
        self.begin_locals();
        let flow = self.command(body).await;
        self.end_locals();
        self.parameters = outer;
        self.depth -= 1;
        match flow {
            Err(Stop::Return(code)) => Ok(code),
            other => other,
        }
    }

    /// Goes one step deeper.
    pub(super) async fn enter(&mut self) -> Result<(), Stop> {
        if self.depth >= DEPTH_MAX {
            let why = format!("Maximum function recursion depth ({DEPTH_MAX}) reached");
            return Err(self.fail(&why).await);
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
    async fn in_background(&mut self, and_or: &AndOr) -> Flow {
        let outer = self.io.clone();
        if !self.options.interactive {
            self.io.0[0] = self.process.null();
        }
        let flow = self.in_background_here(and_or).await;
        self.io = outer;
        flow
    }

    async fn in_background_here(&mut self, and_or: &AndOr) -> Flow {
        let (children, group) = match and_or.pipelines.as_slice() {
            [(_, Pipeline { negated: false, commands })] => match self.stages(commands).await? {
                Ok(started) => started,
                Err(status) => return Ok(status),
            },
            _ => {
                let script = vec![AndOr { background: false, ..and_or.clone() }];
                let spawn = self.child(vec![self.name.clone()]).group(self.own_group());
                let child = self.fork_script(spawn, Rc::new(script));
                match self.started(child).await? {
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

    /// `-x`
    async fn trace(&self, argv: &[String]) {
        if self.options.xtrace {
            let _ =
                self.io.0[2].clone().write_all(format!("+ {}\n", argv.join(" ")).as_bytes()).await;
        }
    }

    /// Says what is wrong; gives the exit code back.
    pub(super) async fn error(&self, code: i32, why: &str) -> i32 {
        let text = format!("{}{why}\n", self.prefix());
        // Who cannot be told goes without.
        let _ = self.io.0[2].clone().write_all(text.as_bytes()).await;
        code
    }

    /// Says what is wrong, where that ends the shell; at a terminal only the command.
    pub(super) async fn fail(&mut self, why: &str) -> Stop {
        self.status = self.error(2, why).await;
        if self.options.interactive { Stop::Interrupt } else { Stop::Exit(2) }
    }
}
