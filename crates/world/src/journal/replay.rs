//! Replay: a journal is fed to a fresh world, input by input, each between the same two events as
//! when it was recorded; where the journal notes a fingerprint of the run, it is compared.

use netarium_base::Instant;

use super::codec::Recorded;
use super::{DecodeError, Fingerprint, Moment, Player, Reader};
use crate::World;

/// How a replay ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayEnd {
    /// How many inputs were applied.
    pub inputs: u64,
    /// How many fingerprints agreed.
    pub checks: u64,
    /// How far the replay came.
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
    /// The number of the fingerprint that differs, from 1.
    pub check: u64,
    /// What was recorded.
    pub recorded: Fingerprint,
    /// What the replay said.
    pub replayed: Fingerprint,
}

/// Feeds the entries of a journal to a fresh world of the same lab, seed and build. Stops at the
/// first divergence, at an error, or behind the last entry until `until`. `taken` gets each output
/// of the world.
pub fn replay(
    world: &mut World,
    journal: Reader<'_>,
    until: Instant,
    mut taken: impl FnMut(crate::Output),
) -> ReplayEnd {
    let (mut entries, mut error, mut incomplete) = (Vec::new(), None, false);
    for entry in journal {
        match entry {
            Ok(entry) if entry.at > until => break,
            Ok(entry) => {
                incomplete |= entry.what == Recorded::Full;
                entries.push(entry);
            }
            Err(e) => error = Some(e),
        }
    }
    let mut player = Player::new(entries.into());
    player.play(world, Moment::End, &mut taken);
    let divergence = player.divergence().cloned();
    let (incomplete, error) =
        if divergence.is_some() { (false, None) } else { (incomplete, error) };
    ReplayEnd {
        inputs: player.inputs(),
        checks: player.checks() - u64::from(divergence.is_some()),
        at: world.now(),
        divergence,
        incomplete,
        error,
    }
}
