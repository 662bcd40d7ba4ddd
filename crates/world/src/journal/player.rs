//! A journal fed to a fresh world piece by piece: up to a point, then further; or, from a point on,
//! to a world in which something was changed.

use std::rc::Rc;

use netarium_base::{Duration, EventId, Instant};

use super::codec::Recorded;
use super::{Divergence, Entry};
use crate::World;
use crate::message::Output;

/// A point of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When everything that is due until this time has happened.
    Time(Instant),
    /// When this event has happened, and what the world did in the same breath: one dispatched
    /// event with what programs do because of it, or one input.
    Event(EventId),
    /// When the world has dispatched this many events of its queue, and taken the inputs that came
    /// before the next one.
    Step(u64),
    /// The end of the journal.
    End,
}

/// Feeds a journal to a fresh world of the same lab, seed and build, each input between the same
/// two events as when it was recorded, and compares the fingerprints on the way.
#[derive(Clone, Debug)]
pub struct Player {
    entries: Rc<[Entry]>,
    next: usize,
    /// Per entry passed: how many events had been dispatched in its instant before it.
    places: Vec<u64>,
    inputs: u64,
    checks: u64,
    agreed_until: Instant,
    divergence: Option<Divergence>,
}

impl Player {
    /// Will play these entries, from the first.
    pub fn new(entries: Rc<[Entry]>) -> Player {
        Player {
            entries,
            next: 0,
            places: Vec::new(),
            inputs: 0,
            checks: 0,
            agreed_until: Instant::ZERO,
            divergence: None,
        }
    }

    /// Plays up to `to`, at most to the end of the journal or the first divergence. `taken` gets
    /// each output of the world. False when the journal ended, or the runs parted, before `to`.
    pub fn play(&mut self, world: &mut World, to: Moment, taken: &mut dyn FnMut(Output)) -> bool {
        let entries = Rc::clone(&self.entries);
        let mut hear = |world: &mut World| {
            while let Some(output) = world.poll_output() {
                taken(output);
            }
        };
        while self.divergence.is_none()
            && let Some(entry) = entries.get(self.next)
        {
            let reached = match to {
                Moment::Time(at) if at < entry.at => {
                    world.run_until(at);
                    true
                }
                Moment::Event(id) => {
                    approach(world, entry, |w| w.tracer().emitted() >= id.0, &mut hear)
                }
                Moment::Step(n) if n < entry.events => {
                    approach(world, entry, |w| w.events() >= n, &mut hear)
                }
                Moment::Time(_) | Moment::Step(_) | Moment::End => false,
            };
            if reached {
                hear(world);
                return true;
            }
            world.run_to_position(before(entry.at), entry.events);
            self.places.push(entry.events.saturating_sub(world.events()));
            world.run_to_position(entry.at, entry.events);
            hear(world);
            self.next += 1;
            self.take(world, entry);
            hear(world);
        }
        match to {
            Moment::Time(at) => at <= world.now() && self.divergence.is_none(),
            Moment::Event(id) => id.0 <= world.tracer().emitted(),
            Moment::Step(n) => n <= world.events(),
            Moment::End => self.divergence.is_none(),
        }
    }

    fn take(&mut self, world: &mut World, entry: &Entry) {
        match &entry.what {
            Recorded::Input(input) => {
                world.apply(input.clone());
                self.inputs += 1;
            }
            Recorded::Check(recorded) => {
                let (recorded, replayed) = (*recorded, world.fingerprint());
                self.checks += 1;
                if recorded != replayed || world.events() != entry.events {
                    let agreed_until = self.agreed_until;
                    let check = self.checks;
                    let at = entry.at;
                    self.divergence =
                        Some(Divergence { agreed_until, at, check, recorded, replayed });
                } else {
                    self.agreed_until = entry.at;
                }
            }
            Recorded::Full | Recorded::End => {}
        }
    }

    /// Goes on in a world that was changed: each remaining input is applied at its recorded time,
    /// behind as many events of that instant as when it was recorded (`recorded` is a player that
    /// played the journal unchanged to its end). Nothing is compared, and what the world says is
    /// thrown away: outside connections are detached.
    pub fn go_on_changed(&mut self, world: &mut World, recorded: &Player) {
        let entries = Rc::clone(&self.entries);
        while let (Some(entry), Some(&place)) =
            (entries.get(self.next), recorded.places.get(self.next))
        {
            let same_instant = world.now() == entry.at;
            let place =
                if same_instant { entry.events.saturating_sub(world.events()) } else { place };
            world.run_until(before(entry.at));
            for _ in 0..place {
                if !world.step_until(entry.at) {
                    break;
                }
            }
            world.run_to_position(entry.at, 0);
            if let Recorded::Input(input) = &entry.what {
                world.apply(input.clone());
                self.inputs += 1;
            }
            while world.poll_output().is_some() {}
            self.next += 1;
        }
    }

    /// How many inputs were applied.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// How many fingerprints were compared.
    pub fn checks(&self) -> u64 {
        self.checks
    }

    /// Where the world first did something else than the recorded one.
    pub fn divergence(&self) -> Option<&Divergence> {
        self.divergence.as_ref()
    }
}

/// The latest time before `at`; an input at 0 has nothing before it.
fn before(at: Instant) -> Instant {
    at - Duration::from_nanos(1)
}

/// Runs towards an entry until the point is reached. False: it was not.
fn approach(
    world: &mut World,
    entry: &Entry,
    reached: impl Fn(&World) -> bool,
    hear: &mut impl FnMut(&mut World),
) -> bool {
    while !reached(world) {
        if world.events() >= entry.events || !world.step_until(entry.at) {
            return false;
        }
        hear(world);
    }
    true
}
