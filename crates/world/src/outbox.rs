//! What the world has to tell the outside, in order, with a rolling fingerprint.

use std::collections::VecDeque;

use crate::journal::Fingerprint;
use crate::message::Output;

/// Outputs that wait to be taken. Bounded by the credit of the ports.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Output>,
    fingerprint: Fingerprint,
}

impl Outbox {
    pub(crate) fn push(&mut self, output: Output) {
        self.fingerprint.add(&output);
        self.queue.push_back(output);
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// The fingerprint of all outputs so far.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}
