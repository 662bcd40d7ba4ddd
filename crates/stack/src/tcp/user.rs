//! What programs ask of a connection (RFC 9293 §3.9.1): reading, closing, and what it is ready for.
//! Writing has a file of its own.

use netarium_base::{Ctx, Duration};

use super::connection::Connection;
use super::state::{State, Trigger};
use super::timers::Timer;
use super::urgent::Urgent;
use crate::errno::Errno;
use crate::options::{Linger2, Millis, RecvFlags, Settings, SocketOption};
use crate::types::Readiness;

impl Connection {
    /// Reads received data; `Ok(0)` at the end of the stream.
    ///
    /// # Errors
    /// EAGAIN when nothing is there yet, the connection's own error once.
    pub(crate) fn read(
        &mut self,
        cx: &mut Ctx<'_>,
        buf: &mut [u8],
        flags: RecvFlags,
    ) -> Result<usize, Errno> {
        let peek = flags.contains(RecvFlags::PEEK);
        if flags.contains(RecvFlags::OOB) {
            return self.read_urgent(buf, peek);
        }
        let max = self.readable_before_mark(!peek).min(buf.len());
        if max > 0 || (buf.is_empty() && !self.recv.is_empty()) {
            let buf = &mut buf[..max];
            let n = match (peek, flags.contains(RecvFlags::TRUNC)) {
                (true, false) => return Ok(self.recv.peek(buf)),
                (true, true) => return Ok(max),
                (false, true) => self.recv.skip(max),
                (false, false) => self.recv.read(buf),
            };
            self.rcv.copied += n as u32;
            self.tune_receive_window(cx.now);
            self.consider_ack_after_read(n);
            return Ok(n);
        }
        if self.fin_received {
            return Ok(0);
        }
        if let Some(e) = self.error.take() {
            return Err(e);
        }
        match self.state {
            _ if self.read_closed => Ok(0),
            State::SynSent | State::SynReceived => Err(Errno::EAGAIN),
            s if s.may_receive() => Err(Errno::EAGAIN),
            _ => Ok(0),
        }
    }

    /// The program closed its sending half.
    pub(crate) fn close_send(&mut self, cx: &mut Ctx<'_>) {
        if self.closing {
            return;
        }
        match self.state {
            State::SynSent => {
                self.transition(cx, Trigger::Close);
                // As Linux: the next call learns that nothing came of the connection.
                self.error = (!self.orphan).then_some(Errno::ECONNRESET);
            }
            State::SynReceived | State::Established | State::CloseWait => {
                self.closing = true;
                self.close_cause = cx.cause;
                self.transition(cx, Trigger::Close);
            }
            _ => {}
        }
    }

    /// The program let go of the connection. RFC 9293 §3.10.4, and RFC 2525 §2.17 for data that
    /// nobody will read.
    pub(crate) fn release(&mut self, cx: &mut Ctx<'_>) {
        self.orphan = true;
        self.close_cause = cx.cause;
        // An urgent byte, too, lies in the stream until reading has passed it.
        let unread = !self.recv.is_empty();
        let abort = self.settings.linger.is_some_and(Millis::is_zero);
        let resets = match self.state {
            State::SynReceived => abort,
            State::TimeWait => false,
            s => s.is_synchronized() && (unread || abort),
        };
        if resets {
            self.abort(cx);
            return;
        }
        self.close_send(cx);
        self.recv.clear();
        if self.state == State::FinWait2 {
            if self.settings.linger2 == Linger2::Never {
                return self.abort(cx);
            }
            self.timers.set(Timer::Wait, cx.now + self.fin_wait(), cx.cause);
        }
    }

    /// How long FIN-WAIT-2 waits for the peer's FIN when no program holds the connection: at least
    /// three and a half time-outs, as on Linux.
    pub(crate) fn fin_wait(&self) -> Duration {
        let wait = match self.settings.linger2 {
            Linger2::Wait(t) => t.get(),
            _ => self.config.fin_timeout,
        };
        wait.max(self.rtt.rto() * 7 / 2)
    }

    /// Resets the connection (RFC 9293 §3.10.5).
    pub(crate) fn abort(&mut self, cx: &mut Ctx<'_>) {
        if self.state == State::Closed {
            return;
        }
        // The table says in which states the peer is told.
        let tells = !matches!(
            self.state,
            State::SynSent | State::Closing | State::LastAck | State::TimeWait
        );
        self.want.rst = tells;
        self.close_cause = cx.cause;
        self.error = Some(Errno::ECONNABORTED);
        self.transition(cx, Trigger::Abort);
        self.recv.clear();
    }

    /// What the socket is ready for.
    pub(crate) fn readiness(&self) -> Readiness {
        let mut r = Readiness::empty();
        let ended = self.fin_received || self.read_closed || self.state == State::Closed;
        let enough = self.recv.len() as u64 >= u64::from(self.settings.recv_lowat);
        if (enough && !self.recv.is_empty()) || ended || self.error.is_some() {
            r |= Readiness::READABLE;
        }
        if matches!(self.urgent, Urgent::Here(..)) {
            r |= Readiness::PRIORITY;
        }
        let connecting = matches!(self.state, State::SynSent | State::SynReceived);
        let writable = self.is_writable() || !self.state.may_send() || self.closing;
        if (!connecting && writable) || self.error.is_some() {
            r |= Readiness::WRITABLE;
        }
        if self.error.is_some() {
            r |= Readiness::ERROR;
        }
        if matches!(self.state, State::Closed | State::TimeWait | State::Closing | State::LastAck) {
            r |= Readiness::HANGUP;
        }
        r
    }

    /// Takes what the socket became ready for since the last call.
    pub(crate) fn take_wake(&mut self) -> Readiness {
        std::mem::take(&mut self.wake)
    }

    /// Whether `read` would say EAGAIN.
    pub(crate) fn has_nothing_to_read(&self) -> bool {
        self.recv.is_empty()
            && self.error.is_none()
            && !self.fin_received
            && !self.read_closed
            && (self.state.may_receive()
                || matches!(self.state, State::SynSent | State::SynReceived))
    }

    /// An option of the socket was set to a new value.
    pub(crate) fn apply_option(
        &mut self,
        cx: &mut Ctx<'_>,
        settings: Settings,
        option: SocketOption,
    ) {
        self.settings = settings;
        match option {
            SocketOption::RecvBuffer(_) => self.apply_recv_buffer(),
            SocketOption::WindowClamp(_) => self.apply_window_clamp(),
            SocketOption::QuickAck(on) => self.set_quick_ack(on),
            SocketOption::KeepAlive(_) => self.arm_keep_alive(cx),
            SocketOption::KeepIdle(_) => self.apply_keep_idle(cx),
            SocketOption::NoDelay(true) => self.want.force = true,
            SocketOption::MaxPacingRate(_) => self.apply_pacing(),
            SocketOption::Congestion(which) => self.cc.switch(which, &self.config),
            _ => {}
        }
    }
}
