//! A published UDP port: one real socket, and a port of the world for each real client.
//!
//! # Theory of operation
//! A real client is an address and port from which datagrams come. Its first datagram opens a port
//! of the world: a socket in the lab with a port number of its own, so that answers find their way
//! back. What the lab answers is sent from the published port.
//!
//! # Limits
//! A client from which and for which nothing comes for [`IDLE`] is forgotten (RFC 4787 §4.3, REQ-5: no
//! less than two minutes). At [`Limits::flows`](super::Limits::flows) clients the one that has been
//! silent for the longest makes room for a new one. A client whose datagrams the lab does not take as
//! fast as they come has them dropped when its credit is used up, as a full socket buffer does. All
//! of this is counted and told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netarium_world::message::{DATAGRAM_MAX, datagram_cost};
use netarium_world::{Input, Output, PortId, Transport};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::{Inside, Publish, Throttle};
use crate::report::Notice;

/// How long a silent client is remembered.
const IDLE: Duration = Duration::from_secs(120);
/// How often it is looked for silent ones.
const SWEEP: Duration = Duration::from_secs(5);
/// Credit that the world has for datagrams to one client, and in which pieces it is granted again.
const WINDOW: u32 = 512 * 1024;
const GRANT: u32 = WINDOW / 4;

/// A real client.
struct Flow {
    port: PortId,
    heard: Instant,
    /// What the world still takes.
    credit: u32,
    /// What was sent on and not granted again.
    ungranted: u32,
}

/// Serves the port until the lab ends or the future is dropped.
pub(super) async fn serve(socket: UdpSocket, listen: SocketAddr, spec: &Publish, inside: Inside) {
    let (sink, mut outputs) = mpsc::unbounded_channel();
    let mut door = Flows {
        spec,
        listen,
        inside,
        sink,
        flows: HashMap::new(),
        clients: HashMap::new(),
        evicted: Throttle::default(),
        dropped: Throttle::default(),
    };
    let mut sweep = tokio::time::interval(SWEEP);
    let mut buffer = vec![0; DATAGRAM_MAX + 1];
    loop {
        tokio::select! {
            biased;
            // The sink in `door` keeps this open.
            Some(output) = outputs.recv() => {
                if let Some((to, bytes)) = door.take(output) {
                    // One that the system does not take is lost, as datagrams may be.
                    let _ = socket.send_to(&bytes, to).await;
                }
            }
            received = socket.recv_from(&mut buffer) => {
                // Errors are about datagrams sent before: that client is gone, or will ask again.
                if let Ok((n, client)) = received
                    && door.datagram(client, &buffer[..n]).await.is_none()
                {
                    return;
                }
            }
            _ = sweep.tick() => door.forget_silent(),
            _ = door.evicted.due() => door.tell_evicted(),
            _ = door.dropped.due() => door.tell_dropped(),
        }
    }
}

struct Flows<'a> {
    spec: &'a Publish,
    listen: SocketAddr,
    inside: Inside,
    sink: mpsc::UnboundedSender<Output>,
    flows: HashMap<SocketAddr, Flow>,
    clients: HashMap<PortId, SocketAddr>,
    evicted: Throttle,
    dropped: Throttle,
}

impl Flows<'_> {
    /// A datagram of a real client; `None` when the lab has ended.
    async fn datagram(&mut self, client: SocketAddr, bytes: &[u8]) -> Option<()> {
        if !self.flows.contains_key(&client) {
            self.open(client).await?;
        }
        let flow = self.flows.get_mut(&client)?;
        flow.heard = Instant::now();
        let cost = datagram_cost(bytes.len());
        if bytes.len() > DATAGRAM_MAX || flow.credit < cost {
            if self.dropped.count() {
                self.tell_dropped();
            }
            return Some(());
        }
        flow.credit -= cost;
        let input = Input::Datagram { port: flow.port, bytes: bytes.to_vec() };
        self.inside.world.input(input).ok()
    }

    async fn open(&mut self, client: SocketAddr) -> Option<()> {
        if self.flows.len() >= self.inside.flows.max(1) {
            self.evict();
        }
        let at_gateway = self.spec.from.is_none();
        let clients = &self.inside.clients;
        let who = clients.identify(Transport::Udp, client, self.listen, at_gateway).await;
        let open = |port| Input::OpenUdp {
            port,
            client: who.caller.to_string(),
            from: self.spec.from.clone(),
            source: who.source,
            to: self.spec.to.into(),
        };
        let port = self.inside.world.open_into(&self.sink, open).ok()?;
        self.inside.world.input(Input::Credit { port, bytes: WINDOW }).ok()?;
        let credit = netarium_world::message::DATAGRAM_CREDIT;
        let flow = Flow { port, heard: Instant::now(), credit, ungranted: 0 };
        self.flows.insert(client, flow);
        self.clients.insert(port, client);
        self.inside
            .reporter
            .tell(Notice::Connected { client: who.caller, to: format!("{}/udp", self.spec.to) });
        Some(())
    }

    /// What the world says; a datagram that is to be sent, and where to.
    fn take(&mut self, output: Output) -> Option<(SocketAddr, Vec<u8>)> {
        let client = *self.clients.get(&output.port()?)?;
        let flow = self.flows.get_mut(&client)?;
        match output {
            Output::Datagram { port, bytes } => {
                flow.heard = Instant::now();
                flow.ungranted += datagram_cost(bytes.len());
                if flow.ungranted >= GRANT {
                    let bytes = std::mem::take(&mut flow.ungranted);
                    let _ = self.inside.world.input(Input::Credit { port, bytes });
                }
                Some((client, bytes))
            }
            // What `Accepted` grants was there from the start: the first datagram does not wait.
            Output::Credit { bytes, .. } => {
                flow.credit = flow.credit.saturating_add(bytes);
                None
            }
            Output::Reset { reason, .. } => {
                let (address, program) = (client.to_string(), None);
                let client_there = crate::report::Caller { address, program };
                let to = format!("{}/udp", self.spec.to);
                self.inside.reporter.tell(Notice::Refused { client: client_there, to, reason });
                self.close(client);
                None
            }
            _ => None,
        }
    }

    fn close(&mut self, client: SocketAddr) {
        if let Some(flow) = self.flows.remove(&client) {
            self.clients.remove(&flow.port);
            self.inside.world.close(flow.port);
        }
    }

    fn forget_silent(&mut self) {
        let silent = |flow: &Flow| flow.heard.elapsed() >= IDLE;
        let gone: Vec<_> =
            self.flows.iter().filter(|(_, f)| silent(f)).map(|(client, _)| *client).collect();
        gone.into_iter().for_each(|client| self.close(client));
    }

    /// The client that has been silent for the longest makes room.
    fn evict(&mut self) {
        let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.heard);
        if let Some(client) = oldest.map(|(client, _)| *client) {
            self.close(client);
            if self.evicted.count() {
                self.tell_evicted();
            }
        }
    }

    fn tell_evicted(&mut self) {
        let (listen, limit, flows) = (self.listen, self.inside.flows, self.evicted.take());
        self.inside.reporter.tell(Notice::FlowsEvicted { listen, limit, flows });
    }

    fn tell_dropped(&mut self) {
        let (listen, datagrams) = (self.listen, self.dropped.take());
        self.inside.reporter.tell(Notice::DatagramsDropped { listen, datagrams });
    }
}
