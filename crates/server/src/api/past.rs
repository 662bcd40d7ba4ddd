//! The past of the lab that runs: a second, read-only world, and the recording itself.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use netarium::recording::{Goal, write_head};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::pacing::condition;
use super::routes::{Readable, Shared, reading};
use crate::past::{Past, PastError, PastView};

/// Where to go: one of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum PastWanted {
    /// `12.5s`, `#4711`, `-5s`, `+2s`, `-1`, `+3`, `end`.
    To(String),
    /// On to the next event that fulfils a condition.
    Until(String),
}

/// `/past`: what can be asked about it, and moving it.
pub(super) fn router(past: Past) -> Router {
    let moving =
        Router::new().route("/", get(view).post(seek).delete(close)).with_state(past.clone());
    moving.merge(reading(Readable::Past(past)))
}

async fn view(State(past): State<Past>) -> Result<Json<PastView>, Failure> {
    Ok(Json(past.view().await?))
}

async fn seek(
    State(past): State<Past>,
    Json(wanted): Json<PastWanted>,
) -> Result<Json<PastView>, Failure> {
    let view = match &wanted {
        PastWanted::To(to) => {
            let bad = |why: String| Failure::new(StatusCode::BAD_REQUEST, why);
            past.seek(to.parse::<Goal>().map_err(bad)?).await?
        }
        PastWanted::Until(when) => past.until(condition(when)?).await?,
    };
    Ok(Json(view))
}

async fn close(State(past): State<Past>) -> Result<StatusCode, Failure> {
    if past.close() { Ok(StatusCode::NO_CONTENT) } else { Err(PastError::Closed.into()) }
}

/// `GET /recording`: everything until now, as `--record` would have written it.
pub(super) async fn recording(State(shared): State<Shared>) -> Result<Response, Failure> {
    shared.world.query(netarium_world::World::flush_journal).await?;
    let read = move || {
        let refused = |why: String| Failure::new(StatusCode::CONFLICT, why);
        let mut bytes =
            write_head(&shared.source.lab, false).map_err(|e| refused(e.to_string()))?;
        bytes.extend(shared.tape.read().map_err(PastError::from)?);
        Ok::<_, Failure>(bytes)
    };
    let bytes = tokio::task::spawn_blocking(read).await;
    let bytes = bytes.map_err(|e| Failure::new(StatusCode::CONFLICT, e.to_string()))??;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}
