//! Trace events: those that are kept, those that happen, and why.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use netarium_base::{EventId, Record};
use netarium_explain::{Line, Predicate, told, why};
use netarium_world::World;
use serde::Deserialize;

use super::Failure;
use super::pacing::condition;
use super::routes::{Readable, Shared};
use super::streams::streaming;
use crate::runner::Desk;

/// Events looked at in one visit of the world's thread.
const VISIT: usize = 2000;
/// The most events that are told in words at once.
const HAPPENED_MAX: usize = 1000;

/// Which events are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    filter: Option<String>,
}

impl Wanted {
    fn condition(&self) -> Result<Option<Predicate>, Failure> {
        self.filter.as_deref().map(condition).transpose()
    }
}

/// `GET /events?filter=…`: from now on.
pub(super) async fn live(
    State(shared): State<Shared>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let filter = wanted.condition()?;
    let chunks = shared.world.desk(move |desk| {
        let Desk { world, observers, .. } = desk;
        observers.add_trace(world, filter)
    });
    Ok(streaming("application/x-ndjson", chunks.await?))
}

/// Where the reading of kept events stands.
struct Reading {
    world: Readable,
    filter: Option<Predicate>,
    /// The last event that was looked at.
    last: EventId,
    /// The last event to look at.
    end: EventId,
}

/// `GET /trace?filter=…`: what is kept. It is read in visits, each when the reader has taken what
/// came before, so that the lab neither waits nor holds a copy.
pub(super) async fn kept(
    State(world): State<Readable>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let filter = wanted.condition()?;
    let ends = world.query(|world| {
        let tracer = world.tracer();
        // What was gone before is not lost to this reader.
        let before = tracer.records().next().map_or(tracer.emitted(), |r| r.id.0 - 1);
        (EventId(before), EventId(tracer.emitted()))
    });
    let (last, end) = ends.await?;
    let reading = Reading { world, filter, last, end };
    let pieces = stream::unfold(reading, async |mut reading| {
        let piece = reading.visit().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece)), reading))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

impl Reading {
    /// The next lines; `None` at the end.
    async fn visit(&mut self) -> Option<Vec<u8>> {
        while self.last < self.end {
            let (last, end, filter) = (self.last, self.end, self.filter.take());
            let read = move |world: &mut World| {
                let (lines, last) = lines(world, last, end, filter.as_ref());
                (lines, last, filter)
            };
            let (lines, last, filter) = self.world.query(read).await.ok()?;
            (self.last, self.filter) = (last, filter);
            if !lines.is_empty() {
                return Some(lines);
            }
        }
        None
    }
}

/// The lines of some kept events after `last`, and how far that was.
fn lines(
    world: &World,
    last: EventId,
    end: EventId,
    filter: Option<&Predicate>,
) -> (Vec<u8>, EventId) {
    let (tracer, names) = (world.tracer(), world.names());
    let mut out = Vec::new();
    let Some(first) = tracer.records().next().map(|r| r.id) else { return (out, end) };
    if first.0 > last.0 + 1 {
        let lost = first.0.min(end.0 + 1) - last.0 - 1;
        out.extend_from_slice(format!("{{\"lost\":{lost}}}\n").as_bytes());
    }
    let mut reached = last.0.max(first.0 - 1);
    while reached < end.0 && reached < last.0.max(first.0 - 1) + VISIT as u64 {
        reached += 1;
        let Some(record) = tracer.get(EventId(reached)) else { return (out, end) };
        if filter.is_none_or(|f| f.matches(record, names))
            && serde_json::to_writer(&mut out, &record.json(names)).is_ok()
        {
            out.push(b'\n');
        }
    }
    (out, EventId(reached))
}

/// Which of the latest events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Latest {
    #[serde(default = "ten")]
    last: usize,
    filter: Option<String>,
}

fn ten() -> usize {
    10
}

/// `GET /happened?last=N&filter=…`: the latest events that are kept, in words.
pub(super) async fn happened(
    State(world): State<Readable>,
    Query(wanted): Query<Latest>,
) -> Result<Json<Vec<Line>>, Failure> {
    let filter = wanted.filter.as_deref().map(condition).transpose()?;
    let last = wanted.last.min(HAPPENED_MAX);
    let lines = world.query(move |world| {
        let names = world.names();
        let records = world.tracer().records().rev();
        let meant = |r: &&Record| filter.as_ref().is_none_or(|f| f.matches(r, names));
        let mut lines: Vec<_> = records.filter(meant).take(last).map(|r| told(r, names)).collect();
        lines.reverse();
        lines
    });
    Ok(Json(lines.await?))
}

/// Which event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    id: u64,
}

/// `GET /why?id=N`
pub(super) async fn explain(
    State(world): State<Readable>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<Line>>, Failure> {
    let id = which.id;
    let answer = world.query(move |world| {
        let tracer = world.tracer();
        let lines = why(tracer, world.names(), EventId(id));
        (lines, tracer.emitted(), tracer.records().next().map(|r| r.id))
    });
    let (lines, emitted, first) = answer.await?;
    if !lines.is_empty() {
        return Ok(Json(lines));
    }
    let reason = match first {
        _ if id == 0 || id > emitted => format!("the lab has numbered {emitted} events so far"),
        Some(first) => format!("the earliest event that is kept is #{first}"),
        None => "this lab keeps no events".to_owned(),
    };
    Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no event #{id}: {reason}")))
}
