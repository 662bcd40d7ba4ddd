//! What is shown of a run: text for people, JUnit for machines.

use std::fmt::{self, Write};

/// What became of one script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The name of the script: its path.
    pub name: String,
    /// Passed, failed, or skipped.
    pub verdict: Verdict,
    /// What was left out of a script that ran, and why.
    pub notes: Vec<String>,
    /// Every event and packet, in order; for `--verbose`.
    pub log: Vec<String>,
}

/// Passed, failed, or skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All went as the script says.
    Passed,
    /// Something did not.
    Failed(Box<Failure>),
    /// It was not run, or not to its end, and why.
    Skipped(String),
}

/// Where and how a run differed from its script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// Line of the script, from 1.
    pub line: u32,
    /// The text of that line.
    pub source: String,
    /// What went wrong.
    pub why: String,
    /// What the script expects, with its time.
    pub expected: String,
    /// What there was, with its time.
    pub got: String,
    /// Packets that were sent and not expected yet.
    pub also: Vec<String>,
}

impl fmt::Display for Outcome {
    /// A line for the verdict, then what a failure needs; notes last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Passed => writeln!(f, "ok       {}", self.name)?,
            Verdict::Skipped(why) => writeln!(f, "skipped  {}: {why}", self.name)?,
            Verdict::Failed(failure) => {
                writeln!(f, "FAILED   {}:{}: {}", self.name, failure.line, failure.why)?;
                failure.fmt(f)?;
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "           note: {note}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.source.is_empty() {
            writeln!(f, "           script:   {}", self.source.trim())?;
        }
        if !self.expected.is_empty() {
            writeln!(f, "           expected: {}", self.expected)?;
        }
        if !self.got.is_empty() {
            writeln!(f, "           got:      {}", self.got)?;
        }
        self.also.iter().try_for_each(|packet| writeln!(f, "           also:     {packet}"))
    }
}

/// `3 passed, 1 failed, 2 skipped`.
pub fn summary(outcomes: &[Outcome]) -> String {
    let count = |test: fn(&Verdict) -> bool| outcomes.iter().filter(|o| test(&o.verdict)).count();
    let passed = count(|v| *v == Verdict::Passed);
    let failed = count(|v| matches!(v, Verdict::Failed(_)));
    let skipped = count(|v| matches!(v, Verdict::Skipped(_)));
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

/// The outcomes as JUnit XML, as CI systems read it. Times are 0: virtual time costs none.
pub fn junit(outcomes: &[Outcome]) -> String {
    let count = |test: fn(&Verdict) -> bool| outcomes.iter().filter(|o| test(&o.verdict)).count();
    let failures = count(|v| matches!(v, Verdict::Failed(_)));
    let skipped = count(|v| matches!(v, Verdict::Skipped(_)));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    let _ = writeln!(
        xml,
        "  <testsuite name=\"netarium drill\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" \
         skipped=\"{skipped}\" time=\"0\">",
        outcomes.len()
    );
    for outcome in outcomes {
        let (folder, file) = outcome.name.rsplit_once('/').unwrap_or(("", &outcome.name));
        let (folder, file) = (escaped(folder), escaped(file));
        let _ = write!(xml, "    <testcase classname=\"{folder}\" name=\"{file}\" time=\"0\"");
        let inner = match &outcome.verdict {
            Verdict::Passed => None,
            Verdict::Skipped(why) => Some(format!("<skipped message=\"{}\"/>", escaped(why))),
            Verdict::Failed(failure) => Some(format!(
                "<failure message=\"{}\">{}</failure>",
                escaped(&format!("line {}: {}", failure.line, failure.why)),
                escaped(&failure.to_string())
            )),
        };
        let _ = match inner {
            None => writeln!(xml, "/>"),
            Some(inner) => writeln!(xml, ">\n      {inner}\n    </testcase>"),
        };
    }
    xml += "  </testsuite>\n</testsuites>\n";
    xml
}

/// Text for XML 1.0: markup escaped, characters that XML forbids replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, verdict: Verdict) -> Outcome {
        Outcome { name: name.to_owned(), verdict, notes: Vec::new(), log: Vec::new() }
    }

    #[test]
    fn junit_escapes_what_scripts_contain() {
        let why = "bad <\"option\"> & \u{1}".to_owned();
        let failure =
            Failure { line: 3, why, source: "+0 > . 1:1(0)".into(), ..Failure::default() };
        let all = [
            outcome("a/b&c.pkt", Verdict::Failed(Box::new(failure))),
            outcome("plain.pkt", Verdict::Passed),
            outcome("v6.pkt", Verdict::Skipped("IPv6".into())),
        ];
        let xml = junit(&all);
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("line 3: bad &lt;&quot;option&quot;&gt; &amp; \u{fffd}"), "{xml}");
        assert!(xml.contains("classname=\"a\" name=\"b&amp;c.pkt\""), "{xml}");
        assert!(xml.contains("<skipped message=\"IPv6\"/>"), "{xml}");
        let tags = xml.matches('<').count();
        assert_eq!(tags, xml.matches('>').count());
        assert_eq!(summary(&all), "1 passed, 1 failed, 1 skipped");
    }
}
