//! Who real clients are, and which address each of them has in the lab.
//!
//! A real client is an address of the real machine and, where the system tells (Linux), the
//! name of the program: `curl` and `firefox` on one machine are two clients, two runs of `curl` are
//! one. The first client of a run has the gateway's own address, so that a lab with one visitor looks
//! as its file says; each further one gets the highest free address of the gateway's network that
//! no host has. A client keeps its address as long as the lab runs, and every address is journalled.
//!
//! # Limits
//! [`ADDRESSES`] clients have addresses of their own; further ones share the gateway's. Asking the
//! system costs a millisecond or so, and is done for at most [`LOOK_UPS`] new connections a second
//! (after a first burst): a connection beyond that counts as one of the program that was last seen
//! from its address. Such a storm comes from one program.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use netarium_lab::Lab;
use netarium_world::{Input, Transport};

use crate::os;
use crate::report::{Caller, Notice, Reporter};
use crate::runner::WorldHandle;

/// How many real clients have an address of their own, the first one's included.
pub const ADDRESSES: usize = 64;
/// How many connections a second are looked up, and how many at once after a pause.
pub const LOOK_UPS: f64 = 32.0;
const BURST: f64 = 64.0;
/// How many processes are remembered, to be asked first.
const REMEMBERED: usize = 8;

/// A real client, as a door sees it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Who it is, for people.
    pub(crate) caller: Caller,
    /// The gateway's address that its connections come from; `None` when another host opens them, or
    /// the lab has no gateway.
    pub(crate) source: Option<IpAddr>,
}

/// Knows the real clients of a lab.
pub(crate) struct Clients {
    world: WorldHandle,
    reporter: Reporter,
    state: Mutex<State>,
    /// One look-up at a time: what the first finds answers most of those behind it.
    turn: tokio::sync::Mutex<()>,
}

struct State {
    known: HashMap<(IpAddr, Option<String>), IpAddr>,
    /// The gateway's own address, until the first client has it.
    first: Option<IpAddr>,
    /// Free addresses, the next one last.
    free: Vec<Ipv4Addr>,
    /// Where those go who find no free one.
    shared: Option<IpAddr>,
    told: bool,
    budget: Budget,
    /// The program that was last seen from an address.
    last: HashMap<IpAddr, Option<String>>,
    processes: Vec<u32>,
}

impl Clients {
    pub(crate) fn new(lab: &Lab, world: WorldHandle, reporter: Reporter) -> Arc<Clients> {
        let own = lab.gateway().map(|g| IpAddr::V4(g.interface.address()));
        let state = State {
            known: HashMap::new(),
            first: own,
            free: free_addresses(lab),
            shared: own,
            told: false,
            budget: Budget { tokens: BURST, at: Instant::now() },
            last: HashMap::new(),
            processes: Vec::new(),
        };
        let turn = tokio::sync::Mutex::new(());
        Arc::new(Clients { world, reporter, state: Mutex::new(state), turn })
    }

    /// Who is at the other end of a real socket; `at_gateway`: and its address in the lab.
    pub(crate) async fn identify(
        self: &Arc<Self>,
        transport: Transport,
        peer: SocketAddr,
        own: SocketAddr,
        at_gateway: bool,
    ) -> Client {
        let program = self.program(transport, peer, own).await;
        let source = if at_gateway { self.address(peer.ip(), &program).await } else { None };
        Client { caller: Caller { address: peer.to_string(), program }, source }
    }

    async fn program(
        self: &Arc<Self>,
        transport: Transport,
        peer: SocketAddr,
        own: SocketAddr,
    ) -> Option<String> {
        let here = peer.ip().is_loopback() || peer.ip() == own.ip();
        if !here || !cfg!(target_os = "linux") {
            return None;
        }
        {
            let mut state = self.lock();
            if !state.budget.take() {
                return state.last.get(&peer.ip()).cloned().flatten();
            }
        }
        let _turn = self.turn.lock().await;
        let likely = self.lock().processes.clone();
        let look = move || os::socket_owner(transport, peer, own, &likely);
        let found = tokio::task::spawn_blocking(look).await.ok().flatten();
        let mut state = self.lock();
        if let Some(found) = &found {
            state.remember(found.pid);
        }
        let program = found.map(|holder| holder.program);
        // A handful of addresses: those of this machine.
        state.last.insert(peer.ip(), program.clone());
        program
    }

    async fn address(&self, real: IpAddr, program: &Option<String>) -> Option<IpAddr> {
        let key = (real, program.clone());
        loop {
            let candidate = {
                let mut state = self.lock();
                if let Some(&known) = state.known.get(&key) {
                    return Some(known);
                }
                match state.next_address() {
                    Some(address) if Some(address) == state.shared => {
                        return Some(self.assign(&mut state, key, address));
                    }
                    Some(address) => address,
                    None => return self.share(&mut state),
                }
            };
            // A host may have got the address while the lab runs.
            let holder = self.world.query(move |world| world.address_holder(candidate)).await;
            if holder.is_ok_and(|holder| holder.is_none()) {
                let mut state = self.lock();
                if let Some(&known) = state.known.get(&key) {
                    // Another connection of the same client was faster.
                    state.free.extend(as_v4(candidate));
                    return Some(known);
                }
                return Some(self.assign(&mut state, key, candidate));
            }
        }
    }

    /// Gives a client its address, under the lock: nobody may use it before the world knows it.
    fn assign(&self, state: &mut State, key: (IpAddr, Option<String>), address: IpAddr) -> IpAddr {
        let label = match &key.1 {
            Some(program) => format!("{program} on {}", key.0),
            None => key.0.to_string(),
        };
        state.known.insert(key, address);
        // When the lab has ended, nobody needs an address.
        let _ = self.world.input(Input::Client { address, label });
        address
    }

    fn share(&self, state: &mut State) -> Option<IpAddr> {
        if !std::mem::replace(&mut state.told, true) && state.shared.is_some() {
            let text = "no address is free for a further real client: it shares the gateway's";
            self.reporter.tell(Notice::Trouble(text.to_owned()));
        }
        state.shared
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_address(&mut self) -> Option<IpAddr> {
        self.first.take().or_else(|| self.free.pop().map(IpAddr::V4))
    }

    fn remember(&mut self, pid: u32) {
        self.processes.retain(|&known| known != pid);
        self.processes.insert(0, pid);
        self.processes.truncate(REMEMBERED);
    }
}

fn as_v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// The highest addresses of the gateway's network that nobody in the lab has.
fn free_addresses(lab: &Lab) -> Vec<Ipv4Addr> {
    let Some(gateway) = lab.gateway() else { return Vec::new() };
    let network = lab.networks().iter().find(|n| n.name == gateway.interface.network);
    let Some(subnet) = network.map(|n| n.subnet) else { return Vec::new() };
    let hosts = lab.hosts().iter().flat_map(|h| &h.interfaces);
    let taken: std::collections::HashSet<Ipv4Addr> =
        hosts.chain([&gateway.interface]).flat_map(|i| &i.addresses).map(|a| a.address).collect();
    let (low, high) = (subnet.network().to_bits(), subnet.broadcast().to_bits());
    let usable = (low.saturating_add(1)..high).rev().map(Ipv4Addr::from_bits);
    let mut free: Vec<Ipv4Addr> =
        usable.filter(|a| !taken.contains(a)).take(ADDRESSES - 1).collect();
    free.reverse();
    free
}

/// How much may be asked of the system.
struct Budget {
    tokens: f64,
    at: Instant,
}

impl Budget {
    fn take(&mut self) -> bool {
        let now = Instant::now();
        let earned = (now - self.at).as_secs_f64() * LOOK_UPS;
        (self.tokens, self.at) = ((self.tokens + earned).min(BURST), now);
        let enough = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(enough));
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_lab::Files;

    fn lab(subnet: &str, hosts: &str) -> Lab {
        let text = format!(
            "version = 1\nlab.name = \"x\"\n[networks.lan]\nsubnet = \"{subnet}\"\n{hosts}\n\
             [gateway]\nnetwork = \"lan\"\n"
        );
        Lab::from_parts("lab.toml", &text, &Files::new(), &[]).unwrap()
    }

    #[test]
    fn free_addresses_are_the_highest_that_no_host_has() {
        let free = free_addresses(&lab(
            "10.0.0.0/24",
            "[hosts.a]\nnetworks.lan = \"10.0.0.254\"\n[hosts.b]\nnetworks.lan = \"10.0.0.252\"",
        ));
        let of = |last: u8| Ipv4Addr::new(10, 0, 0, last);
        assert_eq!((free.len(), free.last(), free[61]), (63, Some(&of(253)), of(251)));
        // A network that is full has none.
        let full = lab("10.0.0.0/30", "[hosts.a]\nnetworks.lan = \"10.0.0.1\"");
        assert!(free_addresses(&full).is_empty());
    }

    #[test]
    fn what_is_asked_of_the_system_is_bounded() {
        let mut budget = Budget { tokens: BURST, at: Instant::now() };
        let granted = (0..10_000).filter(|_| budget.take()).count();
        assert!((BURST as usize..BURST as usize + 1_000).contains(&granted), "{granted}");
    }
}
