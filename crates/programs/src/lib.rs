//! The programs that run on lab hosts, with the flags and layouts that people know.
//!
//! In reading order:
//!
//! 1. [`Builtin`], the library of programs that a world is given;
//! 2. servers: `httpd`, with `app` (applications behind a route table) and `shop`; the name servers
//!    `nsd` and `unbound` in `dns`, with the stub resolver that programs ask through
//!    [`Process::resolve`](netarium_world::process::Process::resolve); `dhcp`; `attach`, behind
//!    which a real server stands; `bench` has `source` and `sink`, for measuring;
//! 3. clients: [`curl`], `visit`, `ping`, `traceroute`; `dig`, `nslookup`, `host`; `nc`, `iperf`;
//! 4. what is there: `netstat`, `ss`, `lsof`, `ps`, `ip`, `interfaces` (`ifconfig` and `ipconfig`),
//!    `route`, `arp`, `conntrack`, `dmesg`, `tcpdump`; filters: `iptables`, `netsh`;
//! 5. `shell`, and `tools` for scripts: `cat`, `ls`, `grep`, `sort`, `kill` and their relatives;
//! 6. `macof`, which floods switches; what they share: `cookies`, `services`, [`getopt`], [`calendar`], `table`, `wait`.
//!
//! A program is a function from a [`Process`](netarium_world::process::Process) to the future of its
//! exit code. It knows its host's sockets, files and virtual time, and nothing of the real machine.
//! Messages and exit codes are the originals'; where a program does less or differs,
//! `docs/programs.md` says so.

#![allow(
    clippy::result_large_err,
    reason = "a response that refuses is as large as one that serves, and moved once per request"
)]

mod app;
mod arp;
mod attach;
mod bench;
pub mod calendar;
mod conntrack;
mod cookies;
pub mod curl;
mod dhcp;
mod dig;
mod dmesg;
mod dns;
pub mod getopt;
mod host;
mod httpd;
mod interfaces;
mod ip;
mod iperf;
mod iptables;
mod lsof;
mod macof;
mod nc;
mod netsh;
mod netstat;
mod nslookup;
mod ping;
mod ps;
mod route;
mod services;
pub mod shell;
mod shop;
mod ss;
mod table;
mod tcpdump;
mod tools;
mod traceroute;
mod visit;
mod wait;

use netarium_world::process::{Program, Programs, Resolver};

/// Every program of this crate, by name; sorted.
const PROGRAMS: &[(&str, Program)] = &[
    ("[", tools::test::main),
    ("arp", arp::main),
    ("attach", attach::main),
    ("cat", tools::cat),
    ("clear", tools::system::clear),
    ("conntrack", conntrack::main),
    ("cp", tools::manage::cp),
    ("curl", curl::main),
    ("cut", tools::lines::cut),
    ("date", tools::system::date),
    ("dhclient", dhcp::dhclient::main),
    ("dhcpd", dhcp::dhcpd::main),
    ("dig", dig::main),
    ("dmesg", dmesg::main),
    ("echo", tools::echo::main),
    ("egrep", tools::grep::grep),
    ("env", tools::system::env),
    ("false", tools::fail),
    ("fgrep", tools::grep::grep),
    ("findstr", tools::findstr::findstr),
    ("getent", dns::getent::main),
    ("grep", tools::grep::grep),
    ("head", tools::ends::head),
    ("host", host::main),
    ("hostname", tools::hostname),
    ("httpd", httpd::main),
    ("id", tools::system::id),
    ("ifconfig", interfaces::ifconfig),
    ("ip", ip::main),
    ("ipconfig", interfaces::ipconfig),
    ("iperf", iperf::main),
    ("iptables", iptables::main),
    ("iptables-save", iptables::save),
    ("kill", tools::kill),
    ("ls", tools::ls),
    ("lsof", lsof::main),
    ("macof", macof::main),
    ("mkdir", tools::manage::mkdir),
    ("mv", tools::manage::mv),
    ("nc", nc::main),
    ("netcat", nc::main),
    ("netsh", netsh::main),
    ("netstat", netstat::main),
    ("nsd", dns::server::main),
    ("nslookup", nslookup::main),
    ("ping", ping::main),
    ("printenv", tools::system::printenv),
    ("printf", tools::printf::main),
    ("ps", ps::main),
    ("pwd", tools::system::pwd),
    ("rm", tools::manage::rm),
    ("rmdir", tools::manage::rmdir),
    ("route", route::main),
    ("seq", tools::lines::seq),
    ("sh", shell::main),
    ("shop", shop::main),
    ("sink", bench::sink),
    ("sleep", tools::sleep),
    ("sort", tools::sort::sort),
    ("source", bench::source),
    ("ss", ss::main),
    ("tail", tools::ends::tail),
    ("taskkill", tools::windows::taskkill),
    ("tasklist", tools::windows::tasklist),
    ("tcpdump", tcpdump::main),
    ("tee", tools::lines::tee),
    ("test", tools::test::main),
    ("touch", tools::manage::touch),
    ("traceroute", traceroute::main),
    ("true", tools::succeed),
    ("uname", tools::system::uname),
    ("unbound", dns::resolver::main),
    ("unbound-control", dns::resolver::control::main),
    ("uniq", tools::lines::uniq),
    ("uptime", tools::system::uptime),
    ("visit", visit::main),
    ("wc", tools::lines::wc),
    ("which", tools::system::which),
    ("whoami", tools::system::whoami),
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

    fn resolver(&self) -> Option<Resolver> {
        Some(dns::stub::resolve)
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
