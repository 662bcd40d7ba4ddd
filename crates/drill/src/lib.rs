//! Packetdrill scripts against this TCP, in virtual time.
//!
//! A script says which system calls a program makes, which packets arrive, and which packets must
//! leave, each at its time. [`run`] plays one against a host of its own: the same bytes come out
//! every time, and two hours of idle time take a millisecond.
//!
//! In reading order:
//!
//! 1. [`script`]: the language, from text to events;
//! 2. [`config`]: `--flags`; [`sysctl`] and `command`: what shell lines set;
//! 3. [`code`]: the part of Python that `%{ }%` needs;
//! 4. `runner`: the events, one after the other, against a [`netarium_stack::Stack`];
//! 5. [`report`]: what is shown of it: text and JUnit.
//!
//! Nothing here reads a clock or a file: the caller reads the scripts.

pub mod code;
mod command;
pub mod config;
pub mod report;
mod runner;
pub mod script;
pub mod sysctl;

pub use report::{Failure, Outcome, Verdict, junit, summary};
pub use runner::run;
pub use script::{Flag, ParseError, Script};
