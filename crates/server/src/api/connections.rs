//! Who from the real machine is in the lab.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use netarium_world::{NodeKind, World};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::routes::{Readable, Shared};
use super::view::ProxyView;

/// Real clients, and what they are connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionsView {
    /// The real clients that have an address in the lab, in the order in which they came.
    pub clients: Vec<ClientView>,
    /// Their connections and flows of datagrams that are open now.
    pub connections: Vec<ConnectionView>,
}

/// A real client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// Its address in the lab.
    pub address: String,
    /// Who it is: `curl on 127.0.0.1`.
    pub label: String,
}

/// A connection, or the datagrams of one real client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionView {
    /// `tcp` or `udp`.
    pub proto: String,
    /// The real address and port, and the program where it is known: `127.0.0.1:51234 (curl)`.
    pub client: String,
    /// The host that holds the lab's end.
    pub host: String,
    /// That end.
    pub local: String,
    /// Where it leads in the lab.
    pub remote: String,
    /// The state of its socket, as `netstat` calls it; empty for datagrams.
    pub state: String,
}

/// A proxy that is wanted: from which host; by default the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyWanted {
    /// The host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Opens a proxy whose connections come from a host, or tells where it listens already.
pub(super) async fn open_proxy(
    State(shared): State<Shared>,
    Json(wanted): Json<ProxyWanted>,
) -> Result<Json<ProxyView>, Failure> {
    let listen = shared.proxies.of(wanted.from.as_deref()).await?;
    let from = wanted.from.unwrap_or_else(|| netarium_lab::model::GATEWAY.to_owned());
    Ok(Json(ProxyView { listen, from }))
}

pub(super) async fn connections(
    State(world): State<Readable>,
) -> Result<Json<ConnectionsView>, Failure> {
    world.query(|world: &mut World| view(world)).await.map(Json)
}

fn view(world: &World) -> ConnectionsView {
    let clients = world.clients().into_iter();
    let clients = clients.map(|(address, label)| ClientView {
        address: address.to_string(),
        label: label.to_string(),
    });
    let names: BTreeMap<_, _> = world
        .nodes()
        .filter(|n| n.kind == NodeKind::Host)
        .map(|n| (n.id, n.name.to_owned()))
        .collect();
    let mut connections = Vec::new();
    for c in world.connections() {
        let Some(stack) = world.stack(c.host) else { continue };
        let text = |a: Option<std::net::SocketAddr>| a.map(|a| a.to_string()).unwrap_or_default();
        connections.push(ConnectionView {
            proto: c.transport.to_string(),
            client: c.client,
            host: names.get(&c.host).cloned().unwrap_or_default(),
            local: text(stack.local_addr(c.socket)),
            remote: text(stack.peer_addr(c.socket)),
            state: stack.socket_info(c.socket).map(|s| s.state).unwrap_or_default().to_owned(),
        });
    }
    ConnectionsView { clients: clients.collect(), connections }
}
