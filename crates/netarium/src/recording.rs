//! Recordings: a run played again, rewound, and forked.
//!
//! A [`Recording`] holds everything that a run was made of: the lab, the seed, and every outside
//! input with its virtual time. A [`Replay`] is a second, read-only world of it that can be moved
//! to any point: forward by running, backward by playing from the start. A fork ([`fork`]) changes
//! one thing at one point and goes on; what differs is told by [`Diff`].

mod fork;
mod goal;

use std::rc::Rc;

use netarium_base::Instant;
use netarium_lab::build::BuildOptions;
use netarium_lab::recording::{HeadError, read_head};
use netarium_world::Output as Said;
use netarium_world::journal::{DecodeError, Divergence, Entry, Header, Player, Reader, Recorded};

use crate::{BuildError, Lab, program_names};

pub use fork::{Change, ForkError, compare_recordings, fork};
pub use goal::Goal;
pub use netarium_lab::recording::write_head;
pub use netarium_world::journal::Moment;
pub use netarium_world::timeline::{Diff, Difference, FlowDiff, What};

/// A recorded run.
#[derive(Clone, Debug)]
pub struct Recording {
    lab: Lab,
    runs: bool,
    header: Header,
    entries: Rc<[Entry]>,
    ending: Ending,
}

/// How a recording ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Where the run ended.
    Whole,
    /// In the middle of the run: the program that recorded had no time to end it, or the file was
    /// cut between two entries.
    Cut,
    /// The journal's limit was reached: later inputs are missing.
    Full,
    /// The rest cannot be read: it is cut in the middle of an entry, or damaged.
    Unreadable(DecodeError),
}

/// Why a recording cannot be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// Its lab cannot be read.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// Its journal cannot be read at all.
    #[error("the recording is cut or damaged before anything happened: {0}")]
    Journal(DecodeError),
    /// The recorded lab does not become a world in this build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// This build makes another world of the recorded lab.
    #[error("the journal belongs to another lab than the one beside it")]
    OtherLab,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// When it is cut or damaged so early that nothing can be played. Later cuts are no error:
    /// [`ending`](Self::ending) tells of them.
    pub fn open(bytes: &[u8]) -> Result<Recording, RecordingError> {
        let head = read_head(bytes, &program_names())?;
        let journal = &bytes[head.journal..];
        Recording::from_parts(Lab::from(head.lab), head.runs, journal)
    }

    /// The run of a lab until now, from its world's journal. `runs` says whether the lab's
    /// `[[run]]` entries ran by themselves.
    ///
    /// # Errors
    /// When the bytes are not the beginning of a journal.
    pub fn from_parts(lab: Lab, runs: bool, journal: &[u8]) -> Result<Recording, RecordingError> {
        let (header, reader) = Reader::open(journal).map_err(RecordingError::Journal)?;
        let (mut entries, mut ending) = (Vec::new(), Ending::Cut);
        for entry in reader {
            match entry {
                Ok(entry) => {
                    ending = match entry.what {
                        Recorded::Full => Ending::Full,
                        Recorded::End => Ending::Whole,
                        _ => Ending::Cut,
                    };
                    entries.push(entry);
                }
                Err(e) => ending = Ending::Unreadable(e),
            }
        }
        Ok(Recording { lab, runs, header, entries: entries.into(), ending })
    }

    /// The recorded lab, as it was at the start.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The build, the seed, and what virtual time zero is called.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How it ends.
    pub fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Where it ends, virtual time.
    pub fn end(&self) -> Instant {
        self.entries.last().map_or(Instant::ZERO, |entry| entry.at)
    }

    /// A fresh world of the recorded lab, with its seed or another.
    ///
    /// # Errors
    /// When the lab passes a limit of the world.
    fn world(&self, seed: u64, trace_limit: usize) -> Result<netarium_world::World, BuildError> {
        netarium_lab::build::world(
            self.lab.model(),
            BuildOptions {
                seed,
                epoch: Some(self.header.epoch),
                trace_limit,
                runs: self.runs,
                programs: Rc::new(netarium_programs::Builtin),
            },
        )
    }
}

/// A recorded run, played in a world that nobody can change.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    world: netarium_world::World,
    player: Player,
    trace_limit: usize,
}

impl Replay {
    /// A replay at the beginning of the run, before anything has happened.
    ///
    /// # Errors
    /// When the lab does not become the recorded world in this build.
    pub fn new(recording: Recording) -> Result<Replay, RecordingError> {
        Replay::keeping(recording, 0)
    }

    /// Like [`new`](Replay::new), in a world that keeps this many of its latest trace events.
    ///
    /// # Errors
    /// As [`Replay::new`].
    pub fn keeping(recording: Recording, trace_limit: usize) -> Result<Replay, RecordingError> {
        let world = recording.world(recording.header.seed, trace_limit)?;
        let ours = Reader::open(world.journal().bytes()).map_err(RecordingError::Journal)?.0;
        if ours.lab != recording.header.lab {
            return Err(RecordingError::OtherLab);
        }
        let player = Player::new(Rc::clone(&recording.entries));
        Ok(Replay { recording, world, player, trace_limit })
    }

    /// Goes to a point: forward by running, backward by playing from the start, where captures and
    /// trace sinks end. False when the recording ends, or the runs part, before the point.
    ///
    /// # Errors
    /// As [`Replay::new`].
    pub fn seek(&mut self, to: Moment) -> Result<bool, RecordingError> {
        let behind = match to {
            Moment::Time(at) => at < self.world.now(),
            Moment::Event(id) => id.0 <= self.world.tracer().emitted(),
            Moment::Step(n) => n < self.world.events(),
            Moment::End => false,
        };
        if behind {
            *self = Replay::keeping(self.recording.clone(), self.trace_limit)?;
        }
        Ok(self.play(to, &mut |_| {}))
    }

    /// Plays forward to a point; `taken` gets what the world says to the outside. False when the
    /// recording ends, or the runs part, before it.
    pub fn play(&mut self, to: Moment, taken: &mut dyn FnMut(Said)) -> bool {
        self.player.play(&mut self.world, to, taken)
    }

    /// The world at this point of the run.
    pub fn world(&self) -> &netarium_world::World {
        &self.world
    }

    /// The same, to attach captures and trace sinks before playing.
    pub fn watch(&mut self) -> &mut netarium_world::World {
        &mut self.world
    }

    /// The recording.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// How many inputs were applied so far.
    pub fn inputs(&self) -> u64 {
        self.player.inputs()
    }

    /// How many fingerprints were compared so far.
    pub fn checks(&self) -> u64 {
        self.player.checks()
    }

    /// Where this run first did something else than the recorded one.
    pub fn divergence(&self) -> Option<&Divergence> {
        self.player.divergence()
    }
}
