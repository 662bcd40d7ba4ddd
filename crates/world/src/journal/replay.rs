//! Replay: a journal is fed to a fresh world, input by input, each between the same two events as
//! when it was recorded; where the journal notes a fingerprint of the run, it is compared.

use netarium_base::Instant;

use super::codec::Recorded;
use super::{DecodeError, Fingerprint, Reader};
use crate::World;

/// How a replay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayEnd {
    /// How many inputs were applied.
    pub inputs: u64,
    /// How many fingerprints agreed.
    pub checks: u64,
    /// Where the journal ends.
    pub at: Instant,
    /// Where the replayed world first did something else than the recorded one.
    pub divergence: Option<Divergence>,
    /// The journal was full and says that later inputs are missing: the run went on otherwise.
    pub incomplete: bool,
    /// Why the journal could not be read to its end.
    pub error: Option<DecodeError>,
}

/// The first difference between a recording and its replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Until here the runs agreed.
    pub agreed_until: Instant,
    /// Here they are known to differ.
    pub at: Instant,
    /// What was recorded.
    pub recorded: Fingerprint,
    /// What the replay said.
    pub replayed: Fingerprint,
}

/// Feeds the entries of a journal to a fresh world of the same lab, seed and build. Stops at the
/// first divergence, at an error, or behind `until`. `taken` gets each output of the world.
pub fn replay(
    world: &mut World,
    journal: Reader<'_>,
    until: Instant,
    mut taken: impl FnMut(crate::Output),
) -> ReplayEnd {
    let mut end = ReplayEnd {
        inputs: 0,
        checks: 0,
        at: Instant::ZERO,
        divergence: None,
        incomplete: false,
        error: None,
    };
    let mut agreed_until = Instant::ZERO;
    for entry in journal {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                end.error = Some(e);
                break;
            }
        };
        if entry.at > until {
            break;
        }
        world.run_to_position(entry.at, entry.events);
        while let Some(output) = world.poll_output() {
            taken(output);
        }
        end.at = entry.at;
        match entry.what {
            Recorded::Input(input) => {
                world.apply(input);
                end.inputs += 1;
            }
            Recorded::Check(recorded) => {
                let replayed = world.fingerprint();
                if recorded != replayed || world.events() != entry.events {
                    let at = entry.at;
                    end.divergence = Some(Divergence { agreed_until, at, recorded, replayed });
                    break;
                }
                agreed_until = entry.at;
                end.checks += 1;
            }
            Recorded::Full => {
                end.incomplete = true;
                break;
            }
        }
    }
    while let Some(output) = world.poll_output() {
        taken(output);
    }
    end
}
