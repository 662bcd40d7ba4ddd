//! A recording as a file: written as the run goes, read whole.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use netarium_lab::Lab;
use netarium_lab::recording::write_head;
use netarium_world::{JournalSink, World};

/// The largest recording that is read, bytes.
pub const RECORDING_MAX: u64 = 4 << 30;

/// A recording that is being written. What is handed to it is in the file (in the system's hands)
/// at once, so that the program may end in any way; a machine that loses power may lose more.
#[derive(Debug)]
pub struct RecordingFile {
    file: File,
    failed: Failure,
}

/// Tells afterwards whether all was written.
#[derive(Clone, Debug, Default)]
pub struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    /// The first error, once.
    pub fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl RecordingFile {
    /// Creates the file, or empties it, and writes the lab into it. `runs` says whether the lab's
    /// `[[run]]` entries run by themselves.
    ///
    /// # Errors
    /// When the file cannot be written, or the lab is too large for a recording.
    pub fn create(path: &Path, lab: &Lab, runs: bool) -> io::Result<RecordingFile> {
        let head = write_head(lab, runs)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
        let mut file = File::create(path)?;
        file.write_all(&head)?;
        Ok(RecordingFile { file, failed: Failure::default() })
    }

    /// Where to ask, at the end, whether all was written.
    pub fn failure(&self) -> Failure {
        self.failed.clone()
    }

    /// Records a world, from its beginning.
    pub fn record(self, world: &mut World) {
        world.spill_journal(Box::new(Sink { file: Some(self.file), failed: self.failed }));
    }
}

struct Sink {
    /// None after an error: after a gap nothing could be replayed.
    file: Option<File>,
    failed: Failure,
}

impl JournalSink for Sink {
    fn append(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        if let Err(e) = file.write_all(bytes) {
            *self.failed.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            self.file = None;
        }
    }
}

/// Reads a recording, also one that is still being written.
///
/// # Errors
/// When the file cannot be read, or has more than [`RECORDING_MAX`] bytes.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(RECORDING_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > RECORDING_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 4 GiB"));
    }
    Ok(bytes)
}
