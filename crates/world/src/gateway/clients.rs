//! The addresses that real clients have in the lab.

use core::net::IpAddr;

use netarium_base::{Cause, NodeId, Place};
use netarium_wire::Cidr;

use crate::core::Core;
use crate::node::Kind;

/// How many addresses of real clients a world takes in; further ones are noted and left out.
pub const CLIENTS_MAX: usize = 256;

impl Core {
    /// Gives the gateway an address for a real client, and the address its label.
    pub(crate) fn add_client(&mut self, address: IpAddr, label: String, cause: Cause) {
        if let Err(why) = self.try_add_client(address, label) {
            let text = format!("a real client gets no address of its own: {why}");
            self.note(Place::World, &text, cause);
        }
    }

    fn try_add_client(&mut self, address: IpAddr, label: String) -> Result<(), String> {
        let node = self.gateway.node.ok_or("the lab has no gateway")?;
        let clients = &self.gateway.clients;
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&address) {
            return Err(format!("there are {CLIENTS_MAX} of them, which is the limit"));
        }
        match self.holder(address) {
            Some(holder) if holder == node => {}
            Some(holder) => {
                let name = self.names.nodes[holder.0 as usize].clone();
                return Err(format!("{address} is an address of {name}"));
            }
            None => {
                let stack = &mut self.host_mut(node).stack;
                let mut interfaces = stack.interfaces().iter();
                let (index, prefix) = interfaces
                    .find_map(|i| {
                        let net = i.addresses.iter().find(|a| a.contains(address))?;
                        Some((i.index, net.prefix()))
                    })
                    .ok_or_else(|| format!("the gateway is on no network with {address}"))?;
                let alias = Cidr::new(address, prefix).ok_or("an impossible prefix")?;
                stack.add_alias(index, alias);
            }
        }
        self.gateway.clients.insert(address, label.into());
        Ok(())
    }

    /// The host that has an address.
    pub(crate) fn holder(&self, address: IpAddr) -> Option<NodeId> {
        let has = |kind: &Kind| match kind {
            Kind::Host(host) => {
                let mut all = host.stack.interfaces().iter().flat_map(|i| &i.addresses);
                all.any(|a| a.address() == address)
            }
            _ => false,
        };
        let at = self.nodes.iter().position(|node| has(&node.kind))?;
        Some(NodeId(at as u32))
    }
}
