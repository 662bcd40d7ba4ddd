//! The control API: HTTP on a loopback port that the system chooses, opened by a token.
//!
//! `docs/http-api.md` describes it for those who call it. In reading order:
//!
//! 1. `guard`: who may call;
//! 2. `routes`: what can be asked, as JSON;
//! 3. `streams`: captures and trace events as they happen;
//! 4. [`session`]: programs on hosts over WebSockets.

mod guard;
pub mod session;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use guard::new_token;

/// Connections that the API serves at once; further ones wait.
const CONNECTIONS: usize = 64;
/// A request's head must be there after this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body of a request.
const BODY_MAX: usize = 64 * 1024;

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
