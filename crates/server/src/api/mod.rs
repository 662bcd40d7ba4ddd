//! The control API: HTTP on a loopback port that the system chooses, opened by a token.
//!
//! `docs/http-api.md` describes it for those who call it. In reading order:
//!
//! 1. `guard`: who may call;
//! 2. `routes`: what can be asked, as JSON;
//!    [`connections`]: real clients in the lab;
//! 3. [`pacing`]: speed, pause, steps and breakpoints; `trace`: events, kept and live, and why;
//!    [`edits`]: links, forwards, rules and programs change while the lab runs;
//! 4. `streams`: captures as they happen;
//! 5. [`session`]: programs on hosts over WebSockets.

mod complete;
pub mod connections;
pub mod edits;
mod guard;
pub mod links;
pub mod pacing;
pub mod past;
mod routes;
pub mod session;
mod streams;
mod trace;
pub mod view;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use guard::new_token;
pub use routes::{DropView, Source, drops};
pub use streams::links;
use view::LabView;

use crate::past::Past;
use crate::proxy::Proxies;
use crate::recording::Tape;
use crate::runner::WorldHandle;

/// Connections that the API serves at once; further ones wait.
const CONNECTIONS: usize = 64;
/// A request's head must be there after this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body of a request.
const BODY_MAX: usize = 64 * 1024;

/// After a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The paths that read a world, for a past without a lab that runs.
pub(crate) fn reading(past: Past) -> axum::Router {
    routes::reading(routes::Readable::Past(past))
}

/// An answer that says no: a status, and the reason in words as `{"error": …}`.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    error: String,
}

impl Failure {
    fn new(status: StatusCode, error: impl Into<String>) -> Failure {
        Failure { status, error: error.into() }
    }

    #[cfg(test)]
    fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        (self.status, Json(Body { error: self.error })).into_response()
    }
}

/// The control API of one lab, listening but not yet serving.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    port: u16,
}

impl Api {
    /// Takes a free loopback port.
    ///
    /// # Errors
    /// When the system gives none.
    pub async fn bind() -> io::Result<Api> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Api { listener, port })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers requests until the future is dropped; requests that still run are cut off then.
    pub async fn serve(
        self,
        token: String,
        world: WorldHandle,
        lab: Arc<LabView>,
        source: Arc<Source>,
        tape: Tape,
        proxies: Arc<Proxies>,
    ) {
        let guard = Arc::new(guard::Guard::new(self.port, token));
        let past = Past::live(source.lab.clone().into(), tape.clone(), world.clone());
        let app = routes::router(routes::Shared { world, lab, source, tape, proxies }, past)
            .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
            .layer(axum::middleware::from_fn_with_state(guard, guard::admit));
        let service = TowerToHyperService::new(app);
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of descriptors, most likely: give others time to close theirs.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let _ = stream.set_nodelay(true);
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service.clone())
                .with_upgrades();
            connections.spawn(async move {
                // How a client's connection broke interests nobody.
                let _ = connection.await;
                drop(slot);
            });
        }
    }
}
