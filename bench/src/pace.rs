//! How well real time is kept: how late events fire, and what an idle lab costs.

use std::sync::{Arc, Mutex};
use std::time::{Duration as Real, Instant as Wall};

use cpu_time::ProcessTime;
use netarium::world::Input;
use netarium::{BuildOptions, Lab};
use netarium_base::Record;
use netarium_base::trace::TraceSink;
use netarium_server::{Pace, WorldThread};

/// How long each half is measured.
const SECONDS: u64 = 10;

/// Real time at which an event fired, and the virtual time at which it was due.
type Fired = Arc<Mutex<Vec<(Wall, u64)>>>;

struct Watch(Fired);

impl TraceSink for Watch {
    fn record(&mut self, record: &Record) {
        let mut fired = self.0.lock().expect("nobody panics with it");
        // Those of the same instant fire together: one figure for each instant.
        if fired.last().is_none_or(|(_, at)| *at != record.at.as_nanos()) {
            fired.push((Wall::now(), record.at.as_nanos()));
        }
    }
}

/// Runs the course lab at speed 1: idle, then with a ping.
pub(crate) fn run() {
    let build = || {
        let lab = Lab::builtin("course").expect("it comes with the program");
        lab.build_with(BuildOptions { trace_limit: 200_000, ..BuildOptions::default() })
            .map(netarium::World::into_inner)
    };
    let thread = WorldThread::start(Pace::Times(1.0), build).expect("it starts");
    let world = thread.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it builds");

    let before = ProcessTime::now();
    // Nothing to be synchronised with: this is the time that is measured.
    std::thread::sleep(Real::from_secs(SECONDS));
    let idle = before.elapsed().as_secs_f64() / SECONDS as f64;

    let fired = Fired::default();
    let sink = Watch(Arc::clone(&fired));
    let watch = world.query(move |world| {
        world.tracer_mut().add_sink(Box::new(sink));
    });
    runtime.block_on(watch).expect("it runs");
    let argv = ["ping", "-i", "0.1", "-c", &(SECONDS * 10).to_string(), "10.0.0.2"];
    let argv: Vec<String> = argv.map(str::to_owned).to_vec();
    let (host, credit) = ("friend".to_owned(), 1 << 20);
    let open = |port| Input::Exec { port, host, argv, stdin: false, credit };
    let mut ping = world.open(open).expect("it runs");
    let before = ProcessTime::now();
    runtime.block_on(async {
        while let Some(said) = ping.next().await {
            if matches!(said, netarium::world::Output::Exit { .. }) {
                break;
            }
        }
    });
    let busy = before.elapsed().as_secs_f64() / SECONDS as f64;
    drop(thread);
    tell(&fired.lock().expect("nobody panics with it"), idle, busy);
}

fn tell(fired: &[(Wall, u64)], idle: f64, busy: f64) {
    // Late in comparison with the one that was earliest: where both clocks began does not matter.
    let offset =
        |(wall, at): &(Wall, u64)| wall.duration_since(fired[0].0).as_secs_f64() - *at as f64 / 1e9;
    let earliest = fired.iter().map(offset).fold(f64::INFINITY, f64::min);
    let mut late: Vec<f64> = fired.iter().map(|f| (offset(f) - earliest) * 1e3).collect();
    late.sort_by(f64::total_cmp);
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    println!("the course lab at speed 1, {SECONDS} s each:");
    println!("  idle: {:.2} % of a core", idle * 100.0);
    println!("  ping every 0.1 s: {:.2} % of a core; {} instants,", busy * 100.0, late.len());
    println!(
        "  late by {:.3} ms at the median, {:.3} ms at 99 %, {:.3} ms at most",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
