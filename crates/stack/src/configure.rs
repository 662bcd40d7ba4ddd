//! What can be changed about a host's interfaces, addresses and routes, also while it runs.

use core::net::IpAddr;

use netarium_base::{Ctx, DropReason, IfIndex, Instant};
use netarium_wire::{Cidr, Mac};

use crate::stack::Stack;
use crate::types::{IfCounters, Interface, Lifetime, ReversePath, Route};

impl Stack {
    /// Adds an interface, up and without addresses: number 2, 3, … in the order of the calls.
    pub fn add_interface(&mut self, name: &str, mac: Mac, mtu: u16) -> IfIndex {
        let index = IfIndex(self.ip.interfaces.len() as u16 + 1);
        self.ip.interfaces.reserve_exact(1);
        self.ip.interfaces.push(Interface {
            index,
            name: name.to_owned(),
            mac,
            mtu,
            addresses: Vec::new(),
            up: true,
            promiscuous: 0,
            counters: IfCounters::default(),
        });
        index
    }

    /// Adds an address to an interface, and the route to its network. An address that is there
    /// already stays as it is.
    pub fn add_address(&mut self, iface: IfIndex, address: Cidr) {
        let Some(i) = self.ip.iface_mut(iface) else { return };
        if i.addresses.iter().any(|a| a.address() == address.address()) {
            return;
        }
        if i.addresses.is_empty() {
            // Most interfaces have one.
            i.addresses.reserve_exact(1);
        }
        i.addresses.push(address);
        self.ip.note_addresses();
        self.ip.add_route(Route {
            to: address.network(),
            via: None,
            iface,
            metric: 0,
            source: Some(address.address()),
        });
    }

    /// Adds a further address of a network that the interface is on: no route, for that of the
    /// network is there already. False when there is no such interface, or the host has it.
    pub fn add_alias(&mut self, iface: IfIndex, address: Cidr) -> bool {
        if self.ip.is_own(address.address()) {
            return false;
        }
        let there = self.ip.iface_mut(iface).map(|i| i.addresses.push(address)).is_some();
        self.ip.note_addresses();
        there
    }

    /// Takes an address away, with the route to its network and the routes that prefer it as their
    /// source. With its last address an interface loses all its routes, as on Linux. `false` when
    /// the interface does not have the address. Sockets that are bound to it stay, and hear nothing
    /// any more.
    pub fn remove_address(&mut self, iface: IfIndex, address: IpAddr) -> bool {
        let Some(i) = self.ip.iface_mut(iface) else { return false };
        let Some(at) = i.addresses.iter().position(|a| a.address() == address) else {
            return false;
        };
        let network = i.addresses.remove(at).network();
        let last = i.addresses.is_empty();
        let again = i.addresses.iter().find(|a| a.network() == network).map(Cidr::address);
        self.ip.note_addresses();
        self.ip.lifetimes.remove(&(iface, address));
        self.ip.routes.remove(|r| r.iface == iface && (last || r.source == Some(address)));
        if let Some(source) = again {
            let route = Route { to: network, via: None, iface, metric: 0, source: Some(source) };
            self.ip.add_route(route);
        }
        true
    }

    /// Says until when an address is good; `None` makes it one that stays. `false` when the
    /// interface does not have it.
    pub fn set_lifetime(
        &mut self,
        iface: IfIndex,
        address: IpAddr,
        lifetime: Option<Lifetime>,
    ) -> bool {
        let Some(i) = self.ip.iface(iface) else { return false };
        if !i.addresses.iter().any(|a| a.address() == address) {
            return false;
        }
        match lifetime {
            Some(lifetime) => self.ip.lifetimes.insert((iface, address), lifetime),
            None => self.ip.lifetimes.remove(&(iface, address)),
        };
        true
    }

    /// Until when an address is good; `None` for one that stays.
    pub fn lifetime(&self, iface: IfIndex, address: IpAddr) -> Option<Lifetime> {
        self.ip.lifetimes.get(&(iface, address)).copied()
    }

    /// Takes away the addresses whose time is over.
    pub(crate) fn expire_addresses(&mut self, now: Instant) {
        while let Some((&(iface, address), _)) =
            self.ip.lifetimes.iter().find(|(_, l)| l.valid_until <= now)
        {
            if !self.remove_address(iface, address) {
                self.ip.lifetimes.remove(&(iface, address));
            }
        }
    }

    /// Adds a route; `false` when it is there already or the table is full.
    pub fn add_route(&mut self, route: Route) -> bool {
        self.ip.add_route(route)
    }

    /// Removes the routes that match; how many there were.
    pub fn remove_routes(&mut self, matches: impl Fn(&Route) -> bool) -> usize {
        self.ip.routes.remove(matches)
    }

    /// Changes the longest IP packet that an interface takes, bytes. False: there is no such
    /// interface, or the MTU is below the 68 bytes that every IPv4 link must take (RFC 791 §3.2).
    pub fn set_mtu(&mut self, iface: IfIndex, mtu: u16) -> bool {
        match self.ip.iface_mut(iface) {
            Some(i) if mtu >= 68 => {
                i.mtu = mtu;
                true
            }
            _ => false,
        }
    }

    /// Takes an interface up or down. Going down forgets its neighbours and what waited for them.
    pub fn set_interface_up(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, up: bool) {
        let Some(i) = self.ip.iface_mut(iface) else { return };
        i.up = up;
        if !up {
            for frame in self.ip.neighbours.flush(iface) {
                self.ip.drop(cx, &frame, DropReason::InterfaceDown);
            }
        }
    }

    /// How a packet's source is compared with the way back to it (RFC 3704); off at first, as in
    /// Linux' kernel.
    pub fn set_reverse_path(&mut self, mode: ReversePath) {
        self.ip.reverse_path = mode;
    }

    /// Whether an address is that of everybody: the limited broadcast, or the broadcast address of
    /// one of the host's networks.
    pub fn is_broadcast(&self, address: IpAddr) -> bool {
        self.ip.is_broadcast(address)
    }

    /// How a packet's source is compared with the way back to it.
    pub fn reverse_path(&self) -> ReversePath {
        self.ip.reverse_path
    }
}
