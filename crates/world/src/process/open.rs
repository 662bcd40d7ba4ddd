//! Open file descriptions of a host: pipes and files, shared by descriptors.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Poll, Waker};

use bytes::Bytes;
use netarium_base::{Cause, NodeId};
use netarium_stack::Errno;

use super::task::{ReadyQueue, WakerSet};
use super::{Fd, OPENS_MAX, PIPE_MAX, Process, Slot, slot};
use crate::core::Core;
use crate::files::FileError;

/// An open file description.
pub(crate) type OpenId = u64;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To be read, from its beginning.
    Read,
    /// To be written, from nothing: `>`.
    Truncate,
    /// To be written behind what is there: `>>`.
    Append,
}

/// Why a file was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// What the file says.
    #[error(transparent)]
    File(#[from] FileError),
    /// The host has [`OPENS_MAX`] files and pipe ends open.
    #[error("Too many open files")]
    TooMany,
}

/// The open file descriptions of a host.
#[derive(Debug, Default)]
pub(crate) struct Opens {
    next: u64,
    open: BTreeMap<OpenId, Open>,
    pipes: BTreeMap<u64, Pipe>,
}

#[derive(Debug)]
struct Open {
    references: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    PipeRead(u64),
    PipeWrite(u64),
    Read { contents: Bytes, at: usize },
    Write { path: String, at: usize, append: bool },
}

/// A pipe of [`PIPE_MAX`] bytes.
#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    unread: bool,
    unwritten: bool,
    readers: WakerSet,
    writers: WakerSet,
}

impl Opens {
    fn insert(&mut self, what: What) -> OpenId {
        self.next += 1;
        self.open.insert(self.next, Open { references: 1, what });
        self.next
    }

    fn has_room(&self, n: usize) -> bool {
        self.open.len() + n <= OPENS_MAX
    }

    fn pipe(&mut self) -> (OpenId, OpenId) {
        let pipe = self.next + 1;
        self.pipes.insert(pipe, Pipe::default());
        (self.insert(What::PipeRead(pipe)), self.insert(What::PipeWrite(pipe)))
    }

    pub(super) fn retain(&mut self, id: OpenId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.references += 1;
        }
    }

    /// Closes one reference; with the last one the description goes, and the other end learns of it.
    pub(super) fn release(&mut self, id: OpenId, ready: &ReadyQueue, cause: Cause) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.references -= 1;
        if open.references > 0 {
            return;
        }
        let Some(Open { what: What::PipeRead(number) | What::PipeWrite(number), .. }) =
            self.open.get(&id)
        else {
            self.open.remove(&id);
            return;
        };
        let number = *number;
        let reads = matches!(self.open.remove(&id), Some(Open { what: What::PipeRead(_), .. }));
        let Some(pipe) = self.pipes.get_mut(&number) else { return };
        if reads {
            pipe.unread = true;
            pipe.writers.wake(ready, cause);
        } else {
            pipe.unwritten = true;
            pipe.readers.wake(ready, cause);
        }
        if pipe.unread && pipe.unwritten {
            self.pipes.remove(&number);
        }
    }

    /// Writes to a pipe; `None` when it is none. Blocks only when nothing at all fits.
    pub(super) fn write_pipe(
        &mut self,
        id: OpenId,
        bytes: &[u8],
        waker: &Waker,
        ready: &ReadyQueue,
        cause: Cause,
    ) -> Option<Poll<Result<usize, Errno>>> {
        let pipe = match self.open.get(&id)?.what {
            What::PipeWrite(pipe) => self.pipes.get_mut(&pipe)?,
            What::PipeRead(_) | What::Read { .. } => return Some(Poll::Ready(Err(Errno::EBADF))),
            What::Write { .. } => return None,
        };
        if pipe.unread {
            return Some(Poll::Ready(Err(Errno::EPIPE)));
        }
        let n = bytes.len().min(PIPE_MAX - pipe.bytes.len());
        if n == 0 && !bytes.is_empty() {
            pipe.writers.add(waker);
            return Some(Poll::Pending);
        }
        pipe.bytes.extend(&bytes[..n]);
        pipe.readers.wake(ready, cause);
        Some(Poll::Ready(Ok(n)))
    }

    /// Offers what waits to be read to `take`.
    pub(super) fn read(
        &mut self,
        id: OpenId,
        take: &mut dyn FnMut(&[u8]) -> usize,
        waker: &Waker,
        ready: &ReadyQueue,
        cause: Cause,
    ) -> Poll<Result<(), Errno>> {
        let pipe = match self.open.get_mut(&id).map(|o| &mut o.what) {
            Some(What::Read { contents, at }) => {
                if *at < contents.len() {
                    *at += take(&contents[*at..]);
                }
                return Poll::Ready(Ok(()));
            }
            Some(What::PipeRead(pipe)) => self.pipes.get_mut(pipe),
            Some(What::PipeWrite(_) | What::Write { .. }) | None => None,
        };
        let Some(pipe) = pipe else { return Poll::Ready(Err(Errno::EBADF)) };
        if pipe.bytes.is_empty() {
            if pipe.unwritten {
                return Poll::Ready(Ok(()));
            }
            pipe.readers.add(waker);
            return Poll::Pending;
        }
        let n = take(pipe.bytes.as_slices().0);
        pipe.bytes.drain(..n);
        pipe.writers.wake(ready, cause);
        Poll::Ready(Ok(()))
    }
}

impl Core {
    /// Writes to an open file. One that was removed meanwhile takes the bytes and nobody sees them.
    pub(super) fn write_open_file(
        &mut self,
        node: NodeId,
        id: OpenId,
        bytes: &[u8],
    ) -> Result<usize, FileError> {
        let host = self.host_mut(node);
        let Some(What::Write { path, at, append }) = host.opens.open.get(&id).map(|o| &o.what)
        else {
            return Ok(bytes.len());
        };
        let (path, at, append) = (path.clone(), *at, *append);
        let Ok((old, _)) = self.files(node).read(&path) else { return Ok(bytes.len()) };
        let at = if append { old.len() } else { at };
        let len = old.len();
        drop(old);
        if at == len {
            self.append_file(node, &path, bytes)?;
        } else {
            let (mut all, _) = self.files(node).read(&path).map(|(c, t)| (c.to_vec(), t))?;
            all.resize(all.len().max(at + bytes.len()), 0);
            all[at..at + bytes.len()].copy_from_slice(bytes);
            self.write_file(node, &path, all.into())?;
        }
        if let Some(Open { what: What::Write { at: place, .. }, .. }) =
            self.host_mut(node).opens.open.get_mut(&id)
        {
            *place = at + bytes.len();
        }
        Ok(bytes.len())
    }

    fn open_file(&mut self, node: NodeId, path: &str, mode: OpenMode) -> Result<OpenId, OpenError> {
        if !self.host(node).opens.has_room(1) {
            return Err(OpenError::TooMany);
        }
        let what = match mode {
            OpenMode::Read => What::Read { contents: self.files(node).read(path)?.0, at: 0 },
            OpenMode::Truncate | OpenMode::Append => {
                let path = self.files(node).writable(path)?;
                let append = mode == OpenMode::Append;
                let there = append && self.files(node).read(&path).is_ok();
                if !there {
                    self.write_file(node, &path, Bytes::new())?;
                }
                What::Write { path, at: 0, append }
            }
        };
        Ok(self.host_mut(node).opens.insert(what))
    }
}

impl Process {
    /// One of this process's standard streams: 0, 1 or 2, as another descriptor of it.
    ///
    /// # Panics
    /// For other numbers.
    pub fn fd(&self, number: usize) -> Fd {
        slot::with(|core| {
            let slot = core.std_slot(self, number).unwrap_or(Slot::Null);
            core.retain(self.node(), slot);
            Fd::counted(*self, slot)
        })
    }

    /// A descriptor of `/dev/null`.
    pub fn null(&self) -> Fd {
        Fd::counted(*self, Slot::Null)
    }

    /// A pipe: the end to read from, and the end to write to. It holds [`PIPE_MAX`] bytes.
    ///
    /// # Errors
    /// [`OpenError::TooMany`]
    pub fn pipe(&self) -> Result<(Fd, Fd), OpenError> {
        slot::with(|core| {
            let opens = &mut core.host_mut(self.node()).opens;
            if !opens.has_room(2) {
                return Err(OpenError::TooMany);
            }
            let (read, write) = opens.pipe();
            Ok((Fd::counted(*self, Slot::Open(read)), Fd::counted(*self, Slot::Open(write))))
        })
    }

    /// Opens a file of the host. A reader sees the file as it is now; writers write at once.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(&self, path: &str, mode: OpenMode) -> Result<Fd, OpenError> {
        let path = self.absolute(path);
        if path == super::files::DEV_NULL {
            return Ok(self.null());
        }
        let open = slot::with(|core| core.open_file(self.node(), &path, mode))?;
        Ok(Fd::counted(*self, Slot::Open(open)))
    }
}
