//! Speed, pause, steps and breakpoints. None of it is an input: no id changes.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use netarium_explain::Predicate;
use serde::{Deserialize, Serialize};

use super::Failure;
use super::routes::Shared;
use crate::clock::Pace;
use crate::runner::Desk;
use crate::stops::{BREAKPOINTS_MAX, Breakpoint, STEPS_MAX, Stopped, Unit};

/// The most events that an answer shows.
const SHOWN_MAX: usize = 100;

/// A speed: virtual seconds per second, or `"max"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a speed is 0 (paused), 0.001 to 1000, or \"max\"")]
pub enum Speed {
    /// Virtual seconds per second; 0 pauses.
    Times(f64),
    /// A word.
    Word(Word),
}

/// What a speed can be besides a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// As fast as possible.
    Max,
}

/// How a lab runs at the moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaceView {
    /// Whether it stands still.
    pub paused: bool,
    /// Its speed, or the one that it will go on with.
    pub speed: Speed,
    /// Nanoseconds of virtual time since the lab's start.
    pub now: u64,
    /// Events numbered so far.
    pub events: u64,
    /// The event that paused it, when a condition did.
    pub stopped: Option<Stopped>,
}

impl PaceView {
    fn of(desk: &Desk) -> PaceView {
        PaceView {
            paused: desk.clock.is_paused(),
            speed: match desk.stops.resume() {
                Pace::Times(x) => Speed::Times(x),
                Pace::Max => Speed::Word(Word::Max),
                Pace::Paused => Speed::Times(0.0),
            },
            now: desk.world.now().as_nanos(),
            events: desk.world.tracer().emitted(),
            stopped: desk.stops.stopped().cloned(),
        }
    }
}

/// A change of the pace: one of both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceChange {
    /// The new speed; the lab goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<Speed>,
    /// Stand still, or go on at the speed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
}

fn bad(why: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, why)
}

/// A condition as it comes over the wire.
pub(super) fn condition(text: &str) -> Result<Predicate, Failure> {
    text.parse().map_err(|e: netarium_explain::PredicateError| bad(e.to_string()))
}

/// `GET /pace`
pub(super) async fn pace(State(shared): State<Shared>) -> Result<Json<PaceView>, Failure> {
    Ok(Json(shared.world.desk(|desk| PaceView::of(desk)).await?))
}

/// `POST /pace`
pub(super) async fn set_pace(
    State(shared): State<Shared>,
    Json(change): Json<PaceChange>,
) -> Result<Json<PaceView>, Failure> {
    let wanted = match (change.speed, change.paused) {
        (None, Some(true)) | (Some(Speed::Times(0.0)), None) => Some(Pace::Paused),
        (None, Some(false)) => None,
        (Some(Speed::Word(Word::Max)), None) => Some(Pace::Max),
        (Some(Speed::Times(x)), None) if (0.001..=1000.0).contains(&x) => Some(Pace::Times(x)),
        (Some(Speed::Times(x)), None) => {
            let why = format!("a speed is 0 (paused), 0.001 to 1000, or \"max\", not {x}");
            return Err(bad(why));
        }
        _ => return Err(bad("give either `speed` or `paused`")),
    };
    let view = shared.world.desk(move |desk| {
        desk.set_pace(wanted.unwrap_or(desk.stops.resume()));
        PaceView::of(desk)
    });
    Ok(Json(view.await?))
}

/// What to step over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepWanted {
    /// What one step is.
    #[serde(default = "by_event")]
    pub unit: Unit,
    /// How many steps, 1 to 100,000.
    #[serde(default = "one")]
    pub count: u64,
    /// Go on until an event fulfils this condition, instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

fn by_event() -> Unit {
    Unit::Event
}

fn one() -> u64 {
    1
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// Steps taken.
    pub taken: u64,
    /// How the lab stands now.
    pub pace: PaceView,
    /// What happened, as in the trace; the latest hundred, as far as the lab keeps events.
    pub happened: Vec<serde_json::Value>,
}

/// `POST /step`
pub(super) async fn step(
    State(shared): State<Shared>,
    Json(wanted): Json<StepWanted>,
) -> Result<Json<StepView>, Failure> {
    if let Some(until) = &wanted.until {
        let when = condition(until)?;
        let before = shared.world.desk(|desk| desk.world.tracer().emitted()).await?;
        let waiting = shared.world.desk(move |desk| desk.run_until(when)).await?;
        let stopped = waiting.ok_or_else(too_many)?.await.ok().flatten();
        let taken = u64::from(stopped.is_some());
        return Ok(Json(shared.world.desk(move |desk| view(desk, taken, before)).await?));
    }
    if !(1..=STEPS_MAX).contains(&wanted.count) {
        return Err(bad(format!("a count is 1 to {STEPS_MAX}, not {}", wanted.count)));
    }
    let view = shared.world.desk(move |desk| {
        let before = desk.world.tracer().emitted();
        let taken = desk.step(wanted.unit, wanted.count);
        view(desk, taken, before)
    });
    Ok(Json(view.await?))
}

fn view(desk: &Desk, taken: u64, before: u64) -> StepView {
    let names = desk.world.names();
    let latest = desk.world.tracer().records().rev().take_while(|r| r.id.0 > before);
    let mut happened: Vec<_> =
        latest.take(SHOWN_MAX).filter_map(|r| serde_json::to_value(r.json(names)).ok()).collect();
    happened.reverse();
    StepView { taken, pace: PaceView::of(desk), happened }
}

fn too_many() -> Failure {
    bad(format!("a lab has at most {BREAKPOINTS_MAX} breakpoints"))
}

/// A new breakpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakWanted {
    /// Its condition.
    pub when: String,
}

/// `GET /breakpoints`
pub(super) async fn breakpoints(
    State(shared): State<Shared>,
) -> Result<Json<Vec<Breakpoint>>, Failure> {
    Ok(Json(shared.world.desk(|desk| desk.stops.list()).await?))
}

/// `POST /breakpoints`
pub(super) async fn add(
    State(shared): State<Shared>,
    Json(wanted): Json<BreakWanted>,
) -> Result<Json<Breakpoint>, Failure> {
    let when = condition(&wanted.when)?;
    let added = shared.world.desk(move |desk| desk.add_break(when)).await?;
    added.map(Json).ok_or_else(too_many)
}

/// Which breakpoints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    id: Option<u32>,
}

/// How many breakpoints were removed.
#[derive(Debug, Serialize)]
pub(super) struct Cleared {
    cleared: usize,
}

/// `DELETE /breakpoints[?id=N]`
pub(super) async fn clear(
    State(shared): State<Shared>,
    Query(which): Query<Which>,
) -> Result<Json<Cleared>, Failure> {
    let cleared = shared.world.desk(move |desk| desk.clear_breaks(which.id)).await?;
    Ok(Json(Cleared { cleared }))
}
