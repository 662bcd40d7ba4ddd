//! Patterns: `*`, `?` and `[…]` (POSIX.1-2017 §2.13), against names and against the host's files.

use netarium_world::process::Process;

/// A character, and whether it was quoted: then it is no pattern.
pub(super) type Letter = (char, bool);

/// How many names a pattern becomes at most.
const NAMES_MAX: usize = 10_000;

/// The text of letters.
pub(super) fn text(letters: &[Letter]) -> String {
    letters.iter().map(|l| l.0).collect()
}

/// Whether something in it is a pattern.
fn is_pattern(letters: &[Letter]) -> bool {
    letters.iter().any(|l| matches!(l, ('*' | '?' | '[', false)))
}

/// Whether a pattern fits all of a text.
pub(super) fn matches(pattern: &[Letter], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The last star, and up to where it has eaten: going back to it is enough.
    let mut star = None;
    while t < text.len() {
        match one(&pattern[p..], text[t]) {
            Step::Star => {
                star = Some((p + 1, t));
                p += 1;
            }
            Step::Fits(len) => {
                p += len;
                t += 1;
            }
            Step::No => match star {
                Some((after, eaten)) => {
                    star = Some((after, eaten + 1));
                    (p, t) = (after, eaten + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&l| l == ('*', false))
}

enum Step {
    Star,
    /// So many letters of the pattern fit one character.
    Fits(usize),
    No,
}

fn one(pattern: &[Letter], c: char) -> Step {
    match pattern.first() {
        Some(('*', false)) => Step::Star,
        Some(('?', false)) => Step::Fits(1),
        Some(('[', false)) => match set(pattern, c) {
            Some((len, true)) => Step::Fits(len),
            Some((_, false)) => Step::No,
            None if c == '[' => Step::Fits(1),
            None => Step::No,
        },
        Some(&(p, _)) if p == c => Step::Fits(1),
        _ => Step::No,
    }
}

/// `[abc]`, `[a-z]`, `[!x]`: its length, and whether it has the character.
fn set(pattern: &[Letter], c: char) -> Option<(usize, bool)> {
    let mut at = 1;
    let negated = matches!(pattern.get(at), Some(('!' | '^', false)));
    at += usize::from(negated);
    let (first, mut found) = (at, false);
    loop {
        let &(low, quoted) = pattern.get(at)?;
        if low == ']' && !quoted && at > first {
            return Some((at + 1, found != negated));
        }
        let range = matches!(pattern.get(at + 1), Some(('-', false)))
            && !matches!(pattern.get(at + 2), None | Some((']', false)));
        let high = if range { pattern.get(at + 2)?.0 } else { low };
        found |= (low..=high).contains(&c);
        at += if range { 3 } else { 1 };
    }
}

/// The paths that a word names: itself when it is no pattern or fits nothing.
pub(super) fn paths(process: &Process, word: &[Letter]) -> Vec<String> {
    if !is_pattern(word) {
        return vec![text(word)];
    }
    let absolute = word.first().is_some_and(|l| l.0 == '/');
    let mut found = vec![if absolute { "/".to_owned() } else { String::new() }];
    let parts: Vec<&[Letter]> = word.split(|l| l.0 == '/').filter(|p| !p.is_empty()).collect();
    for (n, part) in parts.iter().enumerate() {
        let last = n + 1 == parts.len();
        let mut next = Vec::new();
        for base in &found {
            let join = |name: &str| match base.as_str() {
                "" => name.to_owned(),
                "/" => format!("/{name}"),
                base => format!("{base}/{name}"),
            };
            if !is_pattern(part) {
                let path = join(&text(part));
                if !last || process.metadata(&path).is_ok() {
                    next.push(path);
                }
                continue;
            }
            let folder = if base.is_empty() { "." } else { base };
            for entry in process.list_dir(folder).unwrap_or_default() {
                let name: Vec<char> = entry.name.chars().collect();
                let hidden = name.first() == Some(&'.') && part.first().is_none_or(|l| l.0 != '.');
                if !hidden && (last || entry.metadata.is_dir) && matches(part, &name) {
                    next.push(join(&entry.name));
                }
            }
        }
        next.truncate(NAMES_MAX);
        found = next;
    }
    found.sort();
    if found.is_empty() { vec![text(word)] } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        let check = |pattern: &str, yes: &[&str], no: &[&str]| {
            let letters: Vec<Letter> = pattern.chars().map(|c| (c, false)).collect();
            let fits = |t: &str| matches(&letters, &t.chars().collect::<Vec<_>>());
            yes.iter().for_each(|t| assert!(fits(t), "{pattern} fits {t}"));
            no.iter().for_each(|t| assert!(!fits(t), "{pattern} does not fit {t}"));
        };
        check("*.html", &["a.html", ".html", "한.html"], &["a.htm", "a.html2"]);
        check("a*b*c", &["abc", "aXbXc", "abbcc"], &["ab", "acb"]);
        check("?[0-9][!x]", &["a1y", "b9z"], &["a1x", "ay1", "1"]);
        check("[]a]", &["]", "a"], &["b"]);
        check("[a", &["[a"], &["a"]);
        let stars = "*a".repeat(40);
        check(&stars, &[], &[&"a".repeat(39), &"b".repeat(5_000)]);
        assert!(!matches(&[('*', true)], &['x']));
    }
}
