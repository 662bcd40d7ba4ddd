//! `ss`: sockets in the layout of iproute2 6.1, as it is written to a file or pipe: each column as
//! wide as its widest entry.

mod details;
mod filter;

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use netarium_base::{Pid, SocketId};
use netarium_stack::{SocketInfo, SocketKind};
use netarium_world::process::{LocalBoxFuture, Process};

use crate::getopt::{Item, Long, Spec, Takes};
use crate::services;
use crate::table::Owners;
use filter::{Filter, Row};

const USAGE: &str = "\
Usage: ss [ OPTIONS ]
       ss [ OPTIONS ] [ FILTER ]
   -h, --help          this message
   -n, --numeric       don't resolve service names
   -a, --all           display all sockets
   -l, --listening     display listening sockets
   -o, --options       show timer information
   -e, --extended      show detailed socket information
   -m, --memory        show socket memory usage
   -p, --processes     show process using socket
   -i, --info          show internal TCP information
   -s, --summary       show socket usage summary
   -t, --tcp           display only TCP sockets
   -u, --udp           display only UDP sockets
   -4, -6              display only IP version 4 or 6 sockets
   -H, --no-header     suppress header line
   -O, --oneline       socket's data printed on a single line

       FILTER := [ state STATE-FILTER ] [ EXPRESSION ]
";

const LONG: &[Long] = &[
    ("help", Takes::Nothing, 'h'),
    ("version", Takes::Nothing, 'V'),
    ("numeric", Takes::Nothing, 'n'),
    ("resolve", Takes::Nothing, 'r'),
    ("all", Takes::Nothing, 'a'),
    ("listening", Takes::Nothing, 'l'),
    ("options", Takes::Nothing, 'o'),
    ("extended", Takes::Nothing, 'e'),
    ("memory", Takes::Nothing, 'm'),
    ("processes", Takes::Nothing, 'p'),
    ("info", Takes::Nothing, 'i'),
    ("summary", Takes::Nothing, 's'),
    ("tcp", Takes::Nothing, 't'),
    ("udp", Takes::Nothing, 'u'),
    ("ipv4", Takes::Nothing, '4'),
    ("ipv6", Takes::Nothing, '6'),
    ("no-header", Takes::Nothing, 'H'),
    ("oneline", Takes::Nothing, 'O'),
];

const SPEC: Spec = Spec { short: "hVnralomepistuHO46xw", long: LONG };

/// What is to be shown.
#[derive(Clone, Debug, Default)]
struct Flags {
    letters: String,
    filter: Filter,
}

impl Flags {
    fn has(&self, c: char) -> bool {
        self.letters.contains(c)
    }

    fn parse(args: &[String]) -> Result<Flags, String> {
        let (mut flags, mut words) = (Flags::default(), Vec::new());
        for item in SPEC.parse(args).map_err(|e| format!("ss: {}\n{USAGE}", e.gnu()))? {
            match item {
                Item::Option(c, _) => flags.letters.push(c),
                Item::Operand(word) => words.push(word),
            }
        }
        flags.filter = Filter::parse(&words)?;
        Ok(flags)
    }

    fn wants(&self, row: &Row<'_>) -> bool {
        let udp = row.info.kind == SocketKind::Udp;
        let other = !matches!(row.info.kind, SocketKind::Tcp | SocketKind::Udp);
        let kinds = self.has('t') || self.has('u');
        let kind = if kinds {
            self.has(if udp { 'u' } else { 't' })
        } else {
            !self.has('x') && !self.has('w')
        };
        let family = match (self.has('4'), self.has('6')) {
            (true, false) => row.info.local.is_ipv4(),
            (false, true) => row.info.local.is_ipv6(),
            _ => true,
        };
        let server = matches!(row.state, "LISTEN" | "UNCONN");
        let states = match &self.filter.states {
            Some(states) => states.contains(&row.state),
            None if self.has('l') => server,
            None => self.has('a') || !(server || matches!(row.state, "TIME-WAIT" | "SYN-RECV")),
        };
        !other && kind && family && states && self.filter.accepts(row)
    }
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let flags = match Flags::parse(args.get(1..).unwrap_or_default()) {
            Ok(flags) => flags,
            Err(why) => {
                process.eprint(&why).await;
                return 255;
            }
        };
        if flags.has('h') || flags.has('V') {
            let text = if flags.has('V') { "ss utility, iproute2-6.1.0\n" } else { USAGE };
            process.print(text).await;
            return 0;
        }
        let text = if flags.has('s') { summary(&process) } else { table(&process, &flags) };
        process.print(&text).await;
        0
    })
}

/// ss's name of a state.
fn state(info: &SocketInfo) -> &'static str {
    match info.state {
        "ESTABLISHED" => "ESTAB",
        "SYN_SENT" => "SYN-SENT",
        "SYN_RECV" => "SYN-RECV",
        "FIN_WAIT1" => "FIN-WAIT-1",
        "FIN_WAIT2" => "FIN-WAIT-2",
        "TIME_WAIT" => "TIME-WAIT",
        "CLOSE_WAIT" => "CLOSE-WAIT",
        "LAST_ACK" => "LAST-ACK",
        "" if info.remote.is_some() => "ESTAB",
        "" | "CLOSE" => "UNCONN",
        same => same,
    }
}

/// The columns of a row, and what stands behind them.
struct Cells {
    columns: Vec<String>,
    behind: String,
}

fn table(process: &Process, flags: &Flags) -> String {
    let owners = Owners::of(process);
    let sockets = process.with_stack(|stack, _| stack.sockets());
    let fds = descriptors(&sockets);
    let mut rows: Vec<Row<'_>> =
        sockets.iter().map(|info| Row { info, state: state(info) }).collect();
    rows.retain(|row| flags.wants(row));
    // As the kernel lists them: UDP, then TCP's listeners, connections, and those that wait.
    rows.sort_by_key(|r| {
        (r.info.kind == SocketKind::Tcp, r.state != "LISTEN", r.info.pid == Pid(0))
    });
    let one_state = flags.filter.states.as_ref().is_some_and(|s| s.len() == 1);
    let one_kind = flags.has('t') != flags.has('u');
    let mut all = Vec::new();
    if !flags.has('H') {
        let heads = [
            "Netid",
            "State",
            "Recv-Q",
            "Send-Q",
            "Local Address:",
            "Port",
            "Peer Address:",
            "Port",
            "Process",
        ];
        let columns = heads.iter().map(|h| (*h).to_owned()).collect();
        all.push(Cells { columns, behind: String::new() });
    }
    for row in &rows {
        all.push(cells(process, flags, row, &owners, &fds));
    }
    let hidden = [one_kind, one_state];
    render(&all, hidden)
}

/// The number that each socket would have as a descriptor: programs open them one by one.
fn descriptors(sockets: &[SocketInfo]) -> BTreeMap<SocketId, u32> {
    let mut next: BTreeMap<Pid, u32> = BTreeMap::new();
    let mut sorted: Vec<&SocketInfo> = sockets.iter().collect();
    sorted.sort_by_key(|s| s.id);
    let number = |s: &&SocketInfo| {
        let next = next.entry(s.pid).or_insert(3);
        *next += 1;
        (s.id, *next - 1)
    };
    sorted.iter().map(number).collect()
}

fn cells(
    process: &Process,
    flags: &Flags,
    row: &Row<'_>,
    owners: &Owners,
    fds: &BTreeMap<SocketId, u32>,
) -> Cells {
    let info = row.info;
    let udp = info.kind == SocketKind::Udp;
    let any = SocketAddr::new(
        if info.local.is_ipv4() {
            core::net::Ipv4Addr::UNSPECIFIED.into()
        } else {
            core::net::Ipv6Addr::UNSPECIFIED.into()
        },
        0,
    );
    let (local, local_port) = address(info.local, udp, flags.has('n'));
    let (peer, peer_port) = address(info.remote.unwrap_or(any), udp, flags.has('n'));
    let mut users = String::new();
    if flags.has('p') && info.pid != Pid(0) {
        let fd = fds.get(&info.id).copied().unwrap_or(3);
        users = format!(" users:((\"{}\",pid={},fd={fd}))", owners.program(info.pid), info.pid);
    }
    let columns = vec![
        if udp { "udp" } else { "tcp" }.to_owned(),
        row.state.to_owned(),
        info.recv_queue.to_string(),
        info.send_queue.to_string(),
        local,
        local_port,
        peer,
        peer_port,
        users,
    ];
    let mut behind = String::new();
    // As iproute2 has it, `-e` shows timers too.
    if flags.has('o') || flags.has('e') {
        behind += &details::timer(process, info);
    }
    if flags.has('e') {
        behind += &identity(info);
    }
    let mut details = String::new();
    if flags.has('m') {
        details += &details::memory(process, info);
    }
    // Linux keeps less than a socket of what waits in TIME-WAIT, FIN-WAIT-2 or SYN-RECV.
    let whole = info.pid != Pid(0) || ["FIN_WAIT1", "CLOSING", "LAST_ACK"].contains(&info.state);
    if flags.has('i') && info.kind == SocketKind::Tcp && whole {
        details += &details::tcp(process, info);
    }
    if !details.is_empty() {
        behind += if flags.has('O') { " " } else { "\n\t" };
        behind += &details;
    }
    Cells { columns, behind }
}

/// ` ino:1003 sk:4 cgroup:/ <->`; what nobody has open any more has no inode.
fn identity(info: &SocketInfo) -> String {
    let sk = match info.id.index {
        // Connections without a socket are told apart by their place.
        u32::MAX => info.id.generation.wrapping_add(0x1000),
        index => index + 1,
    };
    match info.state {
        "TIME_WAIT" => format!(" ino:0 sk:{sk:x}"),
        _ if info.pid == Pid(0) => format!(" ino:0 sk:{sk:x} cgroup:/ <->"),
        _ => format!(" ino:{} sk:{sk:x} cgroup:/ <->", 999 + sk),
    }
}

/// Address with its colon, and port.
fn address(a: SocketAddr, udp: bool, numeric: bool) -> (String, String) {
    let host = match a {
        SocketAddr::V4(a) => format!("{}:", a.ip()),
        SocketAddr::V6(a) => format!("[{}]:", a.ip()),
    };
    let port = match a.port() {
        0 => "*".to_owned(),
        port => match services::name(port, udp).filter(|_| !numeric) {
            Some(name) => name.to_owned(),
            None => port.to_string(),
        },
    };
    (host, port)
}

/// Lines up the columns: `Local Address:` and `Peer Address:` to the right, a blank before all but
/// the first, the ports and the processes.
fn render(rows: &[Cells], hidden: [bool; 2]) -> String {
    const COUNT: usize = 9;
    let mut widths = [0; COUNT];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.columns) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let shown = |at: usize| !(at < 2 && hidden[at]) && widths[at] > 0;
    let first = (0..COUNT).find(|&at| shown(at)).unwrap_or(0);
    let mut out = String::new();
    for row in rows {
        for at in (0..COUNT).filter(|&at| shown(at)) {
            let gap = at != first && !matches!(at, 5 | 7 | 8);
            let (cell, width) = (&row.columns[at], widths[at]);
            out += if gap { " " } else { "" };
            let _ = match at {
                4 | 6 => write!(out, "{cell:>width$}"),
                _ => write!(out, "{cell:<width$}"),
            };
        }
        out += &row.behind;
        out.push('\n');
    }
    out
}

/// `-s`
fn summary(process: &Process) -> String {
    let sockets = process.with_stack(|stack, _| stack.sockets());
    let count = |f: &dyn Fn(&SocketInfo) -> bool| sockets.iter().filter(|s| f(s)).count();
    let tcp = |s: &SocketInfo| s.kind == SocketKind::Tcp;
    let waits = count(&|s| s.state == "TIME_WAIT");
    let established = count(&|s| tcp(s) && matches!(s.state, "ESTABLISHED" | "CLOSE_WAIT"));
    let orphans =
        count(&|s| tcp(s) && s.pid == Pid(0) && !matches!(s.state, "TIME_WAIT" | "SYN_RECV"));
    let total = count(&|s| tcp(s));
    let open = total - waits;
    let closed = waits + count(&|s| tcp(s) && s.state == "CLOSE");
    let mut out = format!(
        "Total: {}\nTCP:   {total} (estab {established}, closed {closed}, orphaned {orphans}, timewait {waits})\n\n\
         Transport Total     IP        IPv6\n",
        count(&|s| s.pid != Pid(0))
    );
    let six = |s: &SocketInfo| s.local.is_ipv6();
    let rows = [
        (
            "RAW",
            count(&|s| s.kind == SocketKind::Ping),
            count(&|s| s.kind == SocketKind::Ping && six(s)),
        ),
        (
            "UDP",
            count(&|s| s.kind == SocketKind::Udp),
            count(&|s| s.kind == SocketKind::Udp && six(s)),
        ),
        ("TCP", open, count(&|s| tcp(s) && s.state != "TIME_WAIT" && six(s))),
    ];
    let (mut all, mut all6) = (0, 0);
    for (name, n, n6) in rows {
        let _ = writeln!(out, "{name}\t  {n:<9} {:<9} {n6:<9}", n - n6);
        (all, all6) = (all + n, all6 + n6);
    }
    let _ = writeln!(out, "INET\t  {all:<9} {:<9} {all6:<9}", all - all6);
    let _ = writeln!(out, "FRAG\t  {0:<9} {0:<9} {0:<9}\n", 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_as_iproute2_sets_them() {
        let row = |words: [&str; 9]| Cells {
            columns: words.iter().map(|w| (*w).to_owned()).collect(),
            behind: String::new(),
        };
        let rows = [
            row([
                "Netid",
                "State",
                "Recv-Q",
                "Send-Q",
                "Local Address:",
                "Port",
                "Peer Address:",
                "Port",
                "Process",
            ]),
            row([
                "tcp",
                "LISTEN",
                "0",
                "1",
                "0.0.0.0:",
                "8080",
                "0.0.0.0:",
                "*",
                " users:((\"nc\",pid=24811,fd=3))",
            ]),
            row([
                "tcp",
                "ESTAB",
                "0",
                "0",
                "10.0.0.2:",
                "8080",
                "10.0.0.1:",
                "37224",
                " users:((\"nc\",pid=24811,fd=4))",
            ]),
        ];
        // As ss 6.1 prints the same three.
        let expect = "\
State  Recv-Q Send-Q Local Address:Port Peer Address:Port Process                       
LISTEN 0      1            0.0.0.0:8080      0.0.0.0:*     users:((\"nc\",pid=24811,fd=3))
ESTAB  0      0           10.0.0.2:8080     10.0.0.1:37224 users:((\"nc\",pid=24811,fd=4))
";
        assert_eq!(render(&rows, [true, false]), expect);
    }
}
