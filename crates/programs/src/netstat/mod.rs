//! `netstat`: who listens, who is connected to whom, and which process it is.
//!
//! `-ano` and its parts answer in the layout of Windows, where these letters are typed; with any of
//! `-t -u -l -p` they answer in the layout of Linux, as everything else does.

mod linux;
mod windows;

use netarium_base::Duration;
use netarium_stack::{Interface, SocketInfo, SocketKind};
use netarium_world::process::{LocalBoxFuture, Process};

use crate::getopt::{Item, Long, Spec, Takes};
use crate::table::Owners;

/// The table of `netstat -i`, without the line above it: `ifconfig -s`.
pub(crate) fn interface_table(interfaces: &[Interface]) -> String {
    let table = linux::interfaces(interfaces);
    table.split_once('\n').map_or_else(String::new, |lines| lines.1.to_owned())
}

const USAGE: &str = "\
usage: netstat [-antulpo]     sockets (-t TCP, -u UDP, -l listening, -a all, -p programs, -o timers)
       netstat -ano           sockets with process ids, in the layout of Windows
       netstat {-r|-i|-s}     routing table, interfaces, statistics
       netstat -ano [-p tcp|udp]  the same, of one protocol
        -n, --numeric         don't name ports
        -c, --continuous      again every second
";

const LONG: &[Long] = &[
    ("all", Takes::Nothing, 'a'),
    ("numeric", Takes::Nothing, 'n'),
    ("tcp", Takes::Nothing, 't'),
    ("udp", Takes::Nothing, 'u'),
    ("listening", Takes::Nothing, 'l'),
    ("programs", Takes::Nothing, 'p'),
    ("timers", Takes::Nothing, 'o'),
    ("route", Takes::Nothing, 'r'),
    ("interfaces", Takes::Nothing, 'i'),
    ("statistics", Takes::Nothing, 's'),
    ("continuous", Takes::Nothing, 'c'),
    ("wide", Takes::Nothing, 'W'),
    ("help", Takes::Nothing, 'h'),
];

const SPEC: Spec = Spec { short: "antulporiscW46h", long: LONG };

/// What is to be shown.
#[derive(Clone, Debug, Default)]
struct Flags {
    all: bool,
    listening: bool,
    numeric: bool,
    programs: bool,
    timers: bool,
    continuous: bool,
    tcp: bool,
    udp: bool,
    /// The protocol that `-p` of Windows names.
    only: Option<SocketKind>,
    table: Option<char>,
}

impl Flags {
    fn parse(args: &[String]) -> Result<Flags, String> {
        let mut f = Flags::default();
        for item in SPEC.parse(args).map_err(|e| e.gnu())? {
            match item {
                Item::Option('a', _) => f.all = true,
                Item::Option('n', _) => f.numeric = true,
                Item::Option('t', _) => f.tcp = true,
                Item::Option('u', _) => f.udp = true,
                Item::Option('l', _) => f.listening = true,
                Item::Option('p', _) => f.programs = true,
                Item::Option('o', _) => f.timers = true,
                Item::Option('c', _) => f.continuous = true,
                Item::Option(c @ ('r' | 'i' | 's' | 'h'), _) => f.table = Some(c),
                // `-p TCP` is Windows'.
                Item::Operand(word) if f.programs && word.eq_ignore_ascii_case("tcp") => {
                    (f.programs, f.only) = (false, Some(SocketKind::Tcp));
                }
                Item::Operand(word) if f.programs && word.eq_ignore_ascii_case("udp") => {
                    (f.programs, f.only) = (false, Some(SocketKind::Udp));
                }
                Item::Option(..) | Item::Operand(_) => {}
            }
        }
        Ok(f)
    }

    /// Whether the letters are the ones that are typed on Windows.
    fn is_windows(&self) -> bool {
        (self.timers || self.only.is_some())
            && !(self.tcp || self.udp || self.listening || self.programs)
    }

    /// The rows to show: listeners first, then connections, then datagrams.
    fn wanted<'a>(&self, sockets: &'a [SocketInfo]) -> impl Iterator<Item = &'a SocketInfo> {
        let each = !self.tcp && !self.udp;
        let mut rows: Vec<&SocketInfo> = sockets
            .iter()
            .filter(|s| match s.kind {
                SocketKind::Tcp => self.tcp || each,
                SocketKind::Udp => self.udp || each,
                SocketKind::Ping | SocketKind::Packet => false,
            })
            .filter(|s| self.only.is_none_or(|kind| kind == s.kind))
            .filter(|s| {
                let server = is_server(s);
                if self.listening { server } else { self.all || !server }
            })
            .collect();
        rows.sort_by_key(|s| (s.kind != SocketKind::Tcp, !is_server(s)));
        rows.into_iter()
    }
}

/// Listeners, and datagram sockets without a peer.
fn is_server(s: &SocketInfo) -> bool {
    s.state == "LISTEN" || (s.kind == SocketKind::Udp && s.remote.is_none())
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(run(process))
}

async fn run(process: Process) -> i32 {
    let args = process.args();
    let flags = match Flags::parse(args.get(1..).unwrap_or_default()) {
        Ok(flags) => flags,
        Err(why) => {
            process.eprint(&format!("netstat: {why}\n{USAGE}")).await;
            return 3;
        }
    };
    loop {
        process.print(&page(&process, &flags)).await;
        if !flags.continuous {
            return 0;
        }
        process.sleep(Duration::from_secs(1)).await;
    }
}

/// What is shown once.
fn page(process: &Process, flags: &Flags) -> String {
    let owners = Owners::of(process);
    let now = process.now();
    process.with_stack(|stack, _| match flags.table {
        Some('r') => linux::routes(stack.routes(), stack.interfaces(), flags.numeric),
        Some('i') => linux::interfaces(stack.interfaces()),
        Some('s') => {
            let established = stack.sockets().iter().filter(|s| s.state == "ESTABLISHED").count();
            linux::statistics(flags, stack.stats(), established, stack.forwards())
        }
        Some(_) => USAGE.to_owned(),
        None if flags.is_windows() => windows::sockets(flags, &stack.sockets()),
        None => {
            let tries = |s: &SocketInfo| {
                stack.tcp_info(now, s.id).map_or((0, 0), |i| (i.retransmits, i.probes))
            };
            linux::sockets(flags, &stack.sockets(), &owners, now, &tries)
        }
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
