//! The processes that a shell starts: programs, subshells, the stages of a pipeline.

use std::rc::Rc;

use netarium_base::Pid;
use netarium_world::process::{Child, Environment, Group, Spawn, StartError};

use super::ast::{Command, Part, Script, What};
use super::builtins;
use super::redirect::Io;
use super::state::{Flow, Shell, Stop};

impl Shell {
    /// Starts all commands of a pipeline. Inside: an exit code when that was not possible.
    pub(super) async fn stages(
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

    pub(super) async fn started(
        &mut self,
        child: Result<Child, StartError>,
    ) -> Result<Option<Child>, Stop> {
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

    pub(super) fn child(&self, argv: Vec<String>) -> Spawn {
        let [stdin, stdout, stderr] = self.io.0.clone();
        Spawn::new(argv).stdin(stdin).stdout(stdout).stderr(stderr).env(self.environment())
    }

    /// Starts a program, or a file with commands. `None`: there is none, and `status` says so.
    pub(super) async fn spawn(
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

    pub(super) fn own_group(&self) -> Group {
        if self.options.interactive { Group::New } else { Group::Inherit }
    }
}
