//! Files that a command writes: captures and traces.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netarium_server::recording::Tape;

use crate::exit::Error;

/// A file that is being written. It is created before anything is started, so that a path that
/// cannot be written costs nothing.
#[derive(Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
    file: BufWriter<File>,
    failed: Option<io::Error>,
}

/// A file that several write to, on one thread.
pub(crate) type SharedFile = Rc<RefCell<OutputFile>>;

impl OutputFile {
    /// Creates the file, or empties it.
    pub(crate) fn create(path: &Path) -> Result<OutputFile, Error> {
        let file = File::create(path)
            .map_err(|e| Error::Usage(format!("cannot write {}: {e}", path.display()), None))?;
        let file = BufWriter::with_capacity(1024 * 1024, file);
        Ok(OutputFile { path: path.to_owned(), file, failed: None })
    }

    /// Shares it.
    pub(crate) fn shared(self) -> SharedFile {
        Rc::new(RefCell::new(self))
    }

    /// Writes; the first error is kept for [`finish`](Self::finish).
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(bytes).err();
        }
    }

    /// Writes what is left, and tells whether all was written.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        let result = match self.failed.take() {
            Some(e) => Err(e),
            None => self.file.flush(),
        };
        result.map_err(|e| Error::failed(format_args!("cannot write {}: {e}", self.path.display())))
    }
}

impl netarium::world::ByteSink for OutputFile {
    fn write(&mut self, bytes: &[u8]) {
        OutputFile::write(self, bytes);
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.flush().err();
        }
    }
}

/// A file that another thread writes, to the end of the lab.
#[derive(Clone, Debug)]
pub(crate) struct ThreadFile(Arc<Mutex<OutputFile>>);

impl ThreadFile {
    pub(crate) fn new(file: OutputFile) -> ThreadFile {
        ThreadFile(Arc::new(Mutex::new(file)))
    }

    fn file(&self) -> MutexGuard<'_, OutputFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is left, and tells whether all was written.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        self.file().finish()
    }
}

impl netarium::world::ByteSink for ThreadFile {
    fn write(&mut self, bytes: &[u8]) {
        self.file().write(bytes);
    }

    fn flush(&mut self) {
        netarium::world::ByteSink::flush(&mut *self.file());
    }
}

/// Completes a shared file.
pub(crate) fn finish(file: &SharedFile) -> Result<(), Error> {
    file.borrow_mut().finish()
}

/// Creates a recording of a lab.
pub(crate) fn recording_file(
    path: &Path,
    lab: &netarium::lab::Lab,
    runs: bool,
) -> Result<Tape, Error> {
    Tape::create(path, lab, runs)
        .map_err(|e| Error::Usage(format!("cannot write {}: {e}", path.display()), None))
}

/// Tells whether the recording was written whole.
pub(crate) fn recorded_all(tape: &Tape) -> Result<(), Error> {
    tape.take_failure().map_or(Ok(()), |e| {
        Err(Error::failed(format_args!(
            "the recording is incomplete, it could not be written: {e}"
        )))
    })
}
