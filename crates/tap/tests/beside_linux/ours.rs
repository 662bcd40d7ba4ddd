//! A socket of ours, in virtual time.

use std::net::SocketAddr;

use netarium_base::{Cause, Ctx, Duration, IfIndex, Instant, NodeId, Pid, Seed, SocketId, Tracer};
use netarium_stack::{Errno, Shutdown, SocketKind, Stack, StackConfig};
use netarium_wire::{Arp, Frame};

use super::common::KERNEL_MAC;
use super::generate::{Step, View};
use super::sides::{Answer, HOST, Numbers, PEER, PORT, Reply, Side, arp_from_peer};

/// A socket of ours.
pub(crate) struct Ours {
    stack: Stack,
    eth0: IfIndex,
    now: Instant,
    tracer: Tracer,
    numbers: Numbers,
    listener: Option<SocketId>,
    socket: Option<SocketId>,
}

impl Ours {
    pub(crate) fn new(peer_port: u16) -> Ours {
        let mut stack = Stack::new(StackConfig {
            node: NodeId(1),
            name: "host".to_owned(),
            seed: Seed(u64::from(peer_port)),
            forwarding: false,
        });
        let config = stack.tcp_config_mut();
        config.invalid_ratelimit = Duration::ZERO;
        config.challenge_ack_limit = u32::MAX;
        let eth0 = stack.add_interface("eth0", KERNEL_MAC, 1500);
        stack.add_address(eth0, format!("{HOST}/24").parse().expect("an address"));
        let mut ours = Ours {
            stack,
            eth0,
            now: Instant::ZERO + Duration::from_secs(100),
            tracer: Tracer::new(0),
            numbers: Numbers { peer_port, ..Numbers::default() },
            listener: None,
            socket: None,
        };
        ours.arrive(arp_from_peer(Arp::REQUEST));
        ours
    }

    /// What it would be right to send to it.
    pub(crate) fn view(&self) -> View {
        self.numbers.view
    }

    fn arrive(&mut self, frame: Box<Frame>) -> Vec<Answer> {
        let eth0 = self.eth0;
        self.on(|stack, cx, _| stack.handle_frame(cx, eth0, frame)).1
    }

    /// Something happens; its result, and the segments that leave.
    fn on<R>(
        &mut self,
        f: impl FnOnce(&mut Stack, &mut Ctx<'_>, &mut Option<SocketId>) -> R,
    ) -> (R, Vec<Answer>) {
        self.now = self.now + Duration::from_micros(20);
        let mut cx = Ctx::new(self.now, Cause::NONE, &mut self.tracer);
        let result = f(&mut self.stack, &mut cx, &mut self.socket);
        while self.stack.poll_event().is_some() {}
        let mut answers = Vec::new();
        while let Some((_, frame)) = self.stack.poll_transmit() {
            answers.extend(self.numbers.read(&frame));
        }
        (result, answers)
    }

    fn call(&mut self, step: &Step) -> (Result<i64, Errno>, Vec<Answer>) {
        let (listener, peer_port) = (&mut self.listener.take(), self.numbers.peer_port);
        let mut slot = *listener;
        let result = self.on(|s, cx, socket| match step {
            Step::Listen => {
                let id = s.socket(SocketKind::Tcp, Pid(7))?;
                s.bind(id, SocketAddr::from((HOST, PORT)))?;
                s.listen(cx, id, 8)?;
                slot = Some(id);
                Ok(0)
            }
            Step::Connect => {
                let id = s.socket(SocketKind::Tcp, Pid(7))?;
                s.bind(id, SocketAddr::from((HOST, PORT)))?;
                *socket = Some(id);
                s.connect(cx, id, SocketAddr::from((PEER, peer_port))).map(|()| 0)
            }
            Step::Accept => match slot {
                Some(listener) if socket.is_none() => {
                    *socket = Some(s.accept(cx, listener)?.0);
                    Ok(0)
                }
                _ => Ok(0),
            },
            Step::Read(n) => {
                let id = socket.ok_or(Errno::EBADF)?;
                s.recv(cx, id, &mut vec![0; *n]).map(|n| n as i64)
            }
            Step::Write(n) => {
                let id = socket.ok_or(Errno::EBADF)?;
                s.send(cx, id, &vec![b'y'; *n]).map(|n| n as i64)
            }
            Step::Shutdown => {
                let id = socket.ok_or(Errno::EBADF)?;
                s.shutdown(cx, id, Shutdown::Write).map(|()| 0)
            }
            Step::Close => {
                let id = socket.take().ok_or(Errno::EBADF)?;
                s.close(cx, id).map(|()| 0)
            }
            Step::Segment(_) => Ok(0),
        });
        self.listener = slot;
        result
    }
}

impl Side for Ours {
    fn take(&mut self, step: &Step) -> Reply {
        if let Step::Segment(seg) = step {
            let frame = self.numbers.frame(seg);
            let segments = self.arrive(frame);
            return self.numbers.reply(None, segments);
        }
        self.numbers.note(step);
        let (result, segments) = self.call(step);
        let result = result.unwrap_or_else(|e| -i64::from(e.code()));
        self.numbers.reply(Some(result), segments)
    }
}
