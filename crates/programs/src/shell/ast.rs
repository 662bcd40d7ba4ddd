//! What a script consists of.

use std::rc::Rc;

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it stands; `quoted` text is never split and no pattern.
    Text { text: String, quoted: bool },
    /// `$NAME`, `${NAME:-word}`…
    Variable { name: String, change: Change, quoted: bool },
    /// `$(script)`, or the same in backquotes.
    Command { script: Rc<Script>, quoted: bool },
    /// `$((sum))`
    Sum { text: Word, quoted: bool },
    /// `~` at the beginning of a word.
    Home,
}

/// What is done with a variable's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// `${#NAME}`
    Length,
    /// `${NAME-word}` and its relatives `= + ?`; with a colon an empty value counts as unset.
    Default { operator: char, colon: bool, word: Word },
    /// `${NAME%pattern}`, `##` and so on.
    Strip { suffix: bool, longest: bool, pattern: Word },
}

/// A word before it is expanded.
pub(super) type Word = Vec<Part>;

/// A redirection of one descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) fd: usize,
    pub(super) kind: RedirectKind,
    pub(super) target: Word,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedirectKind {
    /// `<`
    Read,
    /// `>`
    Write,
    /// `>>`
    Append,
    /// `>&` and `<&`: another descriptor, or `-`.
    Duplicate,
    /// `<<`: the target is the text.
    Here,
}

/// A command with its redirections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) what: What,
    pub(super) redirects: Vec<Redirect>,
    /// The line it begins on, from 1.
    pub(super) line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Simple { assigns: Vec<(String, Word)>, words: Vec<Word> },
    Group(Script),
    Subshell(Rc<Script>),
    If { arms: Vec<(Script, Script)>, otherwise: Option<Script> },
    For { name: String, words: Option<Vec<Word>>, body: Script },
    While { until: bool, condition: Script, body: Script },
    Case { word: Word, arms: Vec<(Vec<Word>, Script)> },
    Function { name: String, body: Rc<Command> },
}

/// Commands joined by `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

/// How a pipeline follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// First, or behind `;`.
    Always,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AndOr {
    pub(super) pipelines: Vec<(Join, Pipeline)>,
    pub(super) background: bool,
    /// As it was typed.
    pub(super) text: String,
}

/// A list of commands.
pub(super) type Script = Vec<AndOr>;
