//! The head of a recording: the lab that was recorded, whole, so that the recording replays
//! anywhere. Behind it stands the journal (see `netarium_world::journal::codec`); `docs/recording.md`
//! describes the file byte by byte.
//!
//! ```text
//! head   = "NETARIUM-R\n" version:u32 flags:u32 lab:text files:u32 file* check:u64
//! file   = path:text contents
//! text   = length:u32 bytes, UTF-8
//! contents = length:u64 bytes
//! ```
//!
//! All numbers are little-endian. `flags` bit 0: the lab's `[[run]]` commands ran by themselves;
//! the other bits are 0. `check` is a hash of everything before it.

use netarium_base::Seed;

use crate::files::Files;
use crate::limits::{MAX_FILE_BYTES, MAX_FILES};
use crate::{Lab, LabErrors};

/// How every recording begins.
pub const MAGIC: &[u8] = b"NETARIUM-R\n";
/// The version written here.
pub const VERSION: u32 = 1;
/// The lab's commands ran by themselves.
const RUNS: u32 = 1;

/// The head of a recording, read.
#[derive(Clone, Debug)]
pub struct Head {
    /// The lab.
    pub lab: Lab,
    /// Whether its `[[run]]` commands ran by themselves.
    pub runs: bool,
    /// Where the journal begins.
    pub journal: usize,
}

/// Why bytes are not a recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// They do not begin as one.
    #[error("this is not a recording of Netarium")]
    NotARecording,
    /// Another version.
    #[error("the recording has version {0}; this build reads version {VERSION}")]
    Version(u32),
    /// They end before the lab does: nothing can be replayed.
    #[error("the recording is cut inside the lab, before anything happened")]
    Cut,
    /// They contradict the format.
    #[error("the recording is damaged: {0}")]
    Damaged(&'static str),
    /// The lab is not one for this build.
    #[error("the recorded lab cannot be read: {0}")]
    Lab(#[from] LabErrors),
}

/// Writes the head of a recording of this lab. Live edits are not in it: they are in the journal.
///
/// # Errors
/// When the lab, written out, is larger than a lab file may be: it could not be read again.
pub fn write_head(lab: &Lab, runs: bool) -> Result<Vec<u8>, HeadError> {
    let text = lab.to_toml();
    if text.len() > MAX_FILE_BYTES {
        return Err(HeadError::Damaged("the lab is too large to be recorded"));
    }
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((if runs { RUNS } else { 0 }).to_le_bytes());
    write_text(&mut out, &text);
    out.extend((lab.files().len() as u32).to_le_bytes());
    for (path, contents) in lab.files().iter() {
        write_text(&mut out, path);
        out.extend((contents.len() as u64).to_le_bytes());
        out.extend_from_slice(contents);
    }
    out.extend(check(&out).to_le_bytes());
    Ok(out)
}

/// Reads the head of a recording. `known_programs` are the names that commands may start with.
///
/// # Errors
/// See [`HeadError`]. Whatever the bytes are, no more memory is taken than they have.
pub fn read_head(all: &[u8], known_programs: &[&str]) -> Result<Head, HeadError> {
    let begins = all.len().min(MAGIC.len());
    if all[..begins] != MAGIC[..begins] {
        return Err(HeadError::NotARecording);
    }
    let mut rest = Rest(all.get(MAGIC.len()..).ok_or(HeadError::Cut)?);
    let version = rest.u32()?;
    if version != VERSION {
        return Err(HeadError::Version(version));
    }
    let flags = rest.u32()?;
    if flags & !RUNS != 0 {
        return Err(HeadError::Damaged("it has flags that this build does not know"));
    }
    let text = rest.text()?;
    let files = rest.files()?;
    let read = all.len() - rest.0.len();
    if rest.u64()? != check(&all[..read]) {
        return Err(HeadError::Damaged("the lab is not what was recorded"));
    }
    let lab = Lab::from_parts("recording.toml", text, &files, known_programs)?;
    Ok(Head { lab, runs: flags & RUNS != 0, journal: read + 8 })
}

fn check(bytes: &[u8]) -> u64 {
    Seed(0).luck("recording", "head").hash(bytes)
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], HeadError> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(HeadError::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], HeadError> {
        self.take(N)?.try_into().map_err(|_| HeadError::Cut)
    }

    fn u32(&mut self) -> Result<u32, HeadError> {
        self.number().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, HeadError> {
        self.number().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'a str, HeadError> {
        let len = self.u32()? as usize;
        if len > MAX_FILE_BYTES {
            return Err(HeadError::Damaged("a text is longer than any can be"));
        }
        std::str::from_utf8(self.take(len)?).map_err(|_| HeadError::Damaged("a text is not UTF-8"))
    }

    fn files(&mut self) -> Result<Files, HeadError> {
        let count = self.u32()? as usize;
        if count > MAX_FILES {
            return Err(HeadError::Damaged("more files than a lab can have"));
        }
        let mut files = Files::new();
        for _ in 0..count {
            let path = self.text()?;
            let len = usize::try_from(self.u64()?).map_err(|_| HeadError::Cut)?;
            let contents = self.take(len)?.to_vec();
            let refused = |_| HeadError::Damaged("a file that no lab can have");
            files.insert(path, contents).map_err(refused)?;
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAMS: [&str; 7] = ["httpd", "curl", "dig", "nsd", "ping", "shop", "unbound"];

    fn course() -> Lab {
        crate::builtin("course").unwrap().load(&PROGRAMS).unwrap()
    }

    #[test]
    fn a_lab_is_read_as_it_was_written_and_every_cut_is_told() {
        let (lab, known) = (course(), PROGRAMS);
        let bytes = write_head(&lab, true).unwrap();
        let head = read_head(&bytes, &known).unwrap();
        assert_eq!((head.runs, head.journal), (true, bytes.len()));
        assert_eq!(head.lab.to_toml(), lab.to_toml());
        assert_eq!(head.lab.files(), lab.files());
        for cut in 0..bytes.len() {
            let error = read_head(&bytes[..cut], &known).unwrap_err();
            assert!(matches!(error, HeadError::Cut), "{cut}: {error}");
        }
        for at in (MAGIC.len()..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(read_head(&damaged, &known).is_err(), "byte {at}");
        }
        assert!(matches!(read_head(b"pcap", &known), Err(HeadError::NotARecording)));
    }
}
