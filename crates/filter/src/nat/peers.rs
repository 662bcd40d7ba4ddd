//! With whom mappings are used, for the kinds of NAT that depend on the far end's address.

use core::net::{IpAddr, SocketAddr};

use netarium_base::map::Map;

/// An inside end point of a protocol and a far end; port 0 of the far end stands for all.
type Key = (u8, SocketAddr, IpAddr, u16);

/// The mapping that serves an inside end point towards a far end, and the sessions between them.
/// Never more entries than two per session.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    map: Map<Key, (u32, u32)>,
}

impl Peers {
    /// The mapping towards a far end; `port` is 0 for any port of its address.
    pub(crate) fn mapping(
        &self,
        protocol: u8,
        inside: SocketAddr,
        far: IpAddr,
        port: u16,
    ) -> Option<u32> {
        self.map.get(&(protocol, inside, far, port)).map(|&(mapping, _)| mapping)
    }

    /// One session more between the two.
    pub(crate) fn add(&mut self, protocol: u8, inside: SocketAddr, far: SocketAddr, mapping: u32) {
        for port in ports(far) {
            let entry = self.map.entry((protocol, inside, far.ip(), port));
            entry.or_insert((mapping, 0)).1 += 1;
        }
    }

    /// One session fewer.
    pub(crate) fn remove(&mut self, protocol: u8, inside: SocketAddr, far: SocketAddr) {
        for port in ports(far) {
            let key = (protocol, inside, far.ip(), port);
            let Some((_, sessions)) = self.map.get_mut(&key) else { continue };
            *sessions -= 1;
            if *sessions == 0 {
                self.map.swap_remove(&key);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.map.clear();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.map.capacity() * (size_of::<Key>() + size_of::<(u32, u32)>() + 2 * size_of::<usize>())
    }
}

/// The address as a whole, and the port where there is one.
fn ports(far: SocketAddr) -> impl Iterator<Item = u16> {
    [0, far.port()].into_iter().take(if far.port() == 0 { 1 } else { 2 })
}
