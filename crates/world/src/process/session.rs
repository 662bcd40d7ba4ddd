//! Sessions: the standard streams that a host's processes share with somebody outside.
//!
//! A session belongs to the process that it was opened for, its leader, and ends with it. Output
//! goes outside as far as the outside has granted credit, and who writes more waits; input waits in
//! a pipe of [`STDIN_CREDIT`] bytes. Signals from outside go to the *foreground* group, which only
//! a shell changes. What outlives the leader keeps running in the background; its output is kept
//! as a daemon's.
//!
//! A session is a *terminal* when its leader says so: then an end of input is read once and more
//! may follow (Ctrl-D), and a process outside the foreground group that reads is stopped (SIGTTIN).

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Poll, Waker};

use netarium_base::{Cause, NodeId, Pid, Place};

use super::signal;
use super::task::WakerSet;
use crate::core::Core;
use crate::gateway::Port;
use crate::message::{CREDIT_MAX, DATA_MAX, Output, PortId, STDIN_CREDIT, Stream};

/// How many ends of a terminal's input may wait to be read.
const ENDS_MAX: usize = 64;

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) node: NodeId,
    pub(crate) leader: Pid,
    /// The process group that gets signals and may read.
    pub(crate) foreground: Pid,
    pub(crate) terminal: bool,
    /// How many more bytes of output the outside can take.
    credit: u32,
    /// Who waits for credit.
    writers: WakerSet,
    input: Input,
}

/// What waits to be read from a session.
#[derive(Debug, Default)]
struct Input {
    bytes: VecDeque<u8>,
    /// No more will come.
    ended: bool,
    /// Before how many of the bytes from here a terminal's input has an end, one behind the other.
    ends: VecDeque<usize>,
    readers: WakerSet,
}

impl Session {
    pub(crate) fn new(node: NodeId, leader: Pid, credit: u32, stdin: bool) -> Session {
        let input = Input { ended: !stdin, ..Input::default() };
        let credit = credit.min(CREDIT_MAX);
        let writers = WakerSet::default();
        Session { node, leader, foreground: leader, terminal: false, credit, writers, input }
    }
}

impl Input {
    fn room(&self) -> usize {
        (STDIN_CREDIT as usize).saturating_sub(self.bytes.len())
    }

    fn end_of_file(&mut self) {
        let before: usize = self.ends.iter().sum();
        if self.ends.len() < ENDS_MAX {
            self.ends.push_back(self.bytes.len() - before);
        }
    }

    /// The next bytes, up to an end.
    fn front(&self) -> &[u8] {
        let first = self.bytes.as_slices().0;
        &first[..first.len().min(self.ends.front().copied().unwrap_or(usize::MAX))]
    }

    fn consume(&mut self, n: usize) {
        self.bytes.drain(..n);
        if let Some(end) = self.ends.front_mut() {
            *end -= n;
        }
    }
}

impl Core {
    fn session_mut(&mut self, port: PortId) -> Option<&mut Session> {
        match self.gateway.ports.get_mut(&port)? {
            Port::Session(session) => Some(session),
            _ => None,
        }
    }

    /// Whether a session is a terminal.
    pub(crate) fn is_terminal(&mut self, port: PortId) -> bool {
        self.session_mut(port).is_some_and(|s| s.terminal)
    }

    /// Makes a session a terminal, or a group its foreground. False: there is no such session.
    pub(crate) fn with_session(&mut self, port: PortId, f: impl FnOnce(&mut Session)) -> bool {
        self.session_mut(port).map(f).is_some()
    }

    /// Output for a session. `None`: it has ended.
    pub(super) fn session_write(
        &mut self,
        port: PortId,
        stream: Stream,
        bytes: &[u8],
        waker: &Waker,
    ) -> Option<Poll<usize>> {
        let session = self.session_mut(port)?;
        if session.credit == 0 && !bytes.is_empty() {
            session.writers.add(waker);
            return Some(Poll::Pending);
        }
        let n = bytes.len().min(session.credit as usize).min(DATA_MAX);
        session.credit -= n as u32;
        if n > 0 {
            self.outbox.push(Output::Data { port, stream, bytes: bytes[..n].to_vec() });
        }
        Some(Poll::Ready(n))
    }

    /// Offers a session's input to `take`, which says how much of it it has taken.
    pub(super) fn session_read(
        &mut self,
        port: PortId,
        node: NodeId,
        pid: Pid,
        take: &mut dyn FnMut(&[u8]) -> usize,
        waker: &Waker,
    ) -> Poll<()> {
        let group = self.proc_mut(node, pid).map_or(pid, |p| p.group);
        let Some(session) = self.session_mut(port) else { return Poll::Ready(()) };
        if session.terminal && session.foreground != group {
            session.input.readers.add(waker);
            let cause = self.current;
            self.signal_group(node, group, signal::TTIN, cause);
            return Poll::Pending;
        }
        let input = &mut session.input;
        if input.ends.front() == Some(&0) {
            input.ends.pop_front();
            return Poll::Ready(());
        }
        if input.bytes.is_empty() {
            if input.ended {
                return Poll::Ready(());
            }
            input.readers.add(waker);
            return Poll::Pending;
        }
        let n = take(input.front());
        input.consume(n);
        if n > 0 && !input.ended {
            self.outbox.push(Output::Credit { port, bytes: n as u32 });
        }
        Poll::Ready(())
    }

    /// Standard input came from outside.
    pub(crate) fn feed_session(&mut self, port: PortId, bytes: &[u8], cause: Cause) {
        let ready = Arc::clone(&self.ready);
        let Some(session) = self.session_mut(port) else { return };
        let (node, leader, input) = (session.node, session.leader, &mut session.input);
        if input.ended || bytes.len() > input.room() {
            let text = if input.ended {
                "standard input was sent behind its end"
            } else {
                "more standard input was sent than there was credit for"
            };
            let place = Place::Process(node, leader);
            let cause = self.note(place, &format!("port {port}: {text}"), cause);
            return self.end(node, leader, 129, Some(text.to_owned()), cause);
        }
        input.bytes.extend(bytes);
        input.readers.wake(&ready, cause);
    }

    /// Standard input is at its end; a terminal's only for who reads it next.
    pub(crate) fn end_session_input(&mut self, port: PortId, cause: Cause) {
        let ready = Arc::clone(&self.ready);
        let Some(session) = self.session_mut(port) else { return };
        if session.terminal {
            session.input.end_of_file();
        } else {
            session.input.ended = true;
        }
        session.input.readers.wake(&ready, cause);
    }

    /// The outside can take more output.
    pub(crate) fn credit_session(&mut self, port: PortId, bytes: u32, cause: Cause) {
        let ready = Arc::clone(&self.ready);
        let Some(session) = self.session_mut(port) else { return };
        session.credit = session.credit.saturating_add(bytes).min(CREDIT_MAX);
        session.writers.wake(&ready, cause);
    }

    /// A signal from outside: for the foreground, or for the leader when that is gone.
    pub(crate) fn signal_session(&mut self, port: PortId, number: u8, cause: Cause) {
        let Some(session) = self.session_mut(port) else { return };
        let (node, leader, foreground) = (session.node, session.leader, session.foreground);
        if !self.signal_group(node, foreground, number, cause) {
            self.signal(node, leader, number, cause);
        }
    }

    /// The outside is gone: the leader and the foreground are hung up.
    pub(crate) fn hang_up(&mut self, port: PortId, cause: Cause) {
        let Some(session) = self.session_mut(port) else { return };
        let (node, leader, foreground) = (session.node, session.leader, session.foreground);
        session.input.ended = true;
        self.signal(node, leader, signal::HUP, cause);
        if foreground != leader {
            self.signal_group(node, foreground, signal::HUP, cause);
        }
    }

    /// The leader has ended: the session ends, and what it leaves runs in the background.
    pub(super) fn end_session(
        &mut self,
        port: PortId,
        node: NodeId,
        code: i32,
        message: Option<String>,
        cause: Cause,
    ) {
        let ready = Arc::clone(&self.ready);
        if let Some(session) = self.session_mut(port) {
            session.writers.wake(&ready, cause);
            session.input.readers.wake(&ready, cause);
        }
        self.gateway.forget(port);
        let mut background = 0;
        for proc in self.host_mut(node).procs.values_mut().filter(|p| p.session == Some(port)) {
            background += usize::from(!std::mem::replace(&mut proc.daemon, true));
            proc.session = None;
        }
        self.foreground -= background;
        self.outbox.push(Output::Exit { port, code, message });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminals_input_has_ends_in_between() {
        let mut input = Input::default();
        input.bytes.extend(b"ab");
        input.end_of_file();
        input.bytes.extend(b"c");
        input.end_of_file();
        input.end_of_file();
        assert_eq!(input.front(), b"ab");
        input.consume(1);
        assert_eq!(input.front(), b"b");
        input.consume(1);
        assert_eq!(input.front(), b"");
        assert_eq!(input.ends.pop_front(), Some(0));
        assert_eq!(input.front(), b"c");
        input.consume(1);
        assert_eq!(input.ends, [0, 0]);
    }
}
