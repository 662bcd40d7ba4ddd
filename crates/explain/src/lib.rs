//! What the trace tells: which events are meant, and why something happened.
//!
//! In reading order:
//!
//! 1. [`schema`]: which fields a predicate can name, and of which type they are;
//! 2. `lexer` and [`predicate`]: the one predicate language of breakpoints, filters and checks;
//! 3. `eval`: whether an event fulfils a predicate;
//! 4. [`sentence`](mod@sentence): each kind of event in words; [`why`](mod@why): from an event back to its root.
//!
//! Nothing here changes a world.

mod eval;
mod lexer;
pub mod predicate;
pub mod schema;
pub mod sentence;
pub mod why;

pub use predicate::{Predicate, PredicateError};
pub use sentence::sentence;
pub use why::{Line, Records, Role, told, why};
