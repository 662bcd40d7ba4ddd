//! Jobs: pipelines in the background, and those that were stopped.

use std::future::poll_fn;
use std::task::Poll;

use netarium_base::Pid;
use netarium_world::process::{Child, ChildState};

/// A pipeline as one thing.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: usize,
    /// Its process group; without job control, that of the shell.
    pub(super) group: Option<Pid>,
    pub(super) children: Vec<Child>,
    pub(super) text: String,
    /// The user was told that it was stopped.
    pub(super) told: bool,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    Running,
    Stopped,
    /// The exit code of its last process.
    Done(i32),
}

impl Job {
    pub(super) fn state(&self) -> JobState {
        let states: Vec<ChildState> = self.children.iter().map(Child::state).collect();
        if states.contains(&ChildState::Running) {
            JobState::Running
        } else if states.iter().any(|s| matches!(s, ChildState::Stopped(_))) {
            JobState::Stopped
        } else {
            match states.last() {
                Some(&ChildState::Exited(code)) => JobState::Done(code),
                _ => JobState::Done(0),
            }
        }
    }

    /// Waits until it does not run.
    pub(super) async fn settled(&self) -> JobState {
        for child in &self.children {
            child.changed(&[ChildState::Running]).await;
        }
        match self.state() {
            // One was continued meanwhile.
            JobState::Running => Box::pin(self.settled()).await,
            state => state,
        }
    }

    /// A line of `jobs`: `[1]+  Running                 sleep 100 &`.
    pub(super) fn line(&self, mark: char) -> String {
        let state = self.state();
        let end = if state == JobState::Running { " &" } else { "" };
        format!("[{}]{mark}  {:<24}{}{end}\n", self.number, words(state), self.text)
    }
}

/// A job's state in bash's words.
fn words(state: JobState) -> String {
    match state {
        JobState::Running => "Running".to_owned(),
        JobState::Stopped => "Stopped".to_owned(),
        JobState::Done(0) => "Done".to_owned(),
        JobState::Done(code) => match signal_words(code) {
            Some(words) => words.to_owned(),
            None => format!("Exit {code}"),
        },
    }
}

/// What is said about a process that a signal has ended; `None` for other exit codes.
pub(super) fn signal_words(code: i32) -> Option<&'static str> {
    Some(match code - 128 {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        6 => "Aborted",
        9 => "Killed",
        10 => "User defined signal 1",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        _ => return None,
    })
}

/// All jobs of a shell, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Jobs(pub(super) Vec<Job>);

impl Jobs {
    pub(super) fn add(&mut self, group: Option<Pid>, children: Vec<Child>, text: &str) -> usize {
        let number = self.0.iter().map(|j| j.number).max().unwrap_or(0) + 1;
        self.0.push(Job { number, group, children, text: text.to_owned(), told: false });
        number
    }

    pub(super) fn put(&mut self, job: Job) {
        let at = self.0.partition_point(|j| j.number < job.number);
        self.0.insert(at, job);
    }

    /// The current job: the one stopped last, else the newest.
    fn current(&self) -> Option<usize> {
        let stopped = self.0.iter().rposition(|j| j.state() == JobState::Stopped);
        stopped.or(self.0.len().checked_sub(1))
    }

    /// `+` for the current job, `-` for the one before it.
    pub(super) fn mark(&self, at: usize) -> char {
        let current = self.current();
        let before = (0..self.0.len()).rev().find(|&i| Some(i) != current);
        match Some(at) {
            i if i == current => '+',
            i if i == before => '-',
            _ => ' ',
        }
    }

    /// The job that `%1`, `%+`, `%-`, `%name` or nothing means.
    pub(super) fn find(&self, word: Option<&str>) -> Option<usize> {
        let Some(name) = word.map(|w| w.strip_prefix('%').unwrap_or(w)) else {
            return self.current();
        };
        match name {
            "" | "+" | "%" => self.current(),
            "-" => (0..self.0.len()).rev().find(|&i| Some(i) != self.current()),
            _ => match name.parse::<usize>() {
                Ok(number) => self.0.iter().position(|j| j.number == number),
                Err(_) => self.0.iter().rposition(|j| j.text.starts_with(name)),
            },
        }
    }

    /// The lines of `jobs`; forgets those that are done.
    pub(super) fn list(&mut self) -> String {
        let lines = (0..self.0.len()).map(|at| self.0[at].line(self.mark(at))).collect();
        self.0.retain(|j| !matches!(j.state(), JobState::Done(_)));
        lines
    }

    /// What has changed since the last time, as it is told before a prompt.
    pub(super) fn news(&mut self) -> String {
        let mut lines = String::new();
        for at in 0..self.0.len() {
            let mark = self.mark(at);
            let job = &self.0[at];
            let news = match job.state() {
                JobState::Done(_) => true,
                JobState::Stopped => !job.told,
                JobState::Running => false,
            };
            if news {
                lines += &job.line(mark);
                self.0[at].told = true;
            }
        }
        self.0.retain(|j| !matches!(j.state(), JobState::Done(_)));
        lines
    }

    /// Waits for all jobs that run.
    pub(super) async fn all_settled(&self) {
        for job in &self.0 {
            job.settled().await;
        }
    }
}

/// Waits for `future` unless a signal of these comes first.
pub(super) async fn unless<F: Future>(future: F, stop: impl Future) -> Option<F::Output> {
    let (mut future, mut stop) = (std::pin::pin!(future), std::pin::pin!(stop));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => stop.as_mut().poll(cx).map(|_| None),
    })
    .await
}
