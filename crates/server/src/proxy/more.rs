//! Further proxies of a running lab: one for each host from which somebody wants to look around.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use netarium_lab::Lab;
use netarium_lab::model::GATEWAY;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::{DEFAULT_LISTEN, Proxy, ProxyError, ProxyOptions};
use crate::publish::{Inside, Limits};

/// How many hosts can have a proxy of their own at once.
pub const PROXIES_MAX: usize = 64;

/// Why there is no further proxy.
#[derive(Debug, thiserror::Error)]
pub enum MoreError {
    /// It cannot be.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The lab has no gateway, and no host was named.
    #[error("the lab has no gateway: name the host from which connections are to come")]
    NoGateway,
    /// There are enough.
    #[error("{PROXIES_MAX} hosts have a proxy, which is the limit")]
    TooMany,
}

/// The proxies that were asked for while the lab runs; they end with it.
pub struct Proxies {
    lab: Lab,
    inside: Inside,
    limits: Limits,
    open: Mutex<(BTreeMap<String, SocketAddr>, JoinSet<()>)>,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Proxies")
    }
}

impl Proxies {
    /// With the proxy that is open already, if any: the host from which its connections come, and
    /// where it listens.
    pub fn new(
        lab: Lab,
        inside: Inside,
        limits: Limits,
        first: Option<(String, SocketAddr)>,
    ) -> Proxies {
        let open = Mutex::new((first.into_iter().collect(), JoinSet::new()));
        Proxies { lab, inside, limits, open }
    }

    /// Where the proxy of a host (by default the lab file's, else the gateway) listens: on a loopback port that the system
    /// chooses, unless it is the lab's own.
    ///
    /// # Errors
    /// See [`MoreError`].
    pub async fn of(&self, from: Option<&str>) -> Result<SocketAddr, MoreError> {
        let mut open = self.open.lock().await;
        let (known, tasks) = &mut *open;
        let host = from.or(self.lab.proxy_from()).unwrap_or(GATEWAY);
        if let Some(&listen) = known.get(host) {
            return Ok(listen);
        }
        if known.len() >= PROXIES_MAX {
            return Err(MoreError::TooMany);
        }
        let listen = SocketAddr::new(DEFAULT_LISTEN.ip(), 0);
        let options = ProxyOptions { listen, from: from.map(str::to_owned) };
        let bound = Proxy::bind(&self.lab, &options, &self.limits).await?;
        let proxy = bound.ok_or(MoreError::NoGateway)?;
        let local = proxy.local_addr();
        let (lab, inside) = (self.lab.clone(), self.inside.clone());
        tasks.spawn(async move { proxy.serve(&lab, inside).await });
        known.insert(host.to_owned(), local);
        Ok(local)
    }
}
