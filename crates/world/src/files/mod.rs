//! What programs see of files.
//!
//! 1. [`tree`]: the [`FileTree`], the lab's folder in memory, shared by all hosts;
//! 2. `view`: what one host sees of it: `files/HOST/` laid over the folder, and over both what
//!    was written while the world ran, each with the virtual time of its writing.
//!
//! Memory is bounded: a file has at most [`FILE_MAX`] bytes, a host's programs write at most
//! [`HOST_MAX`] bytes in [`HOST_FILES_MAX`] files.

pub mod tree;
pub(crate) mod view;

pub use tree::{FileTree, PATH_MAX, normalise};

use bytes::Bytes;
use netarium_base::Instant;

/// The most bytes of one file of the lab's folder.
pub const EDIT_MAX: usize = 512 * 1024 * 1024;
/// The most bytes of one file that a host's program writes.
pub const FILE_MAX: usize = 16 * 1024 * 1024;
/// The most bytes that the programs of one host may have written.
pub const HOST_MAX: usize = 64 * 1024 * 1024;
/// The most files that the programs of one host may have written.
pub const HOST_FILES_MAX: usize = 4_096;

/// Why a file operation failed, in the words of POSIX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file or folder.
    #[error("No such file or directory")]
    NotFound,
    /// The path names a folder where a file is needed.
    #[error("Is a directory")]
    IsDirectory,
    /// A part of the path that should be a folder is a file.
    #[error("Not a directory")]
    NotDirectory,
    /// The path has `..`, a backslash, a control character or more than 1024 bytes.
    #[error("Invalid argument")]
    InvalidPath,
    /// The file would be larger than [`FILE_MAX`].
    #[error("File too large")]
    TooLarge,
    /// Something of this name is there already.
    #[error("File exists")]
    Exists,
    /// A folder that is to be removed has something in it.
    #[error("Directory not empty")]
    NotEmpty,
    /// The host's programs have written all they may.
    #[error("No space left on device")]
    NoSpace,
}

impl From<FileError> for std::io::Error {
    fn from(e: FileError) -> Self {
        use std::io::ErrorKind as K;
        let kind = match e {
            FileError::NotFound => K::NotFound,
            FileError::IsDirectory => K::IsADirectory,
            FileError::NotDirectory => K::NotADirectory,
            FileError::InvalidPath => K::InvalidInput,
            FileError::TooLarge => K::FileTooLarge,
            FileError::Exists => K::AlreadyExists,
            FileError::NotEmpty => K::DirectoryNotEmpty,
            FileError::NoSpace => K::StorageFull,
        };
        std::io::Error::new(kind, e)
    }
}

/// What is known about a file or folder without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Bytes of a file; 0 for a folder.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// When it was last written; the lab's start for what was there then, and for folders.
    pub modified: Instant,
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the folder's.
    pub name: String,
    /// What it is.
    pub metadata: Metadata,
}

/// Something written while the world ran.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    /// `None`: removed.
    pub(crate) contents: Option<Bytes>,
    pub(crate) at: Instant,
}
