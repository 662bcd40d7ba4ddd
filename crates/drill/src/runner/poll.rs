//! `poll` and `epoll`.

use std::collections::BTreeMap;

use netarium_base::{Duration, SocketId};
use netarium_stack::Readiness;

use super::calls::Object;
use super::pending::{Pending, Try};
use super::{Runner, Step, differs, fail};
use crate::script::{Call, Expr, Field};

const IN: i64 = 1;
const PRI: i64 = 2;
const OUT: i64 = 4;
const ERR: i64 = 8;
const HUP: i64 = 16;
const NVAL: i64 = 32;
const RDNORM: i64 = 64;
const WRNORM: i64 = 256;
const RDHUP: i64 = 0x2000;
const ONESHOT: i64 = 1 << 30;
const EDGE: i64 = 1 << 31;

/// An epoll instance: what it watches.
#[derive(Clone, Debug, Default)]
pub(super) struct Epoll {
    interests: BTreeMap<i64, Interest>,
}

#[derive(Clone, Copy, Debug)]
struct Interest {
    events: i64,
    /// The user data that `epoll_wait` gives back.
    data: i64,
    /// Something happened since the last `epoll_wait` that told of it.
    fresh: bool,
    /// Not again after EPOLLONESHOT.
    enabled: bool,
}

impl Runner {
    /// What a descriptor is ready for, as bits of poll.
    fn ready(&self, fd: i64) -> i64 {
        let Some(fd) = self.fds.get(&fd) else { return NVAL };
        let Object::Socket(sock) = &fd.object else { return 0 };
        let ready = self.machine.readiness(sock.id);
        let mut bits = 0;
        let mut set = |flag: Readiness, mask: i64| {
            if ready.contains(flag) {
                bits |= mask;
            }
        };
        set(Readiness::READABLE, IN | RDNORM);
        set(Readiness::WRITABLE, OUT | WRNORM);
        set(Readiness::ERROR, ERR);
        set(Readiness::HANGUP, HUP);
        set(Readiness::PRIORITY, PRI);
        let info = self.machine.stack.tcp_info(self.machine.now, sock.id);
        // The peer's FIN was received: CLOSE-WAIT, LAST-ACK, CLOSING, TIME-WAIT, CLOSED.
        let connected = self.machine.stack.peer_addr(sock.id).is_some();
        if connected && info.is_ok_and(|i| matches!(i.state, 6..=9 | 11)) {
            bits |= RDHUP;
        }
        bits
    }

    pub(super) fn poll(&mut self, call: &Call, pending: &mut Pending) -> Step<Try> {
        let timeout = self.int_arg(call, 2)?;
        let Expr::List(list) = self.arg(call, 0)? else {
            return Err(fail("poll takes a list of struct pollfd"));
        };
        let list = list.clone();
        let mut all = Vec::new();
        for entry in &list {
            let Expr::Struct(fields) = entry else { return Err(fail("expected a struct pollfd")) };
            let fd = self.field(fields, "fd")?.unwrap_or(-1);
            let asked = self.field(fields, "events")?.unwrap_or(0);
            let want = self.field(fields, "revents")?;
            let got = if fd < 0 { 0 } else { self.ready(fd) & (asked | ERR | HUP | NVAL) };
            all.push((fd, want, got));
        }
        let count = all.iter().filter(|(.., got)| *got != 0).count() as i64;
        if count == 0 && !self.timed_out(timeout, pending) {
            return Ok(Try::Wait(deadline(timeout, pending)));
        }
        for (fd, want, got) in all {
            if want.is_some_and(|w| w != got) {
                return Err(differs(
                    format!("poll says something else of {fd}"),
                    format!("revents {:#x}", want.unwrap_or(0)),
                    format!("revents {got:#x}"),
                ));
            }
        }
        Ok(Try::Done(Ok(count)))
    }

    fn field(&self, fields: &[Field], name: &str) -> Step<Option<i64>> {
        let found = fields.iter().find(|f| f.name == name && f.value != Expr::Ellipsis);
        found.map(|f| self.int(&f.value)).transpose()
    }

    fn timed_out(&self, timeout: i64, pending: &Pending) -> bool {
        timeout == 0 || deadline(timeout, pending).is_some_and(|d| self.machine.now >= d)
    }

    pub(super) fn epoll_create(&mut self, call: &Call) -> Step<Try> {
        self.open(call, Object::Epoll(Epoll::default()), false).map(|n| Try::Done(Ok(n)))
    }

    pub(super) fn epoll_ctl(&mut self, call: &Call) -> Step<Try> {
        let (epfd, op, fd) =
            (self.int_arg(call, 0)?, self.int_arg(call, 1)?, self.int_arg(call, 2)?);
        let (events, data) = match call.args.get(3) {
            Some(Expr::Struct(fields)) => {
                (self.field(fields, "events")?.unwrap_or(0), self.user_data(fields)?)
            }
            _ => (0, 0),
        };
        if !self.fds.contains_key(&fd) {
            return Ok(Try::Done(Err("EBADF")));
        }
        let Some(epoll) = self.epoll(epfd) else { return Ok(Try::Done(Err("EBADF"))) };
        let known = epoll.interests.contains_key(&fd);
        let interest = Interest { events, data, fresh: true, enabled: true };
        Ok(Try::Done(match (op, known) {
            (1, true) => Err("EEXIST"),
            (1, false) | (3, true) => {
                epoll.interests.insert(fd, interest);
                Ok(0)
            }
            (2, true) => {
                epoll.interests.remove(&fd);
                Ok(0)
            }
            (2 | 3, false) => Err("ENOENT"),
            _ => Err("EINVAL"),
        }))
    }

    fn user_data(&self, fields: &[Field]) -> Step<i64> {
        for name in ["fd", "u32", "u64", "ptr"] {
            if let Some(n) = self.field(fields, name)? {
                return Ok(n);
            }
        }
        Ok(0)
    }

    fn epoll(&mut self, fd: i64) -> Option<&mut Epoll> {
        match &mut self.fds.get_mut(&fd)?.object {
            Object::Epoll(epoll) => Some(epoll),
            Object::Socket(_) => None,
        }
    }

    pub(super) fn epoll_wait(&mut self, call: &Call, pending: &mut Pending) -> Step<Try> {
        self.freshen();
        let epfd = self.int_arg(call, 0)?;
        let (most, timeout) = (self.int_arg(call, 2)?, self.int_arg(call, 3)?);
        if most <= 0 {
            return Ok(Try::Done(Err("EINVAL")));
        }
        let Some(epoll) = self.epoll(epfd) else { return Ok(Try::Done(Err("EBADF"))) };
        let interests: Vec<(i64, Interest)> =
            epoll.interests.iter().map(|(fd, i)| (*fd, *i)).collect();
        let mut found = Vec::new();
        for (fd, interest) in interests {
            let got = self.ready(fd) & (interest.events | ERR | HUP);
            let due = interest.enabled && (interest.fresh || interest.events & EDGE == 0);
            if got != 0 && due && (found.len() as i64) < most {
                found.push((got, interest.data));
                self.told(epfd, fd);
            }
        }
        if found.is_empty() && !self.timed_out(timeout, pending) {
            return Ok(Try::Wait(deadline(timeout, pending)));
        }
        let want = self.arg(call, 1)?.clone();
        self.check_events(&want, &found)?;
        Ok(Try::Done(Ok(found.len() as i64)))
    }

    /// An edge was told of, a one-shot is over.
    fn told(&mut self, epfd: i64, fd: i64) {
        if let Some(interest) = self.epoll(epfd).and_then(|e| e.interests.get_mut(&fd)) {
            interest.fresh = false;
            interest.enabled = interest.events & ONESHOT == 0;
        }
    }

    /// What the stack woke since the last look is fresh for every epoll that watches it.
    fn freshen(&mut self) {
        let woken = std::mem::take(&mut self.machine.woken);
        let sockets: BTreeMap<i64, SocketId> = self
            .fds
            .iter()
            .filter_map(|(n, fd)| match &fd.object {
                Object::Socket(sock) => Some((*n, sock.id)),
                Object::Epoll(_) => None,
            })
            .collect();
        for fd in self.fds.values_mut() {
            let Object::Epoll(epoll) = &mut fd.object else { continue };
            for (n, interest) in &mut epoll.interests {
                interest.fresh |= sockets.get(n).is_some_and(|id| woken.contains(id));
            }
        }
    }

    fn check_events(&self, want: &Expr, found: &[(i64, i64)]) -> Step {
        let entries = match want {
            Expr::Struct(_) => std::slice::from_ref(want),
            Expr::List(list) => list.as_slice(),
            _ => return Ok(()),
        };
        for (i, entry) in entries.iter().enumerate() {
            let Expr::Struct(fields) = entry else { continue };
            let events = self.field(fields, "events")?.unwrap_or(0);
            let Some((got, data)) = found.get(i) else {
                if events == 0 {
                    continue;
                }
                return Err(differs("epoll_wait misses an event", format!("{events:#x}"), "none"));
            };
            let want = (events, self.user_data(fields)?);
            if want != (*got, *data) {
                return Err(differs(
                    "epoll_wait says something else",
                    format!("events {:#x} of {}", want.0, want.1),
                    format!("events {got:#x} of {data}"),
                ));
            }
        }
        Ok(())
    }
}

/// When a call with a time-out in milliseconds gives up; `None` for never.
fn deadline(timeout: i64, pending: &Pending) -> Option<netarium_base::Instant> {
    (timeout >= 0).then(|| pending.start + Duration::from_millis(timeout as u64))
}
