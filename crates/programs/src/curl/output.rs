//! Where the body and the headers go: standard output or a file, as they came or unpacked.

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};
use std::io::Write as _;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::exchange::Failure;

/// The largest file that `-o` writes; more fails with exit code 23.
pub(super) const FILE_LIMIT: usize = netarium_world::files::FILE_MAX;
/// The most bytes of header lines that `-D` keeps.
const DUMP_MAX: usize = 1 << 20;

/// Where the body goes.
pub(super) enum Place<'a> {
    /// Standard output.
    Stream(&'a mut (dyn AsyncWrite + Unpin)),
    /// A file, written when the transfer has ended.
    File {
        /// What came so far, after what was there before.
        contents: Vec<u8>,
        /// The most bytes a file has.
        limit: usize,
    },
    /// `/dev/null`.
    Null,
}

/// The body's way out.
pub(super) struct Sink<'a> {
    pub(super) place: Place<'a>,
    /// `-i`: header lines go out, too.
    pub(super) include: bool,
    /// `-D FILE`: header lines are kept; `-D -` puts them out at once.
    pub(super) dump: Option<Vec<u8>>,
    /// Standard output, for `-D -`.
    pub(super) dump_shown: Option<Box<dyn AsyncWrite + Unpin>>,
    decoder: Option<Decoder>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(place: Place<'a>) -> Sink<'a> {
        Sink { place, include: false, dump: None, dump_shown: None, decoder: None }
    }

    /// What the body of the response that begins is packed with (`--compressed`).
    ///
    /// # Errors
    /// When nobody here can unpack it.
    pub(super) fn decode(&mut self, encodings: &str) -> Result<(), Failure> {
        self.decoder = None;
        for name in encodings.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let name = name.to_ascii_lowercase();
            match name.as_str() {
                "identity" => {}
                "gzip" | "x-gzip" if self.decoder.is_none() => {
                    self.decoder = Some(Decoder::Gzip(GzDecoder::new(Vec::new())));
                }
                "deflate" if self.decoder.is_none() => self.decoder = Some(Decoder::Unknown),
                _ => {
                    let text = "Unrecognized or bad HTTP Content or Transfer-Encoding";
                    return Err(Failure::new(61, text));
                }
            }
        }
        Ok(())
    }

    /// A header line with its line end.
    pub(super) async fn header(&mut self, raw: &[u8]) -> Result<(), Failure> {
        if let Some(dump) = &mut self.dump
            && dump.len() + raw.len() <= DUMP_MAX
        {
            dump.extend_from_slice(raw);
        }
        // `-D -` and `-i` ask for their own copy each.
        if let Some(out) = &mut self.dump_shown {
            put_stream(&mut **out, raw).await?;
        }
        if self.include { self.put(raw).await } else { Ok(()) }
    }

    /// Takes some of the body; waits while nobody reads standard output.
    pub(super) async fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        let Some(decoder) = &mut self.decoder else { return self.put(data).await };
        // In small pieces: what comes out of one is bounded.
        for piece in data.chunks(4096) {
            let plain = decoder.feed(piece)?;
            match &mut self.place {
                Place::Stream(out) => put_stream(&mut **out, &plain).await?,
                place => put_file(place, &plain)?,
            }
        }
        Ok(())
    }

    async fn put(&mut self, data: &[u8]) -> Result<(), Failure> {
        match &mut self.place {
            Place::Stream(out) => put_stream(&mut **out, data).await,
            place => put_file(place, data),
        }
    }
}

async fn put_stream(out: &mut (dyn AsyncWrite + Unpin), data: &[u8]) -> Result<(), Failure> {
    let failed = |_| Failure::new(23, "Failure writing output to destination");
    out.write_all(data).await.map_err(failed)
}

fn put_file(place: &mut Place<'_>, data: &[u8]) -> Result<(), Failure> {
    if let Place::File { contents, limit } = place {
        if contents.len() + data.len() > *limit {
            let text = format!("Failed writing body: a file has at most {limit} bytes");
            return Err(Failure::new(23, text));
        }
        contents.extend_from_slice(data);
    }
    Ok(())
}

/// Unpacks a content coding (RFC 9110 §8.4.1).
enum Decoder {
    Gzip(GzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
    /// Some servers mean the bare stream when they say `deflate`.
    Deflate(DeflateDecoder<Vec<u8>>),
    /// `deflate`, before its first byte.
    Unknown,
}

impl Decoder {
    fn feed(&mut self, data: &[u8]) -> Result<Vec<u8>, Failure> {
        if let (Decoder::Unknown, Some(first)) = (&self, data.first()) {
            *self = if first & 0x0f == 8 {
                Decoder::Zlib(ZlibDecoder::new(Vec::new()))
            } else {
                Decoder::Deflate(DeflateDecoder::new(Vec::new()))
            };
        }
        let result = match self {
            Decoder::Gzip(d) => d.write_all(data).and_then(|()| d.flush()),
            Decoder::Zlib(d) => d.write_all(data).and_then(|()| d.flush()),
            Decoder::Deflate(d) => d.write_all(data).and_then(|()| d.flush()),
            Decoder::Unknown => Ok(()),
        };
        result.map_err(|e| {
            let text = format!("Error while processing content unencoding: {e}");
            Failure::new(61, text)
        })?;
        Ok(match self {
            Decoder::Gzip(d) => std::mem::take(d.get_mut()),
            Decoder::Zlib(d) => std::mem::take(d.get_mut()),
            Decoder::Deflate(d) => std::mem::take(d.get_mut()),
            Decoder::Unknown => Vec::new(),
        })
    }
}

/// The file name in a `Content-Disposition` field, without folders (RFC 6266 §4.3).
pub(super) fn disposition(value: &str) -> Option<String> {
    for part in value.split(';').skip(1) {
        let (key, name) = part.split_once('=')?;
        if !key.trim().eq_ignore_ascii_case("filename") {
            continue;
        }
        let name = name.trim();
        let name = match name.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or(""),
            None => name,
        };
        let base = name.rsplit(['/', '\\']).next().unwrap_or("");
        let safe = !base.is_empty() && base != "." && base != "..";
        return (safe && !base.contains(|c: char| c.is_control())).then(|| base.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_folders() {
        assert_eq!(disposition("attachment; filename=\"a b.txt\""), Some("a b.txt".into()));
        assert_eq!(disposition("attachment; x=y; filename=../../etc/x"), Some("x".into()));
        assert_eq!(disposition("attachment; filename=\"..\""), None);
        assert_eq!(disposition("inline"), None);
    }
}
