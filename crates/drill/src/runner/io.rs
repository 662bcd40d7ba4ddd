//! Calls that move bytes, and `ioctl`.

use std::net::SocketAddr;

use netarium_stack::{Errno, Readiness, RecvFlags, SendFlags};

use super::calls::Sock;
use super::inbound::filler;
use super::pending::{Pending, Try, wait_for};
use super::{Runner, Step, Stop, differs, fail};
use crate::script::{Call, Expr, Field};

/// The most bytes that one call may move.
const MAX_BYTES: i64 = 64 << 20;

/// A message of `sendmsg` and `recvmsg`, or what the simpler calls say of one.
#[derive(Default)]
struct Message {
    /// The lengths of its buffers together.
    len: i64,
    /// The text of the buffer, when the script gives it; `true` when only its start matters.
    text: Option<(String, bool)>,
    /// The buffer is NULL.
    null: bool,
    /// Flags of the call.
    flags: i64,
    /// `msg_control` that `recvmsg` must give.
    control: Vec<Expr>,
    /// The address of `sendto`.
    to: Option<Expr>,
}

const MSG_OOB: i64 = 1;
const MSG_PEEK: i64 = 2;
const MSG_TRUNC: i64 = 0x20;
const MSG_DONTWAIT: i64 = 0x40;
const MSG_WAITALL: i64 = 0x100;
const MSG_MORE: i64 = 0x8000;

impl Runner {
    /// `read`, `write` and their kin.
    pub(super) fn transfer(&mut self, call: &Call, pending: &mut Pending) -> Step<Try> {
        let message = self.message(call)?;
        let (_, sock, nonblocking) = match self.sock(call)? {
            Ok(all) => all,
            Err(e) => return Ok(Try::Done(Err(e))),
        };
        if message.len < 0 {
            return Ok(Try::Done(Err("EINVAL")));
        }
        if message.null {
            return Ok(Try::Done(Err("EFAULT")));
        }
        if message.len > MAX_BYTES {
            return Err(fail(format!("{} of more than 64 MiB", call.name)));
        }
        let wait = !nonblocking && message.flags & MSG_DONTWAIT == 0;
        match call.name.as_str() {
            "write" | "writev" | "send" | "sendto" | "sendmsg" => {
                self.send(&message, sock, wait, pending)
            }
            _ => self.receive(&message, sock, wait, pending),
        }
    }

    fn message(&self, call: &Call) -> Step<Message> {
        let name = call.name.as_str();
        let mut message = Message::default();
        match name {
            "readv" | "writev" => message.add_buffers(self, self.arg(call, 1)?)?,
            "sendmsg" | "recvmsg" => {
                let Expr::Struct(fields) = self.arg(call, 1)? else {
                    return Err(fail(format!("{name} takes a struct msghdr")));
                };
                message.add_header(self, fields)?;
                message.flags = self.int_arg(call, 2)?;
            }
            _ => {
                match self.arg(call, 1)? {
                    Expr::Str(text, open) => message.text = Some((text.clone(), *open)),
                    Expr::Word(word) => message.null = word == "NULL",
                    _ => {}
                }
                message.len = self.int_arg(call, 2)?;
                if !matches!(name, "read" | "write") {
                    message.flags = self.int_arg(call, 3)?;
                }
                if name == "sendto" {
                    message.to = call.args.get(4).cloned();
                }
            }
        }
        Ok(message)
    }

    fn send(
        &mut self,
        message: &Message,
        sock: Sock,
        wait: bool,
        pending: &mut Pending,
    ) -> Step<Try> {
        // A writer that waits is woken when there is room again, not by every packet.
        let room = Readiness::WRITABLE | Readiness::ERROR | Readiness::HANGUP;
        let waiting = pending.again && wait && !pending.is_over(self.machine.now);
        if waiting && !self.machine.readiness(sock.id).intersects(room) {
            return Ok(wait_for(sock.send_timeout, pending));
        }
        let mut flags = SendFlags::empty();
        flags.set(SendFlags::OOB, message.flags & MSG_OOB != 0);
        flags.set(SendFlags::MORE, message.flags & MSG_MORE != 0);
        let data = message.data();
        let rest = &data[(pending.progress as usize).min(data.len())..];
        let to = match &message.to {
            Some(expr @ Expr::Struct(_)) => {
                let port = self.config.connect_port;
                let usual = SocketAddr::new(self.config.remote_ip.into(), port);
                Some(self.address(expr, usual)?)
            }
            _ => None,
        };
        let datagram =
            to.is_some() && self.machine.stack.tcp_info(self.machine.now, sock.id).is_err();
        let done = self.machine.call(|s, cx| match to {
            Some(to) if datagram => s.send_to(cx, sock.id, to, rest),
            _ => s.send_with(cx, sock.id, rest, flags),
        })?;
        let before = pending.progress;
        Ok(match done {
            Ok(n) if wait && n < rest.len() => {
                pending.progress += n as i64;
                wait_for(sock.send_timeout, pending)
            }
            Ok(n) => Try::Done(Ok(before + n as i64)),
            Err(Errno::EAGAIN) if wait && !pending.is_over(self.machine.now) => {
                wait_for(sock.send_timeout, pending)
            }
            Err(_) if before > 0 => Try::Done(Ok(before)),
            Err(e) => Try::Done(Err(e.name())),
        })
    }

    fn receive(
        &mut self,
        message: &Message,
        sock: Sock,
        wait: bool,
        pending: &mut Pending,
    ) -> Step<Try> {
        let mut flags = RecvFlags::empty();
        flags.set(RecvFlags::OOB, message.flags & MSG_OOB != 0);
        flags.set(RecvFlags::PEEK, message.flags & MSG_PEEK != 0);
        flags.set(RecvFlags::TRUNC, message.flags & MSG_TRUNC != 0);
        let before = pending.progress;
        let mut buf = vec![0; (message.len - before).max(0) as usize];
        let done = self.machine.call(|s, cx| s.recv_with(cx, sock.id, &mut buf, flags))?;
        let all = message.flags & MSG_WAITALL != 0;
        Ok(match done {
            Ok(n) if all && wait && n > 0 && before + (n as i64) < message.len => {
                self.check_received(message, sock, &buf[..n.min(buf.len())], flags)?;
                pending.progress += n as i64;
                wait_for(sock.recv_timeout, pending)
            }
            Ok(n) => {
                let total = before + n as i64;
                self.check_received(message, sock, &buf[..n.min(buf.len())], flags)?;
                Try::Done(Ok(total))
            }
            Err(Errno::EAGAIN) if wait && !pending.is_over(self.machine.now) => {
                wait_for(sock.recv_timeout, pending)
            }
            Err(_) if before > 0 => Try::Done(Ok(before)),
            Err(e) => Try::Done(Err(e.name())),
        })
    }

    /// Content, flags and control messages of what was received.
    fn check_received(
        &mut self,
        message: &Message,
        sock: Sock,
        got: &[u8],
        flags: RecvFlags,
    ) -> Step {
        if let Some((text, open)) = &message.text {
            // Segments of scripts have no text of their own: only the length can be compared.
            let longer = got.len() > text.len() && !open;
            if longer {
                let expected = format!("at most the {} bytes of \"{text}\"", text.len());
                return Err(differs("other data", expected, format!("{} bytes", got.len())));
            }
        }
        for expr in &message.control {
            self.check_control(expr, sock)?;
        }
        if flags.is_empty() && message.text.is_none() {
            self.check_content(sock, got)?;
        }
        Ok(())
    }

    /// Segments carry bytes that tell their sequence numbers: what is read must be the stream in
    /// its order, without gap or repetition.
    fn check_content(&mut self, sock: Sock, got: &[u8]) -> Step {
        let (local, peer) =
            (self.machine.stack.local_addr(sock.id), self.machine.stack.peer_addr(sock.id));
        let flow =
            self.flows.iter_mut().rev().find(|f| Some(f.local) == local && Some(f.remote) == peer);
        let Some(flow) = flow else { return Ok(()) };
        let Some(at) = flow.read_to else { return Ok(()) };
        flow.read_to = Some(at.wrapping_add(got.len() as u32));
        let wrong = (0u32..).zip(got).find(|(i, byte)| **byte != filler(at.wrapping_add(*i)));
        match wrong {
            None => Ok(()),
            Some((i, _)) => Err(fail(format!(
                "the stream is broken: its byte {} is not what arrived as {}",
                i,
                at.wrapping_add(i)
            ))),
        }
    }

    /// `{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=1000}`
    fn check_control(&mut self, expr: &Expr, sock: Sock) -> Step {
        let Expr::Struct(fields) = expr else {
            return Err(Stop::Skip("control messages".to_owned()));
        };
        let field = |name: &str| fields.iter().find(|f| f.name == name).map(|f| &f.value);
        let inq = matches!(field("cmsg_type"), Some(Expr::Word(w)) if w == "TCP_CM_INQ" || w == "TCP_INQ");
        if !inq {
            return Err(Stop::Skip("control messages other than TCP_CM_INQ".to_owned()));
        }
        let want = field("cmsg_data").map(|e| self.int(e)).transpose()?.unwrap_or(0);
        let left = self.machine.stack.inq(sock.id).unwrap_or(0);
        // Linux counts the end of the stream as one more byte.
        let info = self.machine.stack.tcp_info(self.machine.now, sock.id);
        let at_end = left == 0 && info.is_ok_and(|i| matches!(i.state, 6..=9 | 11));
        let got = if at_end { 1 } else { i64::from(left) };
        if !sock.inq || want != got {
            let got = if sock.inq { got.to_string() } else { "none".to_owned() };
            return Err(differs("TCP_CM_INQ says something else", want.to_string(), got));
        }
        Ok(())
    }

    pub(super) fn ioctl(&mut self, call: &Call) -> Step<Try> {
        let request = self.int_arg(call, 1)?;
        let Some((n, fd)) = self.fd(call)? else { return Ok(Try::Done(Err("EBADF"))) };
        if request == 0x5421 {
            let on = self.int_arg(call, 2)? != 0;
            if let Some(fd) = self.fds.get_mut(&n) {
                fd.nonblocking = on;
            }
            return Ok(Try::Done(Ok(0)));
        }
        let super::calls::Object::Socket(sock) = fd.object else {
            return Ok(Try::Done(Err("ENOTTY")));
        };
        let stack = &self.machine.stack;
        let got = match request {
            0x541b => stack.inq(sock.id).map(i64::from),
            0x5411 => stack.outq(sock.id).map(i64::from),
            0x894b => stack.outq_nsd(sock.id).map(i64::from),
            0x8905 => stack.at_mark(sock.id).map(i64::from),
            _ => return Ok(Try::Done(Err("ENOTTY"))),
        };
        let got = match got {
            Ok(got) => got,
            Err(e) => return Ok(Try::Done(Err(e.name()))),
        };
        let want = self.arg(call, 2)?;
        if *want != Expr::Ellipsis && self.int(want)? != got {
            let want = self.int(want)?.to_string();
            return Err(differs("ioctl gives something else", want, got.to_string()));
        }
        Ok(Try::Done(Ok(0)))
    }
}

impl Message {
    /// `[{..., 100}, {"abc", 3}]`
    fn add_buffers(&mut self, runner: &Runner, list: &Expr) -> Step {
        let Expr::List(buffers) = list else { return Err(fail("expected a list of buffers")) };
        for buffer in buffers {
            let Expr::Struct(fields) = buffer else {
                return Err(fail("expected {buffer, length}"));
            };
            let len = match fields.as_slice() {
                [_, Field { value, .. }] => runner.int(value)?,
                _ => return Err(fail("expected {buffer, length}")),
            };
            if !(0..=MAX_BYTES).contains(&len) {
                return Err(fail("a buffer of more than 64 MiB, or of less than nothing"));
            }
            self.len += len;
        }
        Ok(())
    }

    fn add_header(&mut self, runner: &Runner, fields: &[Field]) -> Step {
        for field in fields {
            match field.name.as_str() {
                "msg_iov" => self.add_buffers(runner, &field.value)?,
                "msg_control" => {
                    if let Expr::List(list) = &field.value {
                        self.control.clone_from(list);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The bytes to send.
    fn data(&self) -> Vec<u8> {
        let mut data = self.text.as_ref().map(|(t, _)| t.clone().into_bytes()).unwrap_or_default();
        data.resize(self.len as usize, 0);
        data
    }
}
