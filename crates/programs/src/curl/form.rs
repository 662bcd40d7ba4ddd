//! `-F`: multipart/form-data (RFC 7578), and the encoding of `--data-urlencode`.

use netarium_base::Rng;

use super::options::Files;

/// One `-F`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    name: String,
    contents: Vec<Contents>,
    /// `@`: sent as files, each with its name.
    files: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents {
    /// The bytes; `None` for a file that is not there.
    data: Option<Vec<u8>>,
    kind: Option<String>,
    file_name: Option<String>,
    headers: Vec<String>,
}

/// Reads `name=content`, `name=@file[,file…]`, `name=<file`, each with `;type=`, `;filename=`,
/// `;headers=` behind; `literal` (`--form-string`) takes everything as content.
pub(super) fn parse(text: &str, literal: bool, files: &dyn Files) -> Result<Part, String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("Illegally formatted input field!".to_owned());
    };
    let mut part = Part { name: name.to_owned(), contents: Vec::new(), files: false };
    if literal {
        part.contents.push(Contents::of(Some(value.as_bytes().to_vec())));
        return Ok(part);
    }
    match value.chars().next() {
        Some('@') => {
            part.files = true;
            let mut rest = &value[1..];
            loop {
                let (path, after) = word(rest, &[',', ';']);
                let mut contents = Contents::of(files.read(&path));
                let base = path.rsplit('/').next().unwrap_or(&path).to_owned();
                contents.kind = Some(content_type(&base).to_owned());
                contents.file_name = Some(base);
                let after = contents.parameters(after, &[',']);
                part.contents.push(contents);
                match after.strip_prefix(',') {
                    Some(more) if part.contents.len() < 100 => rest = more,
                    _ => break,
                }
            }
        }
        Some('<') => {
            let (path, after) = word(&value[1..], &[';']);
            let mut contents = Contents::of(files.read(&path));
            contents.parameters(after, &[]);
            part.contents.push(contents);
        }
        _ => {
            let (text, after) = word(value, &[';']);
            let mut contents = Contents::of(Some(text.into_bytes()));
            contents.parameters(after, &[]);
            part.contents.push(contents);
        }
    }
    Ok(part)
}

impl Contents {
    fn of(data: Option<Vec<u8>>) -> Contents {
        Contents { data, kind: None, file_name: None, headers: Vec::new() }
    }

    /// Reads `;key=value` pairs; gives what is left.
    fn parameters<'a>(&mut self, mut rest: &'a str, ends: &[char]) -> &'a str {
        while let Some(after) = rest.strip_prefix(';') {
            let after = after.trim_start();
            let stops: Vec<char> = ends.iter().copied().chain([';']).collect();
            let Some((key, value)) = after.split_once('=') else {
                rest = &after[after.find(&stops[..]).unwrap_or(after.len())..];
                continue;
            };
            let (value, left) = word(value, &stops);
            match key.trim() {
                "type" => self.kind = Some(value),
                "filename" => self.file_name = Some(value),
                "headers" => self.headers.push(value),
                _ => {}
            }
            rest = left;
        }
        rest
    }
}

/// A word up to one of `ends`, or a quoted one; and what follows it.
fn word<'a>(text: &'a str, ends: &[char]) -> (String, &'a str) {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    let rest = &quoted[at + 1..];
                    let skip = rest.find(ends).unwrap_or(rest.len());
                    return (out, &rest[skip..]);
                }
                '\\' => out.extend(chars.next().map(|c| c.1)),
                c => out.push(c),
            }
        }
    }
    let end = text.find(ends).unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

/// By the end of the name, as curl guesses.
fn content_type(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map_or(String::new(), |e| e.1.to_ascii_lowercase());
    match end.as_str() {
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        "htm" | "html" => "text/html",
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

/// The body of the whole form and the boundary in it; `None` when a file is not there.
pub(super) fn body(parts: &[Part], chance: &mut Rng) -> Option<(String, Vec<u8>)> {
    let mut boundary = || format!("------------------------{:016x}", chance.next_u64());
    let outer = boundary();
    let mut out = Vec::new();
    let mut put = |text: &str, data: &[u8]| {
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(data);
    };
    for part in parts {
        put(
            &format!("--{outer}\r\nContent-Disposition: form-data; name=\"{}\"", quote(&part.name)),
            b"",
        );
        if let [one] = &part.contents[..] {
            put(&one.fields(), one.data.as_deref()?);
            put("\r\n", b"");
            continue;
        }
        let inner = boundary();
        put(&format!("\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n"), b"");
        for one in &part.contents {
            put(&format!("--{inner}\r\nContent-Disposition: attachment"), b"");
            put(&one.fields(), one.data.as_deref()?);
            put("\r\n", b"");
        }
        put(&format!("--{inner}--\r\n\r\n"), b"");
    }
    put(&format!("--{outer}--\r\n"), b"");
    Some((outer, out))
}

impl Contents {
    fn fields(&self) -> String {
        let mut out = String::new();
        if let Some(name) = &self.file_name {
            out.push_str(&format!("; filename=\"{}\"", quote(name)));
        }
        out.push_str("\r\n");
        if let Some(kind) = &self.kind {
            out.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        for header in self.headers.iter().filter(|h| !h.contains(['\r', '\n'])) {
            out.push_str(&format!("{header}\r\n"));
        }
        out + "\r\n"
    }
}

/// As browsers escape names (HTML standard, multipart/form-data).
fn quote(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// Everything but unreserved characters as `%XX`, blanks as `+`.
pub(super) fn urlencode(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for &b in bytes {
        match b {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => out.push(char::from(b)),
            b => _ = write!(out, "%{b:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct None;

    impl Files for None {
        fn read(&self, _: &str) -> Option<Vec<u8>> {
            Option::None
        }

        fn modified(&self, _: &str) -> Option<u64> {
            Option::None
        }
    }

    proptest::proptest! {
        #[test]
        fn any_field_is_read_without_panic(text in "([a-z=@<;,\"\\\\]|type=|filename=){0,20}|\\PC{0,20}") {
            if let Ok(part) = parse(&text, false, &None) {
                let mut rng = netarium_base::Seed(1).stream("test", "form");
                let _ = body(&[part], &mut rng);
            }
            let _ = urlencode(text.as_bytes());
        }
    }
}
