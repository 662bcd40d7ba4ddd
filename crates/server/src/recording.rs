//! A run's journal on disk: written as the run goes, and readable meanwhile.
//!
//! A running lab always has one. `--record` puts it into a file behind the lab itself; otherwise it
//! lies in memory at first and then in a temporary file without a name, which vanishes with the
//! process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netarium_lab::Lab;
use netarium_lab::recording::write_head;
use netarium_world::{JournalSink, World};
use tempfile::SpooledTempFile;

/// The largest recording that is read, bytes.
pub const RECORDING_MAX: u64 = 4 << 30;
/// What a journal without a file of its own holds in memory.
const MEMORY: usize = 8 * 1024 * 1024;
/// What is recorded at most without a file of its own; what comes later is left out, and the
/// journal is good up to there.
const TEMPORARY_MAX: u64 = 1 << 30;
/// What is read at once while the run waits.
const PIECE: u64 = 1 << 20;

/// The journal of a run. What is handed to it is in the file (in the system's hands) at once, so
/// that the program may end in any way; a machine that loses power may lose more.
///
/// Clones are the same journal.
#[derive(Clone, Debug)]
pub struct Tape(Arc<Mutex<Store>>);

#[derive(Debug)]
struct Store {
    file: Backing,
    /// Bytes before the journal.
    head: u64,
    /// Bytes of the journal.
    written: u64,
    most: u64,
    /// Nothing more is recorded: after a gap nothing could be replayed.
    full: bool,
    failed: Option<io::Error>,
}

#[derive(Debug)]
enum Backing {
    Named(File),
    Temporary(SpooledTempFile),
}

impl Tape {
    /// A journal without a file of its own, of at most 1 GiB.
    pub fn temporary() -> Tape {
        Tape::new(Backing::Temporary(SpooledTempFile::new(MEMORY)), 0, TEMPORARY_MAX)
    }

    /// Creates the file, or empties it, and writes the lab into it. `runs` says whether the lab's
    /// `[[run]]` entries run by themselves.
    ///
    /// # Errors
    /// When the file cannot be written, or the lab is too large for a recording.
    pub fn create(path: &Path, lab: &Lab, runs: bool) -> io::Result<Tape> {
        let head = write_head(lab, runs)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.write_all(&head)?;
        Ok(Tape::new(Backing::Named(file), head.len() as u64, u64::MAX))
    }

    fn new(file: Backing, head: u64, most: u64) -> Tape {
        let store = Store { file, head, written: 0, most, full: false, failed: None };
        Tape(Arc::new(Mutex::new(store)))
    }

    /// Records a world, from its beginning.
    pub fn record(&self, world: &mut World) {
        world.spill_journal(Box::new(self.clone()));
    }

    /// Why not all was written, once: the disk refused.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.store().failed.take()
    }

    /// The journal so far. The run goes on meanwhile: it waits for a piece of 1 MiB at most.
    ///
    /// # Errors
    /// When the file cannot be read, or has more than [`RECORDING_MAX`] bytes.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let end = self.store().written;
        if end > RECORDING_MAX {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < end {
            let piece = PIECE.min(end - bytes.len() as u64);
            self.store().read(&mut bytes, piece)?;
        }
        Ok(bytes)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Backing::Named(file) => file.write_all(bytes),
            Backing::Temporary(file) => file.write_all(bytes),
        }
    }

    /// Appends `piece` bytes of the journal to `bytes`, from where those end.
    fn read(&mut self, bytes: &mut Vec<u8>, piece: u64) -> io::Result<()> {
        let from = SeekFrom::Start(self.head + bytes.len() as u64);
        let wanted = bytes.len() as u64 + piece;
        let read = match &mut self.file {
            Backing::Named(file) => read_at(file, from, piece, bytes),
            Backing::Temporary(file) => read_at(file, from, piece, bytes),
        };
        if read.is_ok() && (bytes.len() as u64) < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read
    }
}

/// Reads, and leaves the file where it is written on.
fn read_at(
    file: &mut (impl Read + Seek),
    from: SeekFrom,
    piece: u64,
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    file.seek(from)?;
    let read = file.take(piece).read_to_end(bytes);
    file.seek(SeekFrom::End(0))?;
    read.map(drop)
}

impl JournalSink for Tape {
    fn append(&mut self, bytes: &[u8]) {
        let mut store = self.store();
        store.full |= store.written + bytes.len() as u64 > store.most;
        if store.full {
            return;
        }
        match store.append(bytes) {
            Ok(()) => store.written += bytes.len() as u64,
            Err(e) => (store.full, store.failed) = (true, Some(e)),
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 4 GiB")
}

/// Reads a recording, also one that is still being written.
///
/// # Errors
/// When the file cannot be read, or has more than [`RECORDING_MAX`] bytes.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(RECORDING_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > RECORDING_MAX {
        return Err(too_large());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_ends_at_its_limit_and_has_no_gap() {
        let mut tape = Tape::new(Backing::Temporary(SpooledTempFile::new(4)), 0, 10);
        for piece in [&b"1234"[..], b"56", b"789ab", b"c"] {
            tape.append(piece);
            assert!(b"123456".starts_with(&tape.read().unwrap()), "read while it is written");
        }
        assert_eq!(tape.read().unwrap(), b"123456");
    }

    #[test]
    fn a_file_is_read_behind_its_head_and_written_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, b"head").unwrap();
        let file = File::options().read(true).append(true).open(&path).unwrap();
        let mut tape = Tape::new(Backing::Named(file), 4, u64::MAX);
        let long = vec![7; 3 * PIECE as usize + 5];
        tape.append(&long);
        assert!(tape.read().unwrap() == long);
        tape.append(b"!");
        assert_eq!(tape.read().unwrap().len(), long.len() + 1);
        assert_eq!(std::fs::read(&path).unwrap().last(), Some(&b'!'));
    }
}
