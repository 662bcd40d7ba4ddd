//! What stands behind the server besides files: applications. A route table is one, the shop
//! another.

use core::net::SocketAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use netarium_world::process::{LocalBoxFuture, Process};

use super::body::Contents;
use super::pages::Failure;

/// A request that an application has let in, with its body.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) process: Process,
    pub(crate) client: SocketAddr,
    /// The decoded path.
    pub(crate) path: String,
    pub(crate) request: Request<Bytes>,
}

/// How much of a body an application takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// Bytes; with more the answer is 413.
    pub(crate) body_max: u64,
    /// A body must say its length first; else the answer is 411.
    pub(crate) length_required: bool,
}

/// A program that answers some paths.
pub(crate) trait Application {
    /// Looks at a request's head and its decoded path. `None`: not mine. Otherwise how much of a
    /// body is wanted, or the failure at once (405…).
    fn admit(&self, head: &Parts, path: &str) -> Option<Result<Admission, Failure>>;

    /// Answers a request that was admitted.
    fn handle(&self, call: Call) -> LocalBoxFuture<Result<Response<Contents>, Failure>>;
}
