//! From the text of `httpd.conf` to a tree of directives and sections, each with its line.

use std::rc::Rc;

use super::ConfError;

/// The longest configuration, bytes, with everything it includes.
const TEXT_MAX: usize = 1024 * 1024;
/// How deep files may include each other.
const DEPTH_MAX: usize = 8;

/// A directive, or a section with what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct Directive {
    /// The name as it was written; a section's starts with `<`.
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) at: Place,
    pub(super) children: Vec<Directive>,
}

/// Where a directive stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::httpd) struct Place {
    pub(in crate::httpd) file: Rc<str>,
    pub(in crate::httpd) line: u32,
}

/// What reading needs: files by name, and what was defined with `-D`.
pub(super) struct Reader<'a> {
    /// The text of a file; the error is the system's.
    pub(super) read: &'a dyn Fn(&str) -> Result<String, String>,
    /// The files that a pattern of `Include` names, sorted.
    pub(super) expand: &'a dyn Fn(&str) -> Vec<String>,
    /// Names given with `-D`.
    pub(super) defines: &'a [String],
    /// Bytes that may still be read.
    pub(super) left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        read: &'a dyn Fn(&str) -> Result<String, String>,
        expand: &'a dyn Fn(&str) -> Vec<String>,
        defines: &'a [String],
    ) -> Reader<'a> {
        Reader { read, expand, defines, left: TEXT_MAX }
    }

    /// The directives of a file.
    pub(super) fn file(&mut self, name: &str, depth: usize) -> Result<Vec<Directive>, ConfError> {
        let text = (self.read)(name).map_err(|e| {
            ConfError(format!("httpd: Could not open configuration file {name}: {e}"))
        })?;
        self.text(name, &text, depth)
    }

    /// The directives of a text that stands for a file.
    pub(super) fn text(
        &mut self,
        name: &str,
        text: &str,
        depth: usize,
    ) -> Result<Vec<Directive>, ConfError> {
        let file: Rc<str> = name.into();
        self.left = self.left.checked_sub(text.len()).ok_or_else(|| {
            ConfError(format!("httpd: configuration of more than {TEXT_MAX} bytes, at {name}"))
        })?;
        let mut open: Vec<Directive> = Vec::new();
        let mut done: Vec<Directive> = Vec::new();
        for (line, text) in Lines::new(text) {
            let at = Place { file: Rc::clone(&file), line };
            if let Some(name) = text.strip_prefix("</") {
                let section = close(&mut open, name.trim_end_matches('>').trim(), &at)?;
                let parent = open.last_mut().map_or(&mut done, |s| &mut s.children);
                self.end_section(section, parent);
                continue;
            }
            let directive = parse(&text, at)?;
            if directive.name.starts_with('<') {
                open.push(directive);
                continue;
            }
            let parent = open.last_mut().map_or(&mut done, |s| &mut s.children);
            match directive.name.to_ascii_lowercase().as_str() {
                "include" | "includeoptional" => {
                    let found = self.include(&directive, depth)?;
                    parent.extend(found);
                }
                _ => parent.push(directive),
            }
        }
        match open.pop() {
            Some(d) => Err(ConfError(format!(
                "httpd: Syntax error on line {n} of {file}: {file}:{n}: {name}> was not closed.",
                n = d.at.line,
                name = d.name,
            ))),
            None => Ok(done),
        }
    }

    /// `<IfDefine>` and `<IfModule>` leave their contents or nothing; other sections stay.
    fn end_section(&self, section: Directive, parent: &mut Vec<Directive>) {
        let condition = section.args.first().map_or("", String::as_str);
        let (wanted, condition) = match condition.strip_prefix('!') {
            Some(rest) => (false, rest),
            None => (true, condition),
        };
        match section.name.to_ascii_lowercase().as_str() {
            "<ifdefine" if self.defines.iter().any(|d| d == condition) == wanted => {
                parent.extend(section.children);
            }
            "<ifmodule" if super::table::is_module(condition) == wanted => {
                parent.extend(section.children);
            }
            "<ifdefine" | "<ifmodule" => {}
            _ => parent.push(section),
        }
    }

    fn include(&mut self, d: &Directive, depth: usize) -> Result<Vec<Directive>, ConfError> {
        let [pattern] = d.args.as_slice() else {
            return Err(d.at.error(&format!(
                "{} takes one argument, Name of the config file to be included",
                d.name
            )));
        };
        if depth >= DEPTH_MAX {
            return Err(d.at.error("Exceeded the maximum include depth"));
        }
        let names = (self.expand)(pattern);
        if names.is_empty() && d.name.eq_ignore_ascii_case("include") {
            let text =
                format!("Could not open configuration file {pattern}: No such file or directory");
            return Err(ConfError(format!(
                "httpd: Syntax error on line {} of {}: {text}",
                d.at.line, d.at.file
            )));
        }
        let mut all = Vec::new();
        for name in names {
            all.extend(self.file(&name, depth + 1)?);
        }
        Ok(all)
    }
}

impl Place {
    /// An error in what a directive says, in Apache's words.
    pub(super) fn error(&self, what: &str) -> ConfError {
        ConfError(format!("AH00526: Syntax error on line {} of {}:\n{what}", self.line, self.file))
    }
}

fn close(open: &mut Vec<Directive>, name: &str, at: &Place) -> Result<Directive, ConfError> {
    let say = |what: String| {
        ConfError(format!("httpd: Syntax error on line {} of {}: {what}", at.line, at.file))
    };
    let Some(section) = open.pop() else {
        return Err(say(format!("</{name}> without matching <{name}> section")));
    };
    let expected = &section.name[1..];
    if expected.eq_ignore_ascii_case(name) {
        Ok(section)
    } else {
        Err(say(format!("Expected </{expected}> but saw </{name}>")))
    }
}

/// A line as a directive; a section's closing `>` is taken off.
fn parse(line: &str, at: Place) -> Result<Directive, ConfError> {
    let mut words = words(line);
    let mut name = if words.is_empty() { String::new() } else { words.remove(0) };
    if name.starts_with('<') {
        let last = words.last_mut().unwrap_or(&mut name);
        let Some(rest) = last.strip_suffix('>') else {
            return Err(at.error(&format!("{name}> directive missing closing '>'")));
        };
        *last = rest.to_owned();
        if words.last().is_some_and(String::is_empty) {
            words.pop();
        }
        if words.is_empty() {
            return Err(at.error(&format!("{name}> directive requires additional arguments")));
        }
    }
    Ok(Directive { name, args: words, at, children: Vec::new() })
}

/// Words separated by blanks; quotes keep blanks, a backslash keeps a quote or backslash.
fn words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(&c) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let quote = (c == '"' || c == '\'').then_some(c);
        if quote.is_some() {
            chars.next();
        }
        let mut word = String::new();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek().is_some_and(|n| *n == '\\' || Some(*n) == quote) => {
                    word.extend(chars.next());
                }
                c if Some(c) == quote => break,
                c if quote.is_none() && c.is_whitespace() => break,
                c => word.push(c),
            }
        }
        out.push(word);
    }
    out
}

/// Lines with their numbers: a backslash at the end joins the next one, comments and empty lines
/// are left out. A joined line has the number of its last part, as Apache counts.
struct Lines<'a> {
    rest: std::iter::Enumerate<std::str::Lines<'a>>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Lines<'a> {
        Lines { rest: text.lines().enumerate() }
    }
}

impl Iterator for Lines<'_> {
    type Item = (u32, String);

    fn next(&mut self) -> Option<(u32, String)> {
        let mut joined = String::new();
        let mut last = None;
        for (n, line) in self.rest.by_ref() {
            last = u32::try_from(n + 1).ok();
            if let Some(part) = line.strip_suffix('\\') {
                joined.push_str(part);
                continue;
            }
            joined.push_str(line);
            let text = joined.trim();
            if !text.is_empty() && !text.starts_with('#') {
                return Some((last?, text.to_owned()));
            }
            joined.clear();
        }
        let text = joined.trim();
        (!text.is_empty() && !text.starts_with('#')).then(|| Some((last?, text.to_owned())))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Directive>, String> {
        let files = |name: &str| match name {
            "x.conf" => Ok("Timeout 3\n".to_owned()),
            "loop.conf" => Ok("Include loop.conf\n".to_owned()),
            _ => Err("No such file or directory".to_owned()),
        };
        let expand = |p: &str| if p.contains("none") { vec![] } else { vec![p.to_owned()] };
        let defines = ["YES".to_owned()];
        Reader::new(&files, &expand, &defines).text("httpd.conf", text, 0).map_err(|e| e.0)
    }

    fn names(text: &str) -> Vec<String> {
        let all = read(text).unwrap().into_iter();
        all.map(|d| format!("{} {} @{}", d.name, d.args.join("|"), d.at.line)).collect()
    }

    #[test]
    fn lines_become_directives() {
        assert_eq!(
            names("# c\n\n Listen 80\nServerName \\\n  \"a b\"\nX 'q\\'r' \"s\\\\t\" c:\\d\n"),
            ["Listen 80 @3", "ServerName a b @5", "X q'r|s\\t|c:\\d @6"]
        );
        assert_eq!(names("Include x.conf\nA 1"), ["Timeout 3 @1", "A 1 @2"]);
        let conditions = "<IfDefine YES>\nA 1\n</IfDefine>\n<IfDefine !YES>\nB 1\n</IfDefine>\n\
                          <IfModule mod_alias.c>\nC 1\n</IfModule>\n<IfModule mod_php.c>\nD\n</IfModule>";
        assert_eq!(names(conditions), ["A 1 @2", "C 1 @8"]);
        let nested =
            read("<VirtualHost *:80>\n<Location /x >\nA b\n</Location>\n</VirtualHost>").unwrap();
        assert_eq!(nested[0].children[0].args, ["/x"]);
        assert_eq!(nested[0].children[0].children[0].name, "A");
    }

    #[test]
    fn what_is_wrong_is_said_as_apache_says_it() {
        for (text, expect) in [
            (
                "<VirtualHost *:80>",
                "httpd: Syntax error on line 1 of httpd.conf: httpd.conf:1: <VirtualHost> was not closed.",
            ),
            (
                "\n</VirtualHost>",
                "httpd: Syntax error on line 2 of httpd.conf: </VirtualHost> without matching <VirtualHost> section",
            ),
            (
                "<Directory /x>\n</Location>",
                "httpd: Syntax error on line 2 of httpd.conf: Expected </Directory> but saw </Location>",
            ),
            (
                "<Directory>\n</Directory>",
                "AH00526: Syntax error on line 1 of httpd.conf:\n<Directory> directive requires additional arguments",
            ),
            (
                "<Directory x",
                "AH00526: Syntax error on line 1 of httpd.conf:\n<Directory> directive missing closing '>'",
            ),
            (
                "Include none.conf",
                "httpd: Syntax error on line 1 of httpd.conf: Could not open configuration file none.conf: No such file or directory",
            ),
            (
                "Include loop.conf",
                "AH00526: Syntax error on line 1 of loop.conf:\nExceeded the maximum include depth",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expect, "{text}");
        }
    }
}
