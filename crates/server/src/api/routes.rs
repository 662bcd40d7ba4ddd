//! What can be asked, and what it answers.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use netarium_base::{NodeId, Place};
use netarium_world::World;
use serde::{Deserialize, Serialize};

use super::view::LabView;
use super::{Failure, complete, connections, edits, links, pacing, past, session, streams, trace};
use crate::past::{Past, PastError};
use crate::proxy::{MoreError, Proxies, ProxyError};
use crate::recording::Tape;
use crate::runner::{WorldEnded, WorldHandle};

/// The largest WebSocket message of a session.
const MESSAGE_MAX: usize = 1024 * 1024;

/// The longest reason that is told, bytes.
const REASON_MAX: usize = 16 * 1024;

/// What every route has at hand.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) world: WorldHandle,
    pub(super) lab: Arc<LabView>,
    pub(super) source: Arc<Source>,
    pub(super) tape: Tape,
    pub(super) proxies: Arc<Proxies>,
}

/// A world that can be read: the one that runs, or its past.
#[derive(Clone, Debug)]
pub(super) enum Readable {
    /// The one that runs.
    Live(WorldHandle),
    /// A second one, in the past.
    Past(Past),
}

impl Readable {
    /// Asks the world.
    pub(super) async fn query<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut World) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        match self {
            Readable::Live(world) => Ok(world.query(ask).await?),
            Readable::Past(past) => Ok(past.query(ask).await?),
        }
    }
}

/// Where the lab came from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The lab as it was at the start.
    pub lab: netarium_lab::Lab,
    /// The path of its lab file.
    pub file: Option<std::path::PathBuf>,
}

/// What can be asked about a world at any point of its run.
pub(super) fn reading(world: Readable) -> Router {
    Router::new()
        .route("/hosts/{host}/processes", get(processes))
        .route("/hosts/{host}/sockets", get(sockets))
        .route("/hosts/{host}/complete", get(complete::complete))
        .route("/hosts/{host}/forwards", get(edits::forwards))
        .route("/hosts/{host}/rules", get(edits::rules))
        .route("/connections", get(connections::connections))
        .route("/links", get(links::links))
        .route("/partitions", get(links::partitions))
        .route("/switches/{switch}/table", get(links::switch_table))
        .route("/drops", get(all_drops))
        .route("/trace", get(trace::kept))
        .route("/happened", get(trace::happened))
        .route("/why", get(trace::explain))
        .with_state(world)
}

/// All routes of version 1.
pub(super) fn router(shared: Shared, past: Past) -> Router {
    let live = reading(Readable::Live(shared.world.clone()));
    let v1 = Router::new()
        .route("/lab", get(lab))
        .route("/links/{link}", post(links::change_link))
        .route("/partitions", post(links::add_partition).delete(links::heal))
        .route("/switches/{switch}/mirror", put(links::set_mirror))
        .route("/hosts/{host}/forwards", post(edits::add_forward).delete(edits::remove_forward))
        .route(
            "/hosts/{host}/rules",
            post(edits::add_rule).delete(edits::remove_rule).put(edits::set_default),
        )
        .route("/hosts/{host}/start", post(edits::start))
        .route("/hosts/{host}/kill", post(edits::kill))
        .route("/proxies", post(connections::open_proxy))
        .route("/saved", get(edits::saved))
        .route("/stats", get(stats))
        .route("/pace", get(pacing::pace).post(pacing::set_pace))
        .route("/step", post(pacing::step))
        .route("/breakpoints", get(pacing::breakpoints).post(pacing::add).delete(pacing::clear))
        .route("/exec", get(exec))
        .route("/capture", get(streams::capture))
        .route("/events", get(trace::live))
        .route("/recording", get(past::recording))
        .with_state(shared)
        .merge(live)
        .nest("/past", past::router(past));
    Router::new()
        .nest("/api/v1", v1)
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "there is no such path"))
        .method_not_allowed_fallback(async || {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
        })
        .layer(from_fn(in_json))
}

/// Requests and answers are JSON, errors too: those that the library finds are text otherwise.
///
/// A body counts as JSON whatever its `Content-Type` says. That header keeps pages of other sites out
/// where cookies let anyone in; here the guard in front asks for a token in a header, which no such
/// page can send.
async fn in_json(mut request: Request, next: Next) -> Response {
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json.clone());
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.headers().get(header::CONTENT_TYPE) == Some(&json) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, REASON_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let reason = match text.trim() {
        "" => status.canonical_reason().unwrap_or("the request was refused"),
        text => text,
    };
    // What cannot be read is a bad request here, in whichever way.
    let status = match status {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        other => other,
    };
    let mut answer = Failure::new(status, reason).into_response();
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            answer.headers_mut().append(name, value.clone());
        }
    }
    answer
}

impl From<WorldEnded> for Failure {
    fn from(ended: WorldEnded) -> Failure {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, ended.to_string())
    }
}

impl From<MoreError> for Failure {
    fn from(error: MoreError) -> Failure {
        let status = match error {
            MoreError::Proxy(ProxyError::NoHost(_)) => StatusCode::NOT_FOUND,
            _ => StatusCode::CONFLICT,
        };
        Failure::new(status, error.to_string())
    }
}

impl From<PastError> for Failure {
    fn from(error: PastError) -> Failure {
        let status = match error {
            PastError::Closed => StatusCode::NOT_FOUND,
            PastError::Thread => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        Failure::new(status, error.to_string())
    }
}

async fn lab(State(shared): State<Shared>) -> Json<LabView> {
    Json(LabView::clone(&shared.lab))
}

#[derive(Debug, Serialize)]
struct ProcessView {
    pid: u32,
    ppid: u32,
    name: String,
    command: String,
    /// Nanoseconds of virtual time.
    started: u64,
    daemon: bool,
}

async fn processes(
    State(world): State<Readable>,
    Path(host): Path<String>,
) -> Result<Json<Vec<ProcessView>>, Failure> {
    let rows = world.query(move |world| {
        let node = host_id(world, &host)?;
        let rows = world.processes(node).into_iter().map(|p| ProcessView {
            pid: p.pid.0,
            ppid: p.ppid.0,
            name: p.name,
            command: p.command,
            started: p.started.as_nanos(),
            daemon: p.daemon,
        });
        Ok(rows.collect())
    });
    rows.await?.map(Json)
}

#[derive(Debug, Serialize)]
struct SocketView {
    kind: String,
    pid: u32,
    local: String,
    remote: Option<String>,
    state: &'static str,
    recv_queue: u32,
    send_queue: u32,
}

async fn sockets(
    State(world): State<Readable>,
    Path(host): Path<String>,
) -> Result<Json<Vec<SocketView>>, Failure> {
    let rows = world.query(move |world| {
        let node = host_id(world, &host)?;
        let rows =
            world.stack(node).map(|s| s.sockets()).unwrap_or_default().into_iter().map(|s| {
                SocketView {
                    kind: format!("{:?}", s.kind).to_lowercase(),
                    pid: s.pid.0,
                    local: s.local.to_string(),
                    remote: s.remote.map(|r| r.to_string()),
                    state: s.state,
                    recv_queue: s.recv_queue,
                    send_queue: s.send_queue,
                }
            });
        Ok(rows.collect())
    });
    rows.await?.map(Json)
}

/// The host of this name, the gateway included.
pub(super) fn host_id(world: &World, name: &str) -> Result<NodeId, Failure> {
    world
        .host_id(name)
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, format!("the lab has no host `{name}`")))
}

/// How often something was dropped at one place for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropView {
    /// A host's or link's name.
    pub place: String,
    /// The reason's name.
    pub reason: String,
    /// The reason in a sentence.
    pub sentence: String,
    /// How often.
    pub count: u64,
}

/// What a world has dropped so far, most first.
pub fn drops(world: &World) -> Vec<DropView> {
    let names = world.names();
    let mut drops: Vec<_> = world
        .tracer()
        .drops()
        .map(|(place, reason, count)| DropView {
            place: match place {
                Place::World => "world".to_owned(),
                Place::Node(n) | Place::Iface(n, _) | Place::Process(n, _) => {
                    names.node(n).to_owned()
                }
                Place::Link(l, _) => names.link(l).to_owned(),
            },
            reason: reason.name().to_owned(),
            sentence: reason.sentence().to_owned(),
            count,
        })
        .collect();
    drops.sort_by_key(|d| std::cmp::Reverse(d.count));
    drops
}

async fn all_drops(State(world): State<Readable>) -> Result<Json<Vec<DropView>>, Failure> {
    world.query(|world| Json(drops(world))).await
}

#[derive(Debug, Serialize)]
struct Stats {
    /// Nanoseconds of virtual time since the lab's start.
    now: u64,
    /// Events numbered so far.
    events: u64,
    /// Times that the world fell more than 50 ms behind real time.
    lags: u64,
    /// Milliseconds of real time given up that way.
    lag_ms: u64,
    /// Outside connections and sessions that are open.
    ports: usize,
    drops: Vec<DropView>,
}

async fn stats(State(shared): State<Shared>) -> Result<Json<Stats>, Failure> {
    let stats = shared.world.desk(|desk| {
        let pacing = desk.pacing();
        Stats {
            now: desk.world.now().as_nanos(),
            events: desk.world.tracer().emitted(),
            lags: pacing.lags,
            lag_ms: u64::try_from(pacing.lag_total.as_millis()).unwrap_or(u64::MAX),
            ports: desk.open_ports(),
            drops: drops(&desk.world),
        }
    });
    Ok(Json(stats.await?))
}

async fn exec(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MESSAGE_MAX)
        .on_upgrade(move |socket| session::run(socket, shared.world))
}
