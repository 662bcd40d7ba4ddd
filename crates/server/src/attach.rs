//! Attached servers: connections that lab hosts' ports continue to, on this machine.
//!
//! The lab file names host, port and one real loopback address. With leave (`--allow-attach`) the
//! program `attach` starts on the host; it accepts the lab's connections and asks for one to the real
//! server each. This side has the last word: only a host and an address of the list, and only a
//! loopback address, whatever a program in the lab asks for. Without leave nothing listens on the
//! lab's port, and whoever connects there is refused as at any closed port.
//!
//! At most [`CONNECTIONS`] at once; further ones are refused.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netarium_lab::Attach;
use netarium_world::Command;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::publish::pump;
use crate::report::{Caller, Notice, Reporter};
use crate::runner::{Asked, WorldHandle};

/// Connections to real servers at once.
pub const CONNECTIONS: usize = 1024;
/// How long a real server may take to accept.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts what listens in the lab, and looks after its connections until the lab ends or the future
/// is dropped.
pub(crate) async fn serve(attached: Arc<[Attach]>, world: WorldHandle, reporter: Reporter) {
    let (tx, mut asked) = mpsc::unbounded_channel();
    if world.hear_asked(tx).await.is_err() {
        return;
    }
    for a in attached.iter() {
        let start = world.command(Command::Start { host: a.host.clone(), argv: a.argv() });
        match start.await {
            Err(_) => return,
            Ok(Err(why)) => {
                let text = format!("{}:{} is not attached to {}: {why}", a.host, a.port, a.to);
                reporter.tell(Notice::Trouble(text));
            }
            Ok(Ok(_)) => {}
        }
    }
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            next = asked.recv() => {
                let Some(next) = next else { return };
                if !may(&attached, &next.host, next.to) {
                    let reason = format!("{} is not attached to {}", next.to, next.host);
                    refuse(next, reason, &reporter);
                } else if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
                    let reporter = reporter.clone();
                    connections.spawn(async move {
                        relay(next, &reporter).await;
                        drop(slot);
                    });
                } else {
                    let reason = format!("{CONNECTIONS} connections are open, which is the limit");
                    refuse(next, reason, &reporter);
                }
            }
        }
    }
}

fn may(attached: &[Attach], host: &str, to: SocketAddr) -> bool {
    to.ip().is_loopback() && attached.iter().any(|a| a.host == host && a.to == to)
}

fn refuse(asked: Asked, reason: String, reporter: &Reporter) {
    let client = Caller { address: asked.client, program: Some(asked.host) };
    let to = asked.to.to_string();
    asked.port.refuse(reason.clone());
    reporter.tell(Notice::Refused { client, to, reason });
}

async fn relay(asked: Asked, reporter: &Reporter) {
    let connect = tokio::time::timeout(PATIENCE, TcpStream::connect(asked.to)).await;
    let stream = match connect {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return refuse(asked, e.to_string(), reporter),
        Err(_) => return refuse(asked, "it does not answer".to_owned(), reporter),
    };
    let Asked { port, host, client, to } = asked;
    let (client, to) = (Caller { address: client, program: Some(host) }, to.to_string());
    let started = Instant::now();
    reporter.tell(Notice::Connected { client: client.clone(), to: to.clone() });
    let moved = pump::relay_attached(stream, port).await;
    reporter.tell(moved.notice(client, to, started));
}
