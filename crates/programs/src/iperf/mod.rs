//! `iperf`: throughput of TCP and UDP, in the layout of iperf 2.1. Times are virtual.

mod options;
mod report;
mod tcp;
mod udp;

use netarium_base::Instant;
use netarium_world::process::{LocalBoxFuture, Process};

use options::parse;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let options = match parse(args.get(1..).unwrap_or_default()) {
            Ok(options) => options,
            Err((code, text)) => {
                process.eprint(&text).await;
                return code;
            }
        };
        match (&options.client, options.udp) {
            (Some(_), false) => tcp::client(process, options).await,
            (Some(_), true) => udp::client(process, options).await,
            (None, false) => tcp::server(process, options).await,
            (None, true) => udp::server(process, options).await,
        }
    })
}

const RULE: &str = "------------------------------------------------------------\n";

/// What passed since a point in time, with the lines of `-i`.
#[derive(Debug)]
struct Meter {
    start: Instant,
    /// Bytes in all, and up to the last line of `-i`.
    bytes: u64,
    told: u64,
    told_at: Instant,
}

impl Meter {
    fn new(now: Instant) -> Meter {
        Meter { start: now, bytes: 0, told: 0, told_at: now }
    }

    fn seconds(&self, at: Instant) -> f64 {
        at.since(self.start).as_nanos() as f64 / 1e9
    }

    /// The line of an interval that ends at `at`.
    fn interval(&mut self, id: &str, at: Instant) -> String {
        let from = self.seconds(self.told_at);
        let line = report::line(id, from, self.seconds(at), self.bytes - self.told, "");
        (self.told, self.told_at) = (self.bytes, at);
        line
    }

    /// The line of all.
    fn total(&self, id: &str, at: Instant) -> String {
        report::line(id, 0.0, self.seconds(at), self.bytes, "")
    }
}
