//! Forks: one thing of a recorded run is changed at one point, and the run goes on.
//!
//! Both runs are played, the recorded one to its end and the changed one with the remaining inputs
//! at their recorded times; then both run until nothing more happens, at most for a minute, and to
//! the same time. Real connections are detached: what their other ends sent is sent again, whatever
//! the changed run answers. Bytes for which the changed lab has not given credit yet reset their
//! port, as they would from a real client that does not wait.

use netarium_base::trace::Event;
use netarium_base::{Duration, EventId};
use netarium_world::journal::{Moment, Player};
use netarium_world::timeline::{Collector, Diff, Timeline, diff};
use netarium_world::{Command, World};

use super::{Recording, RecordingError};

/// How long both runs go on behind the end of the recording, at most.
const GO_ON: Duration = Duration::from_secs(60);

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The frame that was handed to a link in the event at which the fork begins gets lost there.
    DropFrame,
    /// An operator gives these commands: a link is cut, a rule removed, a program started.
    Commands(Vec<Command>),
    /// The whole run has other luck, from its start on.
    Seed(u64),
}

/// Why there is no fork.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// The recording cannot be played.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The recording ends before the point.
    #[error("the recording ends at {0} s, before that point")]
    Beyond(netarium_base::Instant),
    /// The recorded run cannot be reproduced by this build.
    #[error("the replay does not reproduce the recording from {0} s on")]
    Diverges(netarium_base::Instant),
    /// A dropped frame needs the event in which it was sent.
    #[error("`drop frame` needs a `frame.sent` event, as --at #EVENT; {0}")]
    NotAFrame(String),
    /// A command is not obeyed.
    #[error("{0}")]
    Refused(String),
}

/// One of the two runs.
struct Run {
    world: World,
    player: Player,
    events: Collector,
}

impl Run {
    fn new(recording: &Recording, seed: u64) -> Result<Run, ForkError> {
        let mut world = recording.world(seed, 0).map_err(RecordingError::from)?;
        let events = Collector::attach(&mut world);
        Ok(Run { world, player: Player::new(recording.entries.clone()), events })
    }

    fn play(&mut self, to: Moment) -> Result<bool, ForkError> {
        let reached = self.player.play(&mut self.world, to, &mut |_| {});
        match self.player.divergence() {
            Some(divergence) => Err(ForkError::Diverges(divergence.agreed_until)),
            None => Ok(reached),
        }
    }

    fn go_on(&mut self) {
        self.world.run_until_idle(self.world.now() + GO_ON);
    }
}

/// Forks a recorded run and compares the two, from the point of the fork on.
///
/// # Errors
/// See [`ForkError`].
pub fn fork(recording: &Recording, at: Moment, change: &Change) -> Result<Diff, ForkError> {
    let seed = recording.header.seed;
    let other_seed = if let Change::Seed(other) = change { *other } else { seed };
    let mut changed = Run::new(recording, other_seed)?;
    let from = match change {
        Change::Seed(_) => EventId(1),
        Change::DropFrame => drop_frame(&mut changed, recording, at)?,
        Change::Commands(_) => reach(&mut changed, recording, at)?,
    };
    changed.events.keep_from(from);

    let mut recorded = Run::new(recording, seed)?;
    recorded.events.keep_from(from);
    recorded.play(Moment::End)?;
    if let Change::Commands(commands) = change {
        for command in commands {
            changed.world.command(command.clone()).map_err(ForkError::Refused)?;
        }
    }
    changed.player.go_on_changed(&mut changed.world, &recorded.player);
    Ok(compare(recorded, changed))
}

/// Lets both runs come to rest, at the same time, and compares them.
fn compare(mut a: Run, mut b: Run) -> Diff {
    let end = a.world.now().max(b.world.now());
    for run in [&mut a, &mut b] {
        run.world.run_until(end);
        run.go_on();
    }
    let end = a.world.now().max(b.world.now());
    let timeline = |mut run: Run| -> Timeline {
        run.world.run_until(end);
        run.events.finish()
    };
    diff(&timeline(a), &timeline(b))
}

/// What differs between two recorded runs, from their starts to their ends.
///
/// # Errors
/// When one of them cannot be played, or not as it was recorded.
pub fn compare_recordings(before: &Recording, after: &Recording) -> Result<Diff, ForkError> {
    let timeline = |recording: &Recording| {
        let mut run = Run::new(recording, recording.header.seed)?;
        run.events.keep_from(EventId(1));
        run.play(Moment::End)?;
        Ok::<_, ForkError>(run.events.finish())
    };
    Ok(diff(&timeline(before)?, &timeline(after)?))
}

fn drop_frame(run: &mut Run, recording: &Recording, at: Moment) -> Result<EventId, ForkError> {
    let Moment::Event(id) = at else {
        return Err(ForkError::NotAFrame("a time is not one".to_owned()));
    };
    run.world.lose_frame(id);
    run.events.keep_from(id);
    if id == EventId::NONE || !run.play(at)? {
        return Err(ForkError::Beyond(recording.end()));
    }
    let Some(record) = run.events.record(id) else {
        return Err(ForkError::NotAFrame(format!("#{id} is none")));
    };
    match record.event {
        Event::FrameSent { .. } => Ok(id),
        Event::FrameDelivered { .. } => Err(ForkError::NotAFrame(format!(
            "#{id} is `frame.delivered`; that frame was sent in #{}",
            record.cause
        ))),
        other => Err(ForkError::NotAFrame(format!("#{id} is `{}`", other.name()))),
    }
}

fn reach(run: &mut Run, recording: &Recording, at: Moment) -> Result<EventId, ForkError> {
    if !run.play(at)? {
        return Err(ForkError::Beyond(recording.end()));
    }
    Ok(EventId(run.world.tracer().emitted() + 1))
}
