//! `lsof -i`: the sockets of processes, as lsof 4.95 prints them.

use core::net::SocketAddr;

use netarium_base::Pid;
use netarium_stack::{SocketInfo, SocketKind};
use netarium_world::process::{LocalBoxFuture, Process};

use crate::getopt::{Item, Spec};
use crate::services;
use crate::table::Owners;

/// Which sockets of `-i [4|6][tcp|udp][@host][:ports]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    protocol: Option<SocketKind>,
    host: Option<String>,
    ports: Vec<u16>,
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let (mut numeric, mut wanted, mut pids, mut terse) = (false, None, Vec::new(), false);
        let mut listen = false;
        // `-i` takes a value only in the same word or one that cannot be a file.
        let mut words: Vec<String> = Vec::new();
        let mut rest = args.iter().skip(1).peekable();
        while let Some(word) = rest.next() {
            let bare = word.starts_with('-') && word.ends_with('i') && !word.starts_with("--");
            let selects = |w: &&String| {
                w.starts_with([':', '@'])
                    || w.to_ascii_lowercase().starts_with("tcp")
                    || w.to_ascii_lowercase().starts_with("udp")
            };
            if bare && !rest.peek().is_some_and(selects) {
                words.push(format!("{word}all"));
            } else {
                words.push(word.clone());
            }
        }
        let items = match (Spec { short: "nPti:p:s:a", long: &[] }).parse(&words) {
            Ok(items) => items,
            Err(e) => {
                let text = format!(
                    "lsof: {}\nlsof 4.95.0\n usage: [-nPta] [-i [i]] [-p s] [-s p:s]\n",
                    e.gnu()
                );
                process.eprint(&text).await;
                return 1;
            }
        };
        for item in items {
            match item {
                Item::Option('P', _) => numeric = true,
                Item::Option('t', _) => terse = true,
                Item::Option('i', value) => wanted = Some(parse(&value)),
                Item::Option('p', value) => {
                    pids.extend(value.split(',').filter_map(|p| p.parse().ok()).map(Pid));
                }
                Item::Option('s', value) => listen = value.eq_ignore_ascii_case("tcp:listen"),
                Item::Option(..) | Item::Operand(_) => {}
            }
        }
        let Some(wanted) = wanted else {
            process.eprint("lsof: only network files are listed here: use -i\n").await;
            return 1;
        };
        let sockets = process.with_stack(|stack, _| stack.sockets());
        let mut rows: Vec<&SocketInfo> = sockets
            .iter()
            .filter(|s| s.pid != Pid(0) && s.kind != SocketKind::Ping && accepts(&wanted, s))
            .filter(|s| pids.is_empty() || pids.contains(&s.pid))
            .filter(|s| !listen || s.kind != SocketKind::Tcp || s.state == "LISTEN")
            .collect();
        rows.sort_by_key(|s| (s.pid, s.id));
        if rows.is_empty() {
            return 1;
        }
        let owners = Owners::of(&process);
        let text = if terse { pids_of(&rows) } else { table(&rows, &owners, numeric) };
        process.print(&text).await;
        0
    })
}

fn pids_of(rows: &[&SocketInfo]) -> String {
    let mut pids: Vec<Pid> = rows.iter().map(|s| s.pid).collect();
    pids.dedup();
    pids.iter().map(|pid| format!("{pid}\n")).collect()
}

fn parse(text: &str) -> Wanted {
    let mut wanted = Wanted::default();
    let mut rest = text.strip_prefix("all").unwrap_or(text).trim_start_matches(['4', '6']);
    let lower = rest.to_ascii_lowercase();
    for (name, kind) in [("tcp", SocketKind::Tcp), ("udp", SocketKind::Udp)] {
        if lower.starts_with(name) {
            wanted.protocol = Some(kind);
            rest = &rest[name.len()..];
        }
    }
    let (host, ports) = rest.split_once(':').unwrap_or((rest, ""));
    wanted.host = host.strip_prefix('@').map(str::to_owned);
    for part in ports.split(',').filter(|p| !p.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let port = |p: &str| p.parse().ok().or_else(|| services::port(p, false));
        if let (Some(low), Some(high)) = (port(low), port(high)) {
            wanted.ports.extend(low..=high);
        }
    }
    wanted
}

fn accepts(wanted: &Wanted, s: &SocketInfo) -> bool {
    let ends = [Some(s.local), s.remote];
    let port = |a: &SocketAddr| wanted.ports.is_empty() || wanted.ports.contains(&a.port());
    let host = |a: &SocketAddr| wanted.host.as_ref().is_none_or(|h| a.ip().to_string() == *h);
    wanted.protocol.is_none_or(|k| k == s.kind) && ends.iter().flatten().any(|a| port(a) && host(a))
}

fn table(rows: &[&SocketInfo], owners: &Owners, numeric: bool) -> String {
    let address = |a: SocketAddr, udp: bool| {
        let host = match a.ip() {
            ip if ip.is_unspecified() => "*".to_owned(),
            ip if ip.is_ipv6() => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        match services::name(a.port(), udp).filter(|_| !numeric) {
            Some(name) => format!("{host}:{name}"),
            None => format!("{host}:{}", a.port()),
        }
    };
    let (mut fd, mut last) = (3, Pid(0));
    let mut cells: Vec<[String; 5]> = Vec::new();
    for s in rows {
        fd = if s.pid == last { fd + 1 } else { 3 };
        last = s.pid;
        let udp = s.kind == SocketKind::Udp;
        let remote = s.remote.map_or(String::new(), |r| format!("->{}", address(r, udp)));
        let state = if s.state.is_empty() { " ".to_owned() } else { format!(" ({})", s.state) };
        let program: String = owners.program(s.pid).chars().take(9).collect();
        let family = if s.local.is_ipv4() { "IPv4" } else { "IPv6" };
        let node = if udp { "UDP" } else { "TCP" };
        cells.push([
            program,
            s.pid.to_string(),
            fd.to_string(),
            (1_000 + s.id.index).to_string(),
            format!("{family}\u{0}{node} {}{remote}{}", address(s.local, udp), state.trim_end()),
        ]);
    }
    let width =
        |at: usize, least: usize| cells.iter().map(|c| c[at].len()).max().unwrap_or(0).max(least);
    let (w0, w1, w3) = (width(0, 7), width(1, 3), width(3, 6));
    let mut out = format!(
        "{:<w0$} {:>w1$} USER   FD   TYPE {:>w3$} SIZE/OFF NODE NAME\n",
        "COMMAND", "PID", "DEVICE"
    );
    for [program, pid, fd, device, rest] in &cells {
        let (family, name) = rest.split_once('\u{0}').unwrap_or(("IPv4", rest));
        out += &format!(
            "{program:<w0$} {pid:>w1$} root {fd:>4}u  {family} {device:>w3$}      0t0  {name}\n"
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections() {
        assert_eq!(parse("all"), Wanted::default());
        assert_eq!(parse(":80,443").ports, [80, 443]);
        let w = parse("TCP@10.0.0.1:http");
        assert_eq!(
            (w.protocol, w.host.as_deref(), &w.ports[..]),
            (Some(SocketKind::Tcp), Some("10.0.0.1"), &[80][..])
        );
        assert_eq!(parse("4udp:1-3").ports, [1, 2, 3]);
    }
}
