//! `#ifdef`, as suites for several systems use it: what is for other systems is blanked out.
//!
//! Defined are the names of `--define`, and `STANDARD`: what the RFC says. A script that has no
//! `STANDARD` but `Linux` means that.

use std::borrow::Cow;

use super::ParseError;

/// Conditions within conditions.
const MAX_DEPTH: usize = 64;

/// The text with the lines of other systems blanked out; lines keep their numbers.
pub(super) fn chosen<'t>(
    text: &'t str,
    defines: &[(String, String)],
) -> Result<Cow<'t, str>, ParseError> {
    if !text.contains("#if") {
        return Ok(Cow::Borrowed(text));
    }
    let own = if text.contains("#ifdef STANDARD") { "STANDARD" } else { "Linux" };
    let defined = |name: &str| name == own || defines.iter().any(|(k, _)| k == name);
    let mut out = String::with_capacity(text.len());
    // Whether each condition around a line holds.
    let mut stack: Vec<bool> = Vec::new();
    let mut opened = 0;
    for (number, line) in (1u32..).zip(text.lines()) {
        let wrong = |message: &str| ParseError {
            line: number,
            column: 1,
            message: message.to_owned(),
            unsupported: false,
        };
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some(word @ ("#ifdef" | "#ifndef")), Some(name)) => {
                if stack.len() >= MAX_DEPTH {
                    return Err(wrong("conditions are nested too deeply"));
                }
                stack.push(defined(name) == (word == "#ifdef"));
                opened = number;
            }
            (Some("#else"), _) => match stack.last_mut() {
                Some(holds) => *holds = !*holds,
                None => return Err(wrong("`#else` without `#ifdef`")),
            },
            (Some("#endif"), _) => {
                stack.pop().ok_or_else(|| wrong("`#endif` without `#ifdef`"))?;
            }
            _ if stack.iter().all(|holds| *holds) => out += line,
            _ => {}
        }
        out.push('\n');
    }
    if !stack.is_empty() {
        let message = "this `#ifdef` has no `#endif`".to_owned();
        return Err(ParseError { line: opened, column: 1, message, unsupported: false });
    }
    Ok(Cow::Owned(out))
}
