//! A response body: shared bytes, handed out in pieces that point into them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Bytes handed out at a time: what is queued for the socket beyond its own buffer.
const PIECE: usize = 64 * 1024;

/// What is left of a body.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    parts: VecDeque<Bytes>,
    done: Option<Rc<Cell<bool>>>,
}

impl Contents {
    /// A body of these bytes.
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Contents {
        Contents::of([bytes.into()])
    }

    /// A body of several parts, one after the other.
    pub(crate) fn of(parts: impl IntoIterator<Item = Bytes>) -> Contents {
        Contents { parts: parts.into_iter().filter(|p| !p.is_empty()).collect(), done: None }
    }

    /// How many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// All that is left, in one piece.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.parts.iter().flatten().copied().collect()
    }

    /// Sets `flag` when the body is done with: handed out, or given up.
    pub(super) fn tell(&mut self, flag: Rc<Cell<bool>>) {
        self.done = Some(flag);
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        if let Some(flag) = &self.done {
            flag.set(true);
        }
    }
}

impl Body for Contents {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(part) = self.parts.front_mut() else { return Poll::Ready(None) };
        let piece = part.split_to(part.len().min(PIECE));
        if part.is_empty() {
            self.parts.pop_front();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}
