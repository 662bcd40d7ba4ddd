//! Trace events: those that are kept, those that happen, and why.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use netarium_base::EventId;
use netarium_explain::{Line, Predicate, why};
use serde::Deserialize;

use super::Failure;
use super::pacing::condition;
use super::routes::Shared;
use super::streams::streaming;
use crate::runner::{Desk, WorldHandle};

/// Events looked at in one visit of the world's thread.
const VISIT: usize = 2000;

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
    world: WorldHandle,
    filter: Option<Predicate>,
    /// The last event that was looked at.
    last: EventId,
    /// The last event to look at.
    end: EventId,
}

/// `GET /trace?filter=…`: what is kept. It is read in visits, each when the reader has taken what
/// came before, so that the lab neither waits nor holds a copy.
pub(super) async fn kept(
    State(shared): State<Shared>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let filter = wanted.condition()?;
    let ends = shared.world.desk(|desk| {
        let tracer = desk.world.tracer();
        // What was gone before is not lost to this reader.
        let before = tracer.records().next().map_or(tracer.emitted(), |r| r.id.0 - 1);
        (EventId(before), EventId(tracer.emitted()))
    });
    let (last, end) = ends.await?;
    let reading = Reading { world: shared.world, filter, last, end };
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
            let read = move |desk: &mut Desk| {
                let (lines, last) = lines(desk, last, end, filter.as_ref());
                (lines, last, filter)
            };
            let (lines, last, filter) = self.world.desk(read).await.ok()?;
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
    desk: &Desk,
    last: EventId,
    end: EventId,
    filter: Option<&Predicate>,
) -> (Vec<u8>, EventId) {
    let (tracer, names) = (desk.world.tracer(), desk.world.names());
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

/// Which event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    id: u64,
}

/// `GET /why?id=N`
pub(super) async fn explain(
    State(shared): State<Shared>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<Line>>, Failure> {
    let id = which.id;
    let answer = shared.world.desk(move |desk| {
        let tracer = desk.world.tracer();
        let lines = why(tracer, desk.world.names(), EventId(id));
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
