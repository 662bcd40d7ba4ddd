//! The programs that run on lab hosts, with the flags and layouts that people know.
//!
//! In reading order:
//!
//! 1. [`Builtin`], the library of programs that a world is given;
//! 2. servers: `httpd`; `bench` has `source` and `sink`, for measuring;
//! 3. clients: [`curl`], `visit` (both keep `cookies`), `ping`, `traceroute`;
//! 4. what is there: `netstat`, `ps`, `ip`, `arp`, `conntrack`, `dmesg`; filters: `iptables`, `netsh`;
//! 5. `tools` for scripts: `cat`, `ls`, `echo`, `sleep`, `kill`, `hostname`, `true`, `false`;
//! 6. what they share: [`getopt`], [`calendar`], `table`, `wait`.
//!
//! A program is a function from a [`Process`](netarium_world::process::Process) to the future of its
//! exit code. It knows its host's sockets, files and virtual time, and nothing of the real machine.
//! Messages and exit codes are the originals'; where a program does less or differs,
//! `docs/programs.md` says so.

mod arp;
mod bench;
pub mod calendar;
mod conntrack;
mod cookies;
pub mod curl;
mod dmesg;
pub mod getopt;
mod httpd;
mod ip;
mod iptables;
mod netsh;
mod netstat;
mod ping;
mod ps;
mod table;
mod tools;
mod traceroute;
mod visit;
mod wait;

use netarium_world::process::{Program, Programs};

/// Every program of this crate, by name; sorted.
const PROGRAMS: &[(&str, Program)] = &[
    ("arp", arp::main),
    ("cat", tools::cat),
    ("conntrack", conntrack::main),
    ("curl", curl::main),
    ("dmesg", dmesg::main),
    ("echo", tools::echo),
    ("false", tools::fail),
    ("hostname", tools::hostname),
    ("httpd", httpd::main),
    ("ip", ip::main),
    ("iptables", iptables::main),
    ("iptables-save", iptables::save),
    ("kill", tools::kill),
    ("ls", tools::ls),
    ("netsh", netsh::main),
    ("netstat", netstat::main),
    ("ping", ping::main),
    ("ps", ps::main),
    ("sink", bench::sink),
    ("sleep", tools::sleep),
    ("source", bench::source),
    ("traceroute", traceroute::main),
    ("true", tools::succeed),
    ("visit", visit::main),
];

/// The programs that every host has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builtin;

impl Programs for Builtin {
    fn names(&self) -> Vec<&'static str> {
        PROGRAMS.iter().map(|p| p.0).collect()
    }

    fn start(&self, name: &str) -> Option<Program> {
        // `/usr/bin/curl` is typed, too.
        let name = name.rsplit('/').next().unwrap_or(name);
        PROGRAMS.binary_search_by(|p| p.0.cmp(name)).ok().map(|at| PROGRAMS[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name() {
        assert!(Builtin.names().is_sorted());
        for name in Builtin.names() {
            assert!(Builtin.start(name).is_some(), "{name}");
        }
        assert!(Builtin.start("/usr/sbin/httpd").is_some());
        assert!(Builtin.start("nginx").is_none());
    }
}
