//! The past of a run: a second, read-only world on a thread of its own, brought to any point of what
//! was recorded, while the run itself goes on.
//!
//! It is played from the run's journal: forward from where it stands, backward from the start. The
//! same thread serves a recording from a file ([`Past::of`]) and a lab that runs.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use netarium::recording::{Goal, Moment, RecordingError};
use netarium::{Lab, Recording, Replay};
use netarium_explain::Predicate;
use netarium_world::World;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tower::ServiceExt;

use crate::api::reading;
use crate::recording::Tape;
use crate::runner::WorldHandle;

/// How many of the latest events the second world keeps.
const TRACE_KEPT: usize = 200_000;

/// Why the past cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PastError {
    /// It was not opened yet, or was closed.
    #[error("no past is open: say first where to go")]
    Closed,
    /// The run's journal cannot be read back.
    #[error("the journal of the run cannot be read: {0}")]
    Journal(#[from] std::io::Error),
    /// What was recorded cannot be played.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The system gives no thread, or the thread has panicked.
    #[error("the thread of the second world has ended")]
    Thread,
}

/// Where the second world stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastView {
    /// Nanoseconds of virtual time since the lab's start.
    pub now: u64,
    /// Trace events numbered until there.
    pub events: u64,
    /// Events of the world's queue dispatched until there.
    pub dispatched: u64,
    /// Where what was recorded ends, nanoseconds of virtual time.
    pub end: u64,
    /// Whether the wanted point was reached: not when what was recorded ends before it.
    pub reached: bool,
    /// Whether what was played is what was recorded, as far as its checks tell.
    pub faithful: bool,
}

/// A second world of a run. Clones are the same.
#[derive(Clone, Debug)]
pub struct Past(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Arc<Source>,
    thread: Mutex<Option<mpsc::Sender<Job>>>,
}

/// Where the run's journal is.
#[derive(Debug)]
enum Source {
    /// In a recording that is whole.
    Bytes(Vec<u8>),
    /// In a lab that runs.
    Live { lab: Box<Lab>, tape: Tape, world: WorldHandle },
}

type Job = Box<dyn FnOnce(&mut Option<Replay>) + Send>;

impl Past {
    /// The past that a recording holds, from its bytes.
    pub fn of(recording: Vec<u8>) -> Past {
        Past::new(Source::Bytes(recording))
    }

    /// The past of a lab that runs, whose journal is on this tape.
    pub(crate) fn live(lab: Lab, tape: Tape, world: WorldHandle) -> Past {
        Past::new(Source::Live { lab: Box::new(lab), tape, world })
    }

    fn new(source: Source) -> Past {
        Past(Arc::new(Inner { source: Arc::new(source), thread: Mutex::new(None) }))
    }

    /// Brings the second world to a point, from where it stands; from the start of the run when it
    /// was not open, but `-5s` is 5 s before the end then.
    ///
    /// # Errors
    /// See [`PastError`].
    pub async fn seek(&self, goal: Goal) -> Result<PastView, PastError> {
        let source = Arc::clone(&self.0.source);
        self.flush().await?;
        self.ask(true, move |replay| {
            let (view, moved) = seek(replay.take(), goal, &source)?;
            *replay = Some(moved);
            Ok(view)
        })
        .await?
    }

    /// Plays on to the next event that fulfils a condition, and what the world does in the same
    /// breath; to the end of what was recorded when there is none.
    ///
    /// # Errors
    /// See [`PastError`].
    pub async fn until(&self, when: Predicate) -> Result<PastView, PastError> {
        let source = Arc::clone(&self.0.source);
        self.flush().await?;
        self.ask(true, move |replay| {
            let mut moved = replay.take().map_or_else(|| source.replay(), Ok)?;
            let mut reached = until(&mut moved, &when);
            if !reached && let Source::Live { .. } = *source {
                // Perhaps more was recorded meanwhile.
                let here = Moment::Step(moved.world().events());
                let mut longer = source.replay()?;
                reached = longer.seek(here)? && until(&mut longer, &when);
                moved = longer;
            }
            let view = view(&moved, reached);
            *replay = Some(moved);
            Ok(view)
        })
        .await?
    }

    /// Where it stands.
    ///
    /// # Errors
    /// See [`PastError`].
    pub async fn view(&self) -> Result<PastView, PastError> {
        self.ask(false, |replay| replay.as_ref().map(|r| view(r, true)).ok_or(PastError::Closed))
            .await?
    }

    /// Asks the second world something.
    ///
    /// # Errors
    /// See [`PastError`].
    pub async fn query<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut World) -> R + Send + 'static,
    ) -> Result<R, PastError> {
        self.ask(false, |replay| replay.as_mut().map(|r| ask(r.watch())).ok_or(PastError::Closed))
            .await?
    }

    /// Asks one of the control API's reading paths (`hosts/web/sockets`) about the second world.
    ///
    /// # Errors
    /// When the body of the answer cannot be made.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Bytes), axum::Error> {
        let request = Request::get(format!("/{path}")).body(Body::empty());
        let request = request.map_err(axum::Error::new)?;
        let Ok(response) = reading(self.clone()).oneshot(request).await;
        let (parts, body) = response.into_parts();
        Ok((parts.status, body.collect().await?.to_bytes()))
    }

    /// Lets go of the second world and its thread. False when it was not open.
    pub fn close(&self) -> bool {
        self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// What happened until now shall be recorded.
    async fn flush(&self) -> Result<(), PastError> {
        match &*self.0.source {
            Source::Bytes(_) => Ok(()),
            Source::Live { world, .. } => {
                world.query(World::flush_journal).await.map_err(|_| PastError::Thread)
            }
        }
    }

    async fn ask<R: Send + 'static>(
        &self,
        open: bool,
        ask: impl FnOnce(&mut Option<Replay>) -> R + Send + 'static,
    ) -> Result<R, PastError> {
        let (tx, rx) = oneshot::channel();
        let job: Job = Box::new(move |replay| {
            let _ = tx.send(ask(replay));
        });
        {
            let mut thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
            if thread.is_none() && open {
                *thread = Some(start()?);
            }
            let jobs = thread.as_ref().ok_or(PastError::Closed)?;
            jobs.send(job).map_err(|_| PastError::Thread)?;
        }
        rx.await.map_err(|_| PastError::Thread)
    }
}

impl Source {
    fn replay(&self) -> Result<Replay, PastError> {
        let recording = match self {
            Source::Bytes(bytes) => Recording::open(bytes)?,
            Source::Live { lab, tape, .. } => {
                Recording::from_parts(Lab::clone(lab), false, &tape.read()?)?
            }
        };
        Ok(Replay::keeping(recording, TRACE_KEPT)?)
    }
}

/// Moves on, with what was recorded meanwhile when that is needed.
fn seek(
    replay: Option<Replay>,
    goal: Goal,
    source: &Source,
) -> Result<(PastView, Replay), PastError> {
    let mut replay = match replay {
        Some(replay) => replay,
        None => {
            let mut fresh = source.replay()?;
            if matches!(goal, Goal::Earlier(_) | Goal::Back(_)) {
                fresh.seek(Moment::End)?;
            }
            fresh
        }
    };
    let to = goal.moment(replay.world());
    let mut reached = replay.seek(to)?;
    // The end of a run that goes on is the present.
    if (!reached || to == Moment::End) && matches!(source, Source::Live { .. }) {
        let mut longer = source.replay()?;
        reached = longer.seek(to)?;
        replay = longer;
    }
    Ok((view(&replay, reached), replay))
}

/// Plays on until an event fulfils the condition. False: none did.
fn until(replay: &mut Replay, when: &Predicate) -> bool {
    let mut seen = replay.world().tracer().emitted();
    loop {
        let on = replay.play(Moment::Step(replay.world().events() + 1), &mut |_| {});
        let (tracer, names) = (replay.world().tracer(), replay.world().names());
        let new = tracer.records().rev().take_while(|r| r.id.0 > seen);
        if new.into_iter().any(|r| when.matches(r, names)) {
            return true;
        }
        if !on {
            return false;
        }
        seen = tracer.emitted();
    }
}

fn view(replay: &Replay, reached: bool) -> PastView {
    let world = replay.world();
    PastView {
        now: world.now().as_nanos(),
        events: world.tracer().emitted(),
        dispatched: world.events(),
        end: replay.recording().end().as_nanos(),
        reached,
        faithful: replay.divergence().is_none(),
    }
}

/// A world is not `Send`: it lives and ends on this thread, which ends when nobody can ask it
/// anything any more.
fn start() -> Result<mpsc::Sender<Job>, PastError> {
    let (tx, jobs) = mpsc::channel::<Job>();
    let run = move || {
        let mut replay = None;
        jobs.into_iter().for_each(|job| job(&mut replay));
    };
    let thread = std::thread::Builder::new().name("past".to_owned()).spawn(run);
    thread.map(|_| tx).map_err(|_| PastError::Thread)
}
