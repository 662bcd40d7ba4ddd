//! Where a chunked body ends (RFC 9112 §7.1): hyper takes it apart, this only watches its framing.

use http::StatusCode;

use super::gate::Refusal;

/// The most bytes of chunk extensions in one body.
const EXTENSIONS_MAX: usize = 4 * 1024;
/// The most digits of a chunk's size, leading zeros included.
const DIGITS_MAX: u8 = 64;
/// The most trailer fields.
const TRAILERS_MAX: usize = 32;

/// Where in a chunked body the stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    place: Place,
    extensions: usize,
    trailers: usize,
    /// The longest trailer, bytes.
    field: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Size { digits: u8, size: u64 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    Trailer { length: usize },
    TrailerLf { length: usize },
    End,
}

/// How far a run came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes are part of the body, which goes on.
    Some(usize),
    /// So many bytes are the rest of it.
    End(usize),
    Bad(Refusal),
}

const fn bad(why: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, why }
}

impl Chunks {
    pub(super) fn new(field: usize) -> Chunks {
        Chunks { place: Place::Size { digits: 0, size: 0 }, extensions: 0, trailers: 0, field }
    }

    /// Goes through bytes of the body.
    pub(super) fn run(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while at < bytes.len() {
            if let Place::Data { left } = &mut self.place {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                *left -= n as u64;
                at += n;
                if *left == 0 {
                    self.place = Place::DataCr;
                }
                continue;
            }
            self.place = match self.step(bytes[at]) {
                Ok(place) => place,
                Err(refusal) => return Step::Bad(refusal),
            };
            at += 1;
            if self.place == Place::End {
                return Step::End(at);
            }
        }
        Step::Some(at)
    }

    fn step(&mut self, b: u8) -> Result<Place, Refusal> {
        Ok(match self.place {
            Place::Size { digits, size } => match (char::from(b).to_digit(16), b) {
                (Some(_), _) if size >> 56 != 0 => {
                    let why = "a chunk larger than there can be";
                    return Err(Refusal { status: StatusCode::PAYLOAD_TOO_LARGE, why });
                }
                // Leading zeros mean nothing (RFC 9112 §7.1), but somewhere they end.
                (Some(_), _) if digits >= DIGITS_MAX => {
                    return Err(bad("a chunk size with more zeros than anybody writes"));
                }
                (Some(d), _) => Place::Size { digits: digits + 1, size: size << 4 | u64::from(d) },
                (None, b'\r') if digits > 0 => Place::SizeLf { size },
                (None, b';') if digits > 0 => Place::Extension { size },
                _ => return Err(bad("a chunk size that is no number")),
            },
            Place::Extension { size } => {
                self.extensions += 1;
                match b {
                    b'\r' => Place::SizeLf { size },
                    b'\t' | b' '..=b'~' | 0x80.. if self.extensions <= EXTENSIONS_MAX => {
                        Place::Extension { size }
                    }
                    _ => return Err(bad("a chunk extension that is too long or has controls")),
                }
            }
            Place::SizeLf { size: 0 } if b == b'\n' => Place::Trailer { length: 0 },
            Place::SizeLf { size } if b == b'\n' => Place::Data { left: size },
            Place::DataCr if b == b'\r' => Place::DataLf,
            Place::DataLf if b == b'\n' => Place::Size { digits: 0, size: 0 },
            Place::Trailer { length } => self.trailer(length, b)?,
            Place::TrailerLf { length: 0 } if b == b'\n' => Place::End,
            Place::TrailerLf { .. } if b == b'\n' => Place::Trailer { length: 0 },
            _ => return Err(bad("a chunk does not end where it says")),
        })
    }

    fn trailer(&mut self, length: usize, b: u8) -> Result<Place, Refusal> {
        if length == 0 && b != b'\r' {
            self.trailers += 1;
        }
        match b {
            b'\r' => Ok(Place::TrailerLf { length }),
            b' ' | b'\t' if length == 0 => Err(bad("a folded trailer")),
            b'\t' | b' '..=b'~' | 0x80..
                if length < self.field && self.trailers <= TRAILERS_MAX =>
            {
                Ok(Place::Trailer { length: length + 1 })
            }
            _ => Err(bad("a trailer that is too long or has controls")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Step {
        Chunks::new(64).run(text.as_bytes())
    }

    #[test]
    fn the_end_is_found() {
        for (body, expect) in [
            ("0\r\n\r\n", Step::End(5)),
            ("5\r\nhello\r\n0\r\n\r\nGET", Step::End(15)),
            ("5;a=\"b\"\r\nhello\r\n0;x\r\nT: 1\r\n\r\n", Step::End(29)),
            ("5\r\nhel", Step::Some(6)),
            ("A\r\n0123456789\r\n00\r\n\r\n", Step::End(21)),
            ("00000000000000000001\r\nx\r\n0\r\n\r\n", Step::End(30)),
        ] {
            assert_eq!(all(body), expect, "{body:?}");
            // The same byte by byte.
            let mut chunks = Chunks::new(64);
            let mut last = Step::Some(0);
            for (n, b) in body.bytes().enumerate() {
                last = chunks.run(&[b]);
                if last != Step::Some(1) {
                    assert_eq!(expect, Step::End(n + 1), "{body:?}");
                    break;
                }
            }
            assert_eq!(matches!(last, Step::End(1)), matches!(expect, Step::End(_)));
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for body in [
            "\r\n",
            "g\r\n",
            "0x5\r\n",
            "+5\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\nhello\n",
            "-1\r\n",
            "5\r\nhelloX",
            "5\r\nhello\n0",
            "5\r\nhello\r\r",
            "0\r\n\n",
            "0\r\n a: b\r\n\r\n",
            "5;\n",
            "5;\0\r\n",
            "0\r\na\0: b\r\n",
        ] {
            assert!(matches!(all(body), Step::Bad(r) if r.status == 400), "{body:?}");
        }
        let zeros = all(&format!("{}5\r\n", "0".repeat(64)));
        assert!(matches!(zeros, Step::Bad(r) if r.status == 400), "endless zeros");
        let over = all("fffffffffffffffff\r\n");
        assert!(matches!(over, Step::Bad(r) if r.status == 413));
        assert!(matches!(all(&format!("0\r\nT: {}\r\n", "x".repeat(64))), Step::Bad(_)));
        assert!(matches!(all(&format!("1;{}\r\n", "x".repeat(5_000))), Step::Bad(_)));
        assert!(matches!(all(&format!("0\r\n{}", "a: b\r\n".repeat(40))), Step::Bad(_)));
    }
}
