//! Reading a response the way curl reads it: header lines as they stand on the wire, framing by
//! RFC 9112 §6.3, and everything that is wrong told apart by curl's exit codes.

/// The most bytes of header lines, as in curl.
pub(super) const HEADERS_MAX: usize = 300 * 1024;

/// What the header lines of a response say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The status code; 0 before the status line was read.
    pub(super) status: u16,
    /// Whether the status line says HTTP/1.0.
    pub(super) http10: bool,
    /// The value of Content-Length.
    pub(super) length: Option<u64>,
    /// Whether the body comes in chunks.
    pub(super) chunked: bool,
    /// That the Connection field says `close`.
    pub(super) close: bool,
    /// That it says `keep-alive`.
    pub(super) keep_alive: bool,
    /// The value of Location.
    pub(super) location: Option<String>,
    /// The value of Content-Type.
    pub(super) content_type: Option<String>,
    /// Bytes of all header lines.
    pub(super) size: usize,
    /// The header fields in order, names as they came.
    pub(super) list: Vec<(String, String)>,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    None,
    /// After so many bytes.
    Length(u64),
    /// By an empty chunk.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// Why header lines are not a response: (curl's exit code, message).
pub(super) type Wrong = (i32, String);

impl Head {
    /// Takes in one line, without its line end. `Ok(true)` at the empty line that ends the head.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<bool, Wrong> {
        self.size += line.len() + 2;
        if self.size > HEADERS_MAX {
            let text = format!("Too large response headers: {} > {HEADERS_MAX}", self.size);
            return Err((56, text));
        }
        if self.status == 0 {
            return self.status_line(line).map(|()| false);
        }
        if line.is_empty() {
            return Ok(true);
        }
        let text = String::from_utf8_lossy(line);
        if let Some((name, value)) = text.split_once(':') {
            self.list.push((name.to_owned(), value.trim().to_owned()));
            self.field(&name.to_ascii_lowercase(), value.trim())?;
        }
        Ok(false)
    }

    fn status_line(&mut self, line: &[u8]) -> Result<(), Wrong> {
        let http09 = || (1, "Received HTTP/0.9 when not allowed".to_owned());
        let text = std::str::from_utf8(line).map_err(|_| http09())?;
        let rest = text.strip_prefix("HTTP/").ok_or_else(http09)?;
        let (version, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let code = rest.split(' ').next().unwrap_or("");
        let known = matches!(version, "1.0" | "1.1");
        if !known || code.len() != 3 || !code.bytes().all(|b| b.is_ascii_digit()) {
            return Err((1, "Unsupported HTTP version in response".to_owned()));
        }
        self.http10 = version == "1.0";
        self.status = code.parse().map_err(|_| http09())?;
        Ok(())
    }

    fn field(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        match name {
            "content-length" => {
                let bad = || (8, "Invalid Content-Length: value".to_owned());
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let n = if digits { value.parse().map_err(|_| bad())? } else { return Err(bad()) };
                self.length = Some(n);
            }
            "transfer-encoding" => {
                self.chunked = value.split(',').any(|v| v.trim().eq_ignore_ascii_case("chunked"));
            }
            "connection" => {
                let has = |w: &str| value.split(',').any(|v| v.trim().eq_ignore_ascii_case(w));
                self.close |= has("close");
                self.keep_alive |= has("keep-alive");
            }
            "location" => self.location = Some(value.to_owned()),
            "content-type" => self.content_type = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// The first field of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.list.iter().find(|f| f.0.eq_ignore_ascii_case(name));
        found.map(|f| f.1.as_str())
    }

    /// How the body of the answer to `method` ends.
    pub(super) fn framing(&self, head_request: bool) -> Framing {
        if head_request || matches!(self.status, 100..=199 | 204 | 304) {
            Framing::None
        } else if self.chunked {
            Framing::Chunked
        } else {
            self.length.map_or(Framing::UntilClose, Framing::Length)
        }
    }

    /// Whether the connection may carry another request.
    pub(super) fn keeps_alive(&self) -> bool {
        !self.close && (!self.http10 || self.keep_alive)
    }
}

/// Takes chunked transfer coding apart (RFC 9112 §7.1).
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: ChunkState,
    remaining: u64,
    digits: u8,
    line: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ChunkState {
    #[default]
    Size,
    Extension,
    Data,
    DataEnd,
    Trailer,
    Done,
}

/// The longest chunk extension or trailer line.
const CHUNK_LINE_MAX: usize = 16 * 1024;

impl Chunks {
    /// Whether the last chunk has been read.
    pub(super) fn done(&self) -> bool {
        self.state == ChunkState::Done
    }

    /// Decodes `input`, appending data to `out`; returns how much was taken (all of it unless
    /// the body ended before).
    pub(super) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Wrong> {
        let mut at = 0;
        while at < input.len() && !self.done() {
            if self.state == ChunkState::Data {
                let n =
                    (input.len() - at).min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
                out.extend_from_slice(&input[at..at + n]);
                at += n;
                self.remaining -= n as u64;
                if self.remaining == 0 {
                    self.state = ChunkState::DataEnd;
                }
            } else {
                self.byte(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn byte(&mut self, b: u8) -> Result<(), Wrong> {
        match (self.state, b) {
            (ChunkState::Size, b) if b.is_ascii_hexdigit() => {
                if self.digits == 15 {
                    return Err(wrong("Too long hexadecimal number"));
                }
                self.digits += 1;
                let digit = char::from(b).to_digit(16).unwrap_or(0);
                self.remaining = self.remaining << 4 | u64::from(digit);
            }
            (ChunkState::Size, _) if self.digits == 0 => {
                return Err(wrong("Illegal or missing hexadecimal sequence"));
            }
            (ChunkState::Size | ChunkState::Extension, b'\n') => self.size_read(),
            (ChunkState::Size | ChunkState::Extension, _) => {
                self.state = ChunkState::Extension;
                self.count_line()?;
            }
            (ChunkState::DataEnd, b'\r') => {}
            (ChunkState::DataEnd, b'\n') => self.state = ChunkState::Size,
            (ChunkState::DataEnd, _) => return Err(wrong("Malformed encoding found")),
            (ChunkState::Trailer, b'\n') if self.line == 0 => self.state = ChunkState::Done,
            (ChunkState::Trailer, b'\n') => self.line = 0,
            (ChunkState::Trailer, b'\r') => {}
            (ChunkState::Trailer, _) => self.count_line()?,
            (ChunkState::Data | ChunkState::Done, _) => {}
        }
        Ok(())
    }

    fn size_read(&mut self) {
        self.state = if self.remaining == 0 { ChunkState::Trailer } else { ChunkState::Data };
        self.digits = 0;
        self.line = 0;
    }

    fn count_line(&mut self) -> Result<(), Wrong> {
        self.line += 1;
        if self.line > CHUNK_LINE_MAX { Err(wrong("Too long line")) } else { Ok(()) }
    }
}

fn wrong(what: &str) -> Wrong {
    (56, format!("{what} in chunked-encoding"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[&str]) -> Result<Head, i32> {
        let mut h = Head::default();
        for l in lines {
            h.line(l.as_bytes()).map_err(|e| e.0)?;
        }
        Ok(h)
    }

    #[test]
    fn framing_follows_rfc_9112() {
        let of = |lines: &[&str]| head(lines).unwrap();
        let h = of(&["HTTP/1.1 200 OK", "content-LENGTH: 5", "Transfer-Encoding: chunked"]);
        assert_eq!(h.framing(false), Framing::Chunked);
        assert_eq!(h.framing(true), Framing::None);
        assert_eq!(of(&["HTTP/1.1 204 No", "Content-Length: 5"]).framing(false), Framing::None);
        assert_eq!(of(&["HTTP/1.1 200"]).framing(false), Framing::UntilClose);
        assert!(of(&["HTTP/1.1 200"]).keeps_alive());
        assert!(!of(&["HTTP/1.0 200"]).keeps_alive());
        assert!(of(&["HTTP/1.0 200", "Connection: Keep-Alive"]).keeps_alive());
        assert!(!of(&["HTTP/1.1 200", "Connection: x, close"]).keeps_alive());
        assert_eq!(head(&["garbage"]), Err(1));
        assert_eq!(head(&["HTTP/7 200"]), Err(1));
        assert_eq!(head(&["HTTP/1.1 200", "Content-Length: -1"]), Err(8));
        assert_eq!(head(&["HTTP/1.1 200", &"x".repeat(HEADERS_MAX)]), Err(56));
    }

    #[test]
    fn chunks_are_decoded_however_they_are_cut() {
        let wire = b"3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nrest";
        for cut in 1..wire.len() {
            let (mut chunks, mut out, mut taken) = (Chunks::default(), Vec::new(), 0);
            for piece in wire.chunks(cut) {
                taken += chunks.feed(piece, &mut out).unwrap();
            }
            assert!(chunks.done());
            assert_eq!(out, b"abc0123456789");
            assert_eq!(&wire[taken..], b"rest");
        }
        for bad in ["x\r\n", "\r\n", "1\r\nab", "1234567890abcdef0\r\n"] {
            let mut chunks = Chunks::default();
            assert_eq!(chunks.feed(bad.as_bytes(), &mut Vec::new()).unwrap_err().0, 56, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut h = Head::default();
            for line in bytes.split(|b| *b == b'\n') {
                if h.line(line).is_err() {
                    break;
                }
            }
            let _ = Chunks::default().feed(&bytes, &mut Vec::new());
        }
    }
}
