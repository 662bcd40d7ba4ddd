//! Exit codes, and the one place where an error becomes lines on the standard error.

use std::fmt;

use netarium_server::source::LoadError;

use crate::terminal::Terminal;

/// All went well.
pub(crate) const OK: i32 = 0;
/// Something failed while it ran. `exec` returns the code of its program instead.
pub(crate) const FAILURE: i32 = 1;
/// Wrong usage, or a mistake in a lab file; nothing was started.
pub(crate) const USAGE: i32 = 2;

/// Why a command ends without success.
#[derive(Debug)]
pub(crate) enum Error {
    /// A lab could not be loaded.
    Load(LoadError),
    /// What was asked for makes no sense; nothing was started.
    Usage(String, Option<String>),
    /// Something failed; the second text is a hint.
    Failed(String, Option<String>),
}

impl Error {
    /// A failure without a hint.
    pub(crate) fn failed(why: impl fmt::Display) -> Error {
        Error::Failed(why.to_string(), None)
    }

    /// Prints the error and gives its exit code.
    pub(crate) fn report(&self, terminal: &Terminal) -> i32 {
        match self {
            Error::Load(LoadError::Lab(errors)) => {
                terminal.plain(errors.render(terminal.colour()).trim_end());
                terminal.plain("");
                USAGE
            }
            Error::Load(error) => {
                terminal.error(error);
                if let LoadError::Unknown(_) = error {
                    terminal.hint("`netarium labs` lists the built-in labs");
                }
                USAGE
            }
            Error::Usage(why, hint) | Error::Failed(why, hint) => {
                terminal.error(why);
                if let Some(hint) = hint {
                    terminal.hint(hint);
                }
                if matches!(self, Error::Usage(..)) { USAGE } else { FAILURE }
            }
        }
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Error {
        Error::Load(error)
    }
}
