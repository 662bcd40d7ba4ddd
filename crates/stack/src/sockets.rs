//! The table of a host's sockets: who holds what, and who is bound to which port.

use core::net::SocketAddr;
use std::collections::BTreeSet;

use netarium_base::map::Map;
use netarium_base::{Pid, SocketId};

use crate::datagram::Datagram;
use crate::options::Settings;
use crate::tcp::Listener;
use crate::types::SocketKind;

/// The most sockets a host has at once; `socket` and `accept` fail with EMFILE beyond.
pub const MAX_SOCKETS: usize = 1_048_576;

/// The tables of a host that never had more sockets than this go with the last of them.
const FEW: usize = 16;

/// The id of a connection that no socket holds.
pub(crate) const PARENTLESS: SocketId = SocketId { index: u32::MAX, generation: 0 };

/// What a socket is.
#[derive(Debug)]
pub(crate) enum Inner {
    /// TCP, neither listening nor connected.
    Idle,
    /// A listener.
    Listener(Box<Listener>),
    /// A connection: its slot.
    Stream(u32),
    /// UDP or ping.
    Datagram(Box<Datagram>),
    /// A packet socket: its ring stands with the interfaces.
    Packet,
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) kind: SocketKind,
    pub(crate) pid: Pid,
    /// Where it is bound, by `bind` or implicitly.
    pub(crate) bound: Option<SocketAddr>,
    pub(crate) settings: Settings,
    pub(crate) inner: Inner,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    socket: Option<Box<Socket>>,
}

/// The sockets of a host.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    slots: Vec<Slot>,
    free: Vec<u32>,
    listeners: Map<u16, Vec<SocketId>>,
    datagrams: Map<(bool, u16), Vec<SocketId>>,
    /// Places of the sockets of each process, in order.
    by_pid: Map<Pid, BTreeSet<u32>>,
    /// Places of the sockets bound to each port, in order.
    by_port: Map<(SocketKind, u16), BTreeSet<u32>>,
}

impl Sockets {
    /// Adds a socket; `None` when there are too many.
    pub(crate) fn insert(&mut self, socket: Socket) -> Option<SocketId> {
        if self.slots.len() - self.free.len() >= MAX_SOCKETS {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        self.by_pid.entry(socket.pid).or_default().insert(index);
        if let Some(bound) = socket.bound {
            self.by_port.entry((socket.kind, bound.port())).or_default().insert(index);
        }
        let slot = &mut self.slots[index as usize];
        slot.socket = Some(Box::new(socket));
        Some(SocketId { index, generation: slot.generation })
    }

    /// Removes a socket.
    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Box<Socket>> {
        self.get(id)?;
        self.unlist(id);
        self.forget_place(id);
        let slot = &mut self.slots[id.index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        slot.socket.take()
    }

    pub(crate) fn get(&self, id: SocketId) -> Option<&Socket> {
        let slot = self.slots.get(id.index as usize)?;
        slot.socket.as_deref().filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        let slot = self.slots.get_mut(id.index as usize)?;
        let generation = slot.generation;
        slot.socket.as_deref_mut().filter(|_| generation == id.generation)
    }

    pub(crate) fn listener(&self, id: SocketId) -> Option<&Listener> {
        match &self.get(id)?.inner {
            Inner::Listener(l) => Some(l),
            _ => None,
        }
    }

    pub(crate) fn listener_mut(&mut self, id: SocketId) -> Option<&mut Listener> {
        match &mut self.get_mut(id)?.inner {
            Inner::Listener(l) => Some(l),
            _ => None,
        }
    }

    pub(crate) fn datagram_mut(&mut self, id: SocketId) -> Option<&mut Datagram> {
        match &mut self.get_mut(id)?.inner {
            Inner::Datagram(d) => Some(d),
            _ => None,
        }
    }

    /// What connections of a listener inherit from it.
    pub(crate) fn inherited(&self, id: SocketId) -> Settings {
        self.get(id).map_or_else(Default::default, |s| s.settings)
    }

    fn forget_place(&mut self, id: SocketId) {
        let Some(s) = self.get(id) else { return };
        let (pid, port) = (s.pid, s.bound.map(|b| (s.kind, b.port())));
        if let Some(places) = self.by_pid.get_mut(&pid) {
            places.remove(&id.index);
            if places.is_empty() {
                self.by_pid.swap_remove(&pid);
            }
        }
        if let Some(port) = port
            && let Some(places) = self.by_port.get_mut(&port)
        {
            places.remove(&id.index);
            if places.is_empty() {
                self.by_port.swap_remove(&port);
            }
        }
        if self.slots.len() <= FEW && self.by_pid.is_empty() {
            // A host without sockets keeps no tables for them.
            self.by_pid = Map::default();
            self.by_port = Map::default();
        }
    }

    /// Binds a socket that was not bound.
    pub(crate) fn set_bound(&mut self, id: SocketId, bound: SocketAddr) {
        let Some(s) = self.get_mut(id) else { return };
        s.bound = Some(bound);
        let port = (s.kind, bound.port());
        self.by_port.entry(port).or_default().insert(id.index);
    }

    /// The sockets of a process, in the order of their slots.
    pub(crate) fn of_process(&self, pid: Pid) -> Vec<SocketId> {
        let places = self.by_pid.get(&pid);
        places.into_iter().flatten().filter_map(|i| self.id_at(*i)).collect()
    }

    /// The sockets bound to a port, in the order of their slots.
    pub(crate) fn bound_to(&self, kind: SocketKind, port: u16) -> impl Iterator<Item = &Socket> {
        let places = self.by_port.get(&(kind, port));
        places.into_iter().flatten().filter_map(|i| self.get(self.id_at(*i)?))
    }

    fn id_at(&self, index: u32) -> Option<SocketId> {
        let slot = self.slots.get(index as usize)?;
        Some(SocketId { index, generation: slot.generation })
    }

    /// Files a socket under its port, so that packets find it.
    pub(crate) fn list(&mut self, id: SocketId) {
        let Some(s) = self.get(id) else { return };
        let Some(port) = s.bound.map(|b| b.port()) else { return };
        match (&s.inner, s.kind) {
            (Inner::Listener(_), _) => self.listeners.entry(port).or_default().push(id),
            (Inner::Datagram(_), kind) => {
                self.datagrams.entry((kind == SocketKind::Ping, port)).or_default().push(id);
            }
            _ => {}
        }
    }

    fn unlist(&mut self, id: SocketId) {
        let Some(port) = self.get(id).and_then(|s| s.bound).map(|b| b.port()) else { return };
        if let Some(ids) = self.listeners.get_mut(&port) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.listeners.swap_remove(&port);
            }
        }
        for ping in [false, true] {
            if let Some(ids) = self.datagrams.get_mut(&(ping, port)) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.datagrams.swap_remove(&(ping, port));
                }
            }
        }
    }

    /// The listeners on a port, oldest first.
    pub(crate) fn listeners_on(&self, port: u16) -> &[SocketId] {
        self.listeners.get(&port).map_or(&[], |v| v)
    }

    /// The datagram sockets on a port (for pings: an identifier), oldest first.
    pub(crate) fn datagrams_on(&self, kind: SocketKind, port: u16) -> &[SocketId] {
        self.datagrams.get(&(kind == SocketKind::Ping, port)).map_or(&[], |v| v)
    }

    /// All sockets in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketId, &Socket)> {
        self.slots.iter().enumerate().filter_map(|(i, slot)| {
            let id = SocketId { index: i as u32, generation: slot.generation };
            slot.socket.as_deref().map(|s| (id, s))
        })
    }
}
