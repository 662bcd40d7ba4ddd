//! What a shell knows: variables, parameters, functions, options.

use std::collections::BTreeMap;
use std::rc::Rc;

use netarium_base::Pid;
use netarium_world::process::{Environment, Process};

use super::ast::Command;
use super::jobs::Jobs;
use super::redirect::Io;
use super::sum::Variables;

/// The longest value of a variable, and the longest output of `$(…)`, bytes.
pub(super) const VALUE_MAX: usize = 1 << 20;
/// How many variables and functions a shell has at most.
const NAMES_MAX: usize = 10_000;
/// How many lines `history` remembers.
const HISTORY_MAX: usize = 500;

/// Why commands do not go on with the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// `exit`, or an error that ends a shell.
    Exit(i32),
    /// `break` out of so many loops.
    Break(usize),
    /// `continue` with the so-manieth loop.
    Continue(usize),
    /// `return` from a function.
    Return(i32),
    /// Ctrl-C at a terminal: back to the prompt.
    Interrupt,
}

/// An exit code, or why there is none.
pub(super) type Flow = Result<i32, Stop>;

/// A variable.
#[derive(Clone, Debug, Default)]
struct Variable {
    value: String,
    exported: bool,
    read_only: bool,
}

/// Switches of `set` and of the command line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// With prompt, job control and a terminal.
    pub(super) interactive: bool,
    /// `-e`
    pub(super) errexit: bool,
    /// `-u`
    pub(super) nounset: bool,
    /// `-x`
    pub(super) xtrace: bool,
}

/// A shell.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) process: Process,
    /// `$0`
    pub(super) name: String,
    variables: BTreeMap<String, Variable>,
    /// What `local` hides in each function that runs.
    hidden: Vec<BTreeMap<String, Option<Variable>>>,
    pub(super) parameters: Vec<String>,
    /// `$?`
    pub(super) status: i32,
    /// `$$`: stays in subshells.
    pub(super) pid: Pid,
    /// `$!`
    pub(super) background: Option<Pid>,
    pub(super) functions: BTreeMap<String, Rc<Command>>,
    pub(super) options: Options,
    /// The lines before the one that runs.
    pub(super) lines: usize,
    /// The line that runs, from 1.
    pub(super) line: usize,
    /// How deep commands, functions and files stand in each other.
    pub(super) depth: usize,
    /// In how many conditions: there `-e` does not count.
    pub(super) conditions: usize,
    pub(super) jobs: Jobs,
    pub(super) history: Vec<String>,
    /// Where the command that runs reads and writes.
    pub(super) io: Io,
    /// An `exec` without a command has run: the redirections of this command stay.
    pub(super) redirected: bool,
    /// The exit code of the last `$(…)`.
    pub(super) substituted: Option<i32>,
    /// What was typed for the command that runs, when it was typed alone: a job's name.
    pub(super) typed: Option<String>,
}

impl Shell {
    pub(super) fn new(process: Process, name: &str, parameters: Vec<String>) -> Shell {
        let exported = |(name, value)| (name, Variable { value, exported: true, read_only: false });
        let mut shell = Shell {
            process,
            name: name.to_owned(),
            variables: process.environment().into_iter().map(exported).collect(),
            hidden: Vec::new(),
            parameters,
            status: 0,
            pid: process.pid(),
            background: None,
            functions: BTreeMap::new(),
            options: Options::default(),
            lines: 0,
            line: 1,
            depth: 0,
            conditions: 0,
            jobs: Jobs::default(),
            history: Vec::new(),
            io: Io::of(&process),
            redirected: false,
            substituted: None,
            typed: None,
        };
        // Cannot fail: there is room.
        let _ = shell.set("PWD", process.cwd());
        shell
    }

    /// A subshell: what another process knows that is forked here.
    pub(super) fn subshell(&self) -> Shell {
        let process = self.process;
        Shell {
            process,
            name: self.name.clone(),
            variables: self.variables.clone(),
            hidden: self.hidden.clone(),
            parameters: self.parameters.clone(),
            functions: self.functions.clone(),
            options: Options { interactive: false, ..self.options },
            jobs: Jobs::default(),
            history: Vec::new(),
            io: Io::of(&process),
            redirected: false,
            typed: None,
            ..*self
        }
    }

    /// The value of a variable or special parameter; `None` when it is not set.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "$" => Some(self.pid.to_string()),
            "!" => self.background.map(|pid| pid.to_string()),
            "#" => Some(self.parameters.len().to_string()),
            "@" | "*" => Some(self.parameters.join(" ")),
            "-" => Some(self.letters()),
            "0" => Some(self.name.clone()),
            n if n.starts_with(|c: char| c.is_ascii_digit()) => {
                self.parameters.get(n.parse::<usize>().ok()?.checked_sub(1)?).cloned()
            }
            name => self.variables.get(name).map(|v| v.value.clone()),
        }
    }

    fn letters(&self) -> String {
        let o = &self.options;
        let all = [(o.errexit, 'e'), (o.interactive, 'i'), (o.nounset, 'u'), (o.xtrace, 'x')];
        all.iter().filter(|(on, _)| *on).map(|(_, c)| *c).collect()
    }

    /// Gives a variable a value.
    ///
    /// # Errors
    /// When it is too long, there are too many, or it is read only.
    pub(super) fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        if self.variables.get(name).is_some_and(|v| v.read_only) {
            return Err(format!("{name}: is read only"));
        }
        let full = self.variables.len() >= NAMES_MAX && !self.variables.contains_key(name);
        if value.len() > VALUE_MAX || full {
            return Err("Out of space".to_owned());
        }
        self.variables.entry(name.to_owned()).or_default().value = value;
        Ok(())
    }

    /// Forgets a variable.
    ///
    /// # Errors
    /// When it is read only.
    pub(super) fn unset(&mut self, name: &str) -> Result<(), String> {
        if self.variables.get(name).is_some_and(|v| v.read_only) {
            return Err(format!("{name}: is read only"));
        }
        self.variables.remove(name);
        Ok(())
    }

    /// `readonly`
    pub(super) fn freeze(&mut self, name: &str) {
        self.variables.entry(name.to_owned()).or_default().read_only = true;
    }

    /// A function begins: its local variables end with it.
    pub(super) fn begin_locals(&mut self) {
        self.hidden.push(BTreeMap::new());
    }

    /// The function has ended.
    pub(super) fn end_locals(&mut self) {
        for (name, hidden) in self.hidden.pop().unwrap_or_default() {
            match hidden {
                Some(variable) => self.variables.insert(name, variable),
                None => self.variables.remove(&name),
            };
        }
    }

    /// Makes a variable one of the function that runs; it keeps its value. False: none runs.
    pub(super) fn make_local(&mut self, name: &str) -> bool {
        let outer = self.variables.get(name).cloned();
        let Some(hidden) = self.hidden.last_mut() else { return false };
        hidden.entry(name.to_owned()).or_insert(outer);
        true
    }

    pub(super) fn export(&mut self, name: &str) {
        self.variables.entry(name.to_owned()).or_default().exported = true;
    }

    pub(super) fn define(&mut self, name: &str, body: Rc<Command>) {
        if self.functions.len() < NAMES_MAX || self.functions.contains_key(name) {
            self.functions.insert(name.to_owned(), body);
        }
    }

    /// What children get as their environment.
    pub(super) fn environment(&self) -> Environment {
        let exported = self.variables.iter().filter(|(_, v)| v.exported);
        exported.map(|(name, v)| (name.clone(), v.value.clone())).collect()
    }

    /// Variables as `set`, `export -p` and `readonly -p` list them.
    pub(super) fn listing(&self, by: &str) -> String {
        let wanted = |v: &Variable| match by {
            "export" => v.exported,
            "readonly" => v.read_only,
            _ => true,
        };
        let prefix = if by == "set" { String::new() } else { format!("{by} ") };
        let line = |(name, v): (&String, &Variable)| {
            format!("{prefix}{name}='{}'\n", v.value.replace('\'', "'\\''"))
        };
        self.variables.iter().filter(|(_, v)| wanted(v)).map(line).collect()
    }

    pub(super) fn remember(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() || self.history.last().is_some_and(|last| last == line) {
            return;
        }
        if self.history.len() >= HISTORY_MAX {
            self.history.remove(0);
        }
        self.history.push(line.to_owned());
    }

    /// `sh: 3: `, as dash begins its messages.
    pub(super) fn prefix(&self) -> String {
        format!("{}: {}: ", self.name, self.lines + self.line)
    }
}

impl Variables for Shell {
    fn get(&self, name: &str) -> String {
        self.value(name).unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: i64) {
        // A number fits; that there are too many names shows when it is read.
        let _ = Shell::set(self, name, value.to_string());
    }
}
