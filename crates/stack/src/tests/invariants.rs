//! What must hold of a host at any time.

use std::collections::BTreeMap;

use netarium_wire::protocol;

use super::common::Net;
use crate::sockets::{Inner, MAX_SOCKETS};
use crate::tcp::{Connection, Seq, State};
use crate::types::SocketKind;
use crate::{Stack, neighbour};

/// What is remembered of connections between two looks at them.
#[derive(Default)]
pub(super) struct Watch {
    /// Where the right edge of the window stood; by slot, initial sequence number and state.
    edges: BTreeMap<(usize, u32, u32, u32), Seq>,
}

impl Watch {
    /// Checks every host.
    pub(super) fn check(&mut self, net: &Net) {
        for (h, host) in net.hosts.iter().enumerate() {
            check_host(host);
            for (slot, entry) in host.tcp.iter() {
                let c = &entry.conn;
                check_connection(c);
                if c.state.is_synchronized() {
                    let key = (h, slot, c.snd.iss.0, c.rcv.irs.0);
                    let edge = self.edges.entry(key).or_insert(c.rcv.adv);
                    assert!(c.rcv.adv.at_or_after(*edge), "the window's edge moved back: {c:?}");
                    *edge = c.rcv.adv;
                }
            }
        }
    }
}

fn check_connection(c: &Connection) {
    assert!(c.snd.una.at_or_before(c.snd.nxt), "{c:?}");
    assert!(c.rcv.nxt.at_or_before(c.rcv.adv) || c.state == State::SynSent, "{c:?}");
    if c.state == State::Closed {
        assert!(c.send.is_empty() && c.ooo.is_empty() && c.next_deadline().is_none(), "{c:?}");
        return;
    }
    if c.state != State::TimeWait && c.snd.syn_acked {
        c.rec.board.check(c.snd.una, c.snd.nxt, c.sack);
        let end = c.data_end() + u32::from(c.snd.fin.is_some());
        assert!(c.snd.nxt.at_or_before(end), "sent more than there is: {c:?}");
        assert!(
            c.in_flight() == 0 || c.timers.is_watched(),
            "nothing watches over what is in flight: {c:?}"
        );
    }
    if !c.rcv.fixed && c.state.is_synchronized() {
        // What came out of order lies inside the window.
        let promised = c.recv.len() + c.rcv.adv.ahead_of(c.rcv.nxt) as usize;
        let step = (1usize << c.rcv.shift) - 1;
        assert!(promised <= c.rcv.limit.max(65_535) as usize + step, "{promised}: {c:?}");
    }
    assert!(c.snd.mss >= 36 && c.cc.window.cwnd >= 1, "{c:?}");
}

fn check_host(host: &Stack) {
    let mut ports: BTreeMap<(u8, u16), u32> = BTreeMap::new();
    let protocol_of = |kind| match kind {
        SocketKind::Tcp => protocol::TCP,
        SocketKind::Udp => protocol::UDP,
        SocketKind::Ping => protocol::ICMP,
        SocketKind::Packet => unreachable!("it is bound to no port"),
    };
    for (id, s) in host.sockets.iter() {
        if let Some(bound) = s.bound {
            *ports.entry((protocol_of(s.kind), bound.port())).or_default() += 1;
        }
        if let Inner::Listener(l) = &s.inner {
            let of_it = host.tcp.requests.iter().filter(|(_, r)| r.listener == id);
            let half: Vec<u32> = of_it.map(|(place, _)| place).collect();
            assert_eq!(l.requests.len(), half.len(), "half-open connections of {id:?}");
            assert!(half.iter().all(|place| l.requests.contains(place)));
            assert!(half.len() <= l.backlog.max(1) as usize);
            assert!(l.ready.len() <= l.backlog as usize + 1);
            assert!(l.ready.iter().all(|s| host.tcp.get(*s).is_some()));
        }
    }
    let (mut busy, mut parentless) = (0, 0);
    for (_, e) in host.tcp.iter() {
        *ports.entry((protocol::TCP, e.conn.setup.local.port())).or_default() += 1;
        let closed = e.conn.state == State::Closed;
        busy += u32::from(!closed && !e.conn.is_quiet());
        parentless += u32::from(!closed && e.socket.is_none() && e.listener.is_none());
        assert_eq!(e.linked, !closed);
    }
    host.tcp.check(busy, parentless);
    assert_eq!(host.ip.ports.snapshot(), ports, "port uses are balanced");
    assert!(host.ip.neighbours.list(netarium_base::Instant::ZERO).len() <= neighbour::MAX_ENTRIES);
    assert!(host.sockets.iter().count() <= MAX_SOCKETS);
}
