//! The packetdrill language: what a script says, before anything runs.
//!
//! [`Script::parse`] turns text into flags and events; `lexer` knows the words, `parser` the
//! sentences, `notation` those of packets; `packet` holds and shows packets.

mod lexer;
mod notation;
mod packet;
mod parser;
mod preprocess;

pub use packet::{
    AckSpec, Direction, Ecn, Icmp, Opt, PacketSpec, SegmentSpec, Transport, echoed, flags_text,
};

use std::fmt;

/// A parsed script.
#[derive(Clone, Debug)]
pub struct Script {
    /// `--name=value` lines, in order.
    pub flags: Vec<Flag>,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// The script's lines, to quote.
    pub lines: Vec<String>,
}

/// A `--name=value` line of a script, or a flag of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Without the dashes.
    pub name: String,
    /// Behind the `=`, without quotes; none when there is no `=`.
    pub value: Option<String>,
    /// Line of the script, from 1; 0 on the command line.
    pub line: u32,
}

/// One event of a script.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Time,
    /// What.
    pub action: Action,
    /// Line of its time stamp, from 1.
    pub line: u32,
}

/// When an event happens. Microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// `0.1`: since the script's start.
    Absolute(i64),
    /// `+.1`: since the event before.
    Relative(i64),
    /// `0.1~0.2`.
    AbsoluteRange(i64, i64),
    /// `+.1~+.2`.
    RelativeRange(i64, i64),
    /// `*`.
    Any,
    /// A command without a time stamp: at the start, or at the end to clean up.
    None,
}

/// What an event is.
#[derive(Clone, Debug)]
pub enum Action {
    /// A packet that arrives, or one that is expected.
    Packet(Box<PacketSpec>),
    /// A system call of the program under test.
    Call(Box<Call>),
    /// A shell command, without its backticks.
    Command(String),
    /// Python between `%{` and `}%`.
    Code(String),
}

/// A system call and what it must return.
#[derive(Clone, Debug)]
pub struct Call {
    /// `socket`, `connect`…
    pub name: String,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// What it returns.
    pub result: Expr,
    /// The name of the error it must fail with.
    pub errno: Option<String>,
    /// A blocking call: when it returns, in microseconds, on the same base as its start.
    pub until: Option<i64>,
}

/// A value in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// `...`: whatever is usual.
    Ellipsis,
    /// A number.
    Int(i64),
    /// A symbol: `SOCK_STREAM`.
    Word(String),
    /// A string; `true` when `...` follows: only its start matters.
    Str(String, bool),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{a, b}` or `{name = value, …}`.
    Struct(Vec<Field>),
    /// `htons(80)`.
    Call(String, Vec<Expr>),
    /// `A|B`, `a + b`…
    Op(char, Box<Expr>, Box<Expr>),
}

/// A member of a struct; the name is empty when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Expr,
}

/// Why a script cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What was expected and what was found; or what is not supported.
    pub message: String,
    /// Correct packetdrill that this drill leaves out: the script is skipped, not wrong.
    pub unsupported: bool,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

impl Script {
    /// Parses a script. `defines` are the command line's `--define`s: words to replace.
    ///
    /// # Errors
    /// The first thing that is not packetdrill's language, or that this drill leaves out.
    pub fn parse(text: &str, defines: &[(String, String)]) -> Result<Script, ParseError> {
        let chosen = preprocess::chosen(text, defines)?;
        let mut script = parser::parse(&chosen, defines)?;
        script.lines = text.lines().map(str::to_owned).collect();
        Ok(script)
    }
}
