//! Errors as pictures.

use std::fmt::Write as _;
use std::ops::Range;

use ariadne::{Color, Config, IndexType, Label, Report, ReportKind, Source};

use super::{LabError, LabErrors, Origin, Place, Spot};

/// Longer lines (in bytes) are not drawn: the message then stands alone with its line and column,
/// so that one endless line cannot make an endless output.
const LONGEST_DRAWN_LINE: usize = 400;

pub(super) fn render(errors: &LabErrors, colour: bool) -> String {
    let mut out = String::new();
    let mut picture = match &errors.origin {
        Origin::Text(text) => Some(Picture::new(&errors.file, text, colour)),
        Origin::Paths(_) => None,
    };
    for (i, error) in errors.errors.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let drawn = picture.as_mut().and_then(|p| p.draw(error));
        out.push_str(&drawn.unwrap_or_else(|| plain(&errors.file, error, colour)));
    }
    if errors.more > 0 {
        let _ = writeln!(out, "\n… and {} more errors", errors.more);
    }
    out
}

/// An error in lines of text: for built labs, and where a picture would not fit.
fn plain(file: &str, error: &LabError, colour: bool) -> String {
    let (on, off) = if colour { ("\u{1b}[31m", "\u{1b}[0m") } else { ("", "") };
    let mut out = format!("{on}Error:{off} {}\n", error.message);
    let _ = match &error.place {
        Place::Text { line, column } => {
            writeln!(out, "  at {file}:{line}:{column}: {}", error.label)
        }
        Place::Key(path) if path.is_empty() => writeln!(out, "  {}", error.label),
        Place::Key(path) => writeln!(out, "  at {path}: {}", error.label),
    };
    if let Some(hint) = &error.hint {
        let _ = writeln!(out, "  Help: {hint}");
    }
    out
}

struct Picture<'a> {
    text: &'a str,
    cache: (&'a str, Source<String>),
    config: Config,
}

impl<'a> Picture<'a> {
    fn new(file: &'a str, text: &'a str, colour: bool) -> Self {
        let config = Config::default().with_color(colour).with_index_type(IndexType::Byte);
        Picture { text, cache: (file, Source::from(drawable(text))), config }
    }

    /// `None` when the text cannot be drawn.
    fn draw(&mut self, error: &LabError) -> Option<String> {
        let file = self.cache.0;
        let main = self.range(error.spot)?;
        let mut labels = vec![(main.clone(), &error.label, Color::Red)];
        for (spot, label) in &error.related {
            labels.push((self.range(*spot)?, label, Color::Blue));
        }
        // From top to bottom, or the picture would show the place twice.
        labels.sort_by_key(|(range, ..)| range.start);
        let mut report = Report::build(ReportKind::Error, (file, main))
            .with_config(self.config)
            .with_message(&error.message);
        for (range, label, colour) in labels {
            let label = Label::new((file, range)).with_message(label).with_color(colour);
            report = report.with_label(label);
        }
        if let Some(hint) = &error.hint {
            report = report.with_help(hint);
        }
        let mut bytes = Vec::new();
        report.finish().write(&mut self.cache, &mut bytes).ok()?;
        let drawn = String::from_utf8(bytes).ok()?;
        Some(drawn.lines().map(|l| format!("{}\n", l.trim_end())).collect())
    }

    /// The part of the token that stands on its first line; `None` when that line is too long.
    fn range(&self, spot: Spot) -> Option<Range<usize>> {
        let mut start = (spot.start as usize).min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        if self.text.is_empty() {
            return None;
        }
        let line_start = self.text[..start].rfind('\n').map_or(0, |i| i + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |i| start + i);
        if line_end - line_start > LONGEST_DRAWN_LINE {
            return None;
        }
        let mut end = (spot.end as usize).clamp(start, line_end);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        Some(start..end.max(start))
    }
}

/// The text with everything that could move a terminal's cursor, hide text or break a line replaced
/// by characters of the same length, so that places stay the same.
fn drawable(text: &str) -> String {
    let safe = |c: char| match c {
        '\n' | '\t' => c,
        // The rest of CR LF draws as nothing would: as a space.
        '\r' => ' ',
        '\u{80}'..='\u{9f}' => '¿',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => '\u{fffd}',
        c if c.is_control() => '?',
        c => c,
    };
    text.chars().map(safe).collect()
}
