//! What a shell waits for, and what it leaves running: POSIX.1-2017 §2.11.

use std::rc::Rc;

use netarium_base::Pid;
use netarium_world::process::{Child, ChildState, signal};

use super::ast::{AndOr, Pipeline};
use super::jobs::{Job, JobState, signal_words};
use super::state::{Flow, Shell, Stop};

impl Shell {
    /// Waits for one child in the foreground.
    pub(super) async fn alone(&mut self, child: Child, text: &str) -> Flow {
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
    pub(super) async fn in_background(&mut self, and_or: &AndOr) -> Flow {
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
}
