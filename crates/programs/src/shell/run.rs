//! Running commands: POSIX.1-2017 §2.9.

use std::rc::Rc;

use netarium_base::Duration;
use netarium_world::process::{Child, signal};
use tokio::io::AsyncWriteExt;

use super::ast::{AndOr, Command, Join, Pipeline, Script, What, Word};
use super::builtins;
use super::pattern;
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

    /// Runs one command here.
    pub(super) fn command<'a>(&'a mut self, command: &'a Command) -> LocalBox<'a, Flow> {
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

    /// `-x`
    pub(super) async fn trace(&self, argv: &[String]) {
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
