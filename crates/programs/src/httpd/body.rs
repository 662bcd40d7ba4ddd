//! A response body over a file's shared bytes: handed out in pieces that point into the file.

use std::cell::Cell;
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
pub(super) struct Contents {
    left: Bytes,
    done: Option<Rc<Cell<bool>>>,
}

impl Contents {
    /// A body of these bytes.
    pub(super) fn new(left: Bytes) -> Contents {
        Contents { left, done: None }
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.left.len()
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
        let n = self.left.len().min(PIECE);
        let piece = self.left.split_to(n);
        Poll::Ready((n > 0).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
