//! Figures of Netarium, with a peer in the same run where there is one.
//!
//! ```text
//! cargo run --release -p netarium-bench -- goodput [--megabytes 300] [--captures] [--trace] [--plain]
//! cargo run --release -p netarium-bench -- hosts 1000
//! cargo run --release -p netarium-bench -- star 10000
//! cargo run --release -p netarium-bench -- curve [100000]
//! cargo run --release -p netarium-bench -- connections [100000]
//! cargo run --release -p netarium-bench -- cycles [1000000]
//! cargo run --release -p netarium-bench -- first200
//! cargo run --release -p netarium-bench -- publish
//! cargo run --release -p netarium-bench -- rewind
//! cargo run --release -p netarium-bench -- pace
//! cargo run --release -p netarium-bench -- tap [2000]
//! ```
//!
//! `goodput`: one TCP transfer client → router with NAT → server through two switches, beside
//! smoltcp's two bare end points without router, wire or event queue; with `--plain` beside the same
//! transfer through a router without a filter, and through one with twenty rules. `hosts`: building a network
//! of N idle hosts, 100 to a switch, behind routers; time and memory. `star`: N hosts fetch 10 kB
//! each from one server; `curve`: what an event costs with 100 to 100,000 of them. `connections`: N idle connections between two hosts, bytes each, and what
//! a byte over one of them costs; `cycles`: connections opened and closed. `first200`: from the command to the first page. `publish`: real
//! clients through the published port, with `wrk` and `ab`, beside nginx without a lab and, where it is
//! installed, slirp4netns (root, or user namespaces). `rewind`: seeking in a
//! recorded session of five minutes. `pace`: how late events fire in real time, and what an idle lab
//! costs. `tap`: bulk transfers over a TAP to the kernel's TCP beside smoltcp's, and a lossy wire with
//! Linux at both ends and at one. Times are processor seconds, figures medians of five runs: the machines these run on are
//! shared and noisy. See `docs/performance.md`.
//!
//! Modules: [`connections`], [`goodput`], [`hosts`], [`pace`], [`publish`], [`rewind`], [`start`] and [`tap`] measure, [`peer`] is smoltcp, `slirp` slirp4netns,
//! [`programs`] are the plain source and sink that run on the hosts.

mod connections;
mod goodput;
mod hosts;
mod pace;
mod peer;
mod programs;
mod publish;
mod rewind;
#[cfg(target_os = "linux")]
mod slirp;
mod start;
#[cfg(target_os = "linux")]
mod tap;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: u64| args.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    let has = |flag: &str| args.iter().any(|a| a == flag);
    let megabytes =
        args.iter().position(|a| a == "--megabytes").map_or(300, |i| number(i + 1, 300));
    match args.first().map(String::as_str) {
        Some("goodput") => {
            goodput::run(megabytes, has("--captures"), has("--trace"), has("--plain"))
        }
        Some("hosts") => hosts::idle(number(1, 1000) as usize),
        Some("curve") => hosts::curve(number(1, 100_000) as usize),
        Some("connections") => connections::idle(number(1, 100_000) as usize),
        Some("cycles") => connections::cycles(number(1, 1_000_000) as usize),
        Some("first200") => start::first_200(),
        Some("pace") => pace::run(),
        Some("publish") => publish::run(),
        // What `publish` starts in a namespace.
        #[cfg(target_os = "linux")]
        Some("bulk-server") => slirp::bulk_server(),
        Some("rewind") => rewind::run(),
        #[cfg(target_os = "linux")]
        Some("tap") => {
            if let Err(why) = tap::run(number(1, 2_000)) {
                eprintln!("netarium-bench: {why}");
                return ExitCode::FAILURE;
            }
        }
        Some("star") => hosts::star(number(1, 10_000) as usize),
        _ => {
            eprintln!(
                "usage: netarium-bench goodput|hosts N|star N|curve [N]|connections N|cycles N|first200|publish|rewind|pace|tap [MB]; see the head of bench/src/main.rs"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// The median of a few figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
