//! Patterns of paths, as Django's `path()` writes them: `menu/<int:id>/`.

/// The most parameters of a pattern.
const PARAMETERS_MAX: usize = 16;

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Digits.
    Int,
    /// Anything but a slash; not empty.
    Str,
    /// ASCII letters, digits, `-` and `_`.
    Slug,
    /// Anything, with slashes; not empty.
    Path,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Parameter(Kind, String),
}

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    text: String,
}

impl Pattern {
    /// Reads a pattern. A slash in front is the same as none.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let plain = text.strip_prefix('/').unwrap_or(text);
        let mut parts = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let mut rest = plain;
        while let Some(open) = rest.find('<') {
            let inside = &rest[open + 1..];
            let close = inside.find('>').ok_or_else(|| format!("'{text}': '<' without '>'"))?;
            let (kind, name) = inside[..close].split_once(':').unwrap_or(("str", &inside[..close]));
            let kind = match kind {
                "int" => Kind::Int,
                "str" => Kind::Str,
                "slug" => Kind::Slug,
                "path" => Kind::Path,
                other => {
                    let known = "int, str, slug or path";
                    return Err(format!("'{text}': expected {known}, got '{other}'"));
                }
            };
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(word) || names.contains(&name) {
                return Err(format!("'{text}': '{name}' is no name, or is there twice"));
            }
            names.push(name);
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            parts.push(Part::Parameter(kind, name.to_owned()));
            rest = &inside[close + 1..];
        }
        if names.len() > PARAMETERS_MAX {
            return Err(format!("'{text}': more than {PARAMETERS_MAX} parameters"));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let adjacent =
            parts.windows(2).any(|w| matches!(w, [Part::Parameter(..), Part::Parameter(..)]));
        if adjacent {
            return Err(format!("'{text}': two parameters with nothing between them"));
        }
        Ok(Pattern { parts, text: format!("/{plain}") })
    }

    /// The pattern, with its slash.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The parameters of a path that fits: the first of several ways, each parameter as short as
    /// the text after it allows.
    pub(super) fn fit(&self, path: &str) -> Option<Vec<(String, String)>> {
        let mut rest = path.strip_prefix('/')?;
        let mut found = Vec::new();
        for (n, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Part::Parameter(kind, name) => {
                    let end = match self.parts.get(n + 1) {
                        None => rest.len(),
                        // The last text stands at the end; others where they come first.
                        Some(Part::Text(t)) if n + 2 == self.parts.len() => rest
                            .len()
                            .checked_sub(t.len())
                            .filter(|at| rest.is_char_boundary(*at))?,
                        Some(Part::Text(t)) => rest.find(t.as_str())?,
                        Some(Part::Parameter(..)) => return None,
                    };
                    let value = &rest[..end];
                    if !kind.takes(value) {
                        return None;
                    }
                    found.push((name.clone(), value.to_owned()));
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(found)
    }
}

impl Kind {
    fn takes(self, value: &str) -> bool {
        let fine = match self {
            Kind::Int => value.len() <= 18 && value.bytes().all(|b| b.is_ascii_digit()),
            Kind::Str => !value.contains('/'),
            Kind::Slug => value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
            Kind::Path => true,
        };
        fine && !value.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    fn fit(pattern: &str, path: &str) -> Option<String> {
        let found = Pattern::parse(pattern).unwrap().fit(path)?;
        Some(found.into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn paths_fit_patterns() {
        for (pattern, path, expect) in [
            ("", "/", Some("")),
            ("menu/", "/menu/", Some("")),
            ("/menu/", "/menu/", Some("")),
            ("menu/", "/menu", None),
            ("menu/<int:id>/", "/menu/12/", Some("id=12")),
            ("menu/<int:id>/", "/menu/x/", None),
            ("menu/<int:id>/", "/menu/1/2/", None),
            ("<name>", "/비빔밥", Some("name=비빔밥")),
            ("<name>", "/a/b", None),
            ("a/<path:rest>", "/a/b/c", Some("rest=b/c")),
            ("a/<path:rest>", "/a/", None),
            ("<slug:s>.html", "/a-b_1.html", Some("s=a-b_1")),
            ("<slug:s>.html", "/.html", None),
            ("<int:y>-<int:m>/x", "/2026-11/x", Some("y=2026 m=11")),
        ] {
            assert_eq!(fit(pattern, path).as_deref(), expect, "{pattern} {path}");
        }
        for bad in ["<int:id", "<float:x>", "<int:>", "<a><b>", "<a>/<a>", "<a-b>"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_matched_or_not(pattern in "[a-z/<>:]{0,20}", path in "/\\PC{0,20}") {
            if let Ok(p) = Pattern::parse(&pattern) {
                let _ = p.fit(&path);
            }
        }
    }
}
