//! What is said on the standard error, with or without colours.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use crate::args::{Global, When};

/// The standard error, as the user wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    colour: bool,
    quiet: bool,
}

/// How a piece of text is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    /// Stands out.
    Bold,
    /// Stands back.
    Dim,
    /// Wrong.
    Red,
    /// Something to use.
    Cyan,
}

/// A line that a lab's program wrote cannot steer the terminal it is shown on.
pub(crate) fn plain(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

impl Terminal {
    /// As the options and the environment say. `NO_COLOR` counts when it is not empty.
    pub(crate) fn new(global: &Global) -> Terminal {
        let wanted = || {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
            !refused && std::io::stderr().is_terminal()
        };
        let colour = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => wanted(),
        };
        Terminal { colour, quiet: global.quiet }
    }

    /// One without colours.
    #[cfg(test)]
    pub(crate) fn plain_for_tests() -> Terminal {
        Terminal { colour: false, quiet: false }
    }

    /// Whether colours are used.
    pub(crate) fn colour(&self) -> bool {
        self.colour
    }

    /// Whether only what was asked for is to be said.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Text in a style, when colours are used.
    pub(crate) fn paint(&self, style: Style, text: impl Display) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Red => "1;31",
            Style::Cyan => "36",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// A line as it is.
    pub(crate) fn plain(&self, line: impl Display) {
        // Nobody can be told that the standard error is closed.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// A line for the person, unless there should be none.
    pub(crate) fn say(&self, line: impl Display) {
        if !self.quiet {
            self.plain(line);
        }
    }

    /// What went wrong.
    pub(crate) fn error(&self, why: impl Display) {
        self.plain(format_args!("{} {why}", self.paint(Style::Red, "error:")));
    }

    /// What may help, on a line of its own.
    pub(crate) fn hint(&self, hint: impl Display) {
        self.say(format_args!("{} {hint}", self.paint(Style::Cyan, "netarium: hint:")));
    }
}

/// A number of bytes for people: `0 B`, `1.2 kB`, `10.4 MB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be shown as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1234, "1.2 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (10_400_000, "10.4 MB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }
}
