//! Rewinding: 50 random points of a recorded five-minute session in the course lab.

use std::time::Instant as Wall;

use netarium::recording::Moment;
use netarium::{Duration, Instant, Lab, Recording, Replay};
use netarium_base::Seed;

use crate::median;

const SECONDS: u64 = 300;
const POINTS: usize = 50;

/// Records a session with a page every second, then seeks.
pub(crate) fn run() {
    let lab = Lab::builtin("course").expect("it comes with the program");
    let mut world = lab.build(1).expect("it builds");
    for _ in 0..SECONDS {
        let page = world.exec("friend", "curl -s http://10.0.0.2:65535/").expect("it runs");
        assert_eq!(page.code, 0);
        world.run_for(Duration::from_secs(1));
    }
    world.inner_mut().finish_journal();
    let journal = world.inner().journal().bytes().to_vec();
    let recording = Recording::from_parts(lab, false, &journal).expect("a journal");
    let (end, mut luck) = (recording.end(), Seed(7).stream("rewind", "points"));
    let mut replay = Replay::new(recording).expect("it builds");
    let mut took = Vec::new();
    for _ in 0..POINTS {
        let at = Instant::from_nanos(luck.next_u64() % end.as_nanos());
        let start = Wall::now();
        assert!(replay.seek(Moment::Time(at)).expect("it builds"));
        took.push(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(replay.world().now(), at);
    }
    let slowest = took.iter().copied().fold(0.0, f64::max);
    println!("seeking {POINTS} random points of {end} s ({} bytes of journal):", journal.len());
    println!("  median {:.1} ms, slowest {slowest:.1} ms", median(took));
}
