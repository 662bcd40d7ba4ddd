//! The layout of Windows' `netstat`: what `-ano` is typed for.

use core::net::SocketAddr;
use std::fmt::Write as _;

use netarium_stack::{SocketInfo, SocketKind};

use super::Flags;

/// The table of sockets; a listener's row is shown with `-a`.
pub(super) fn sockets(flags: &Flags, sockets: &[SocketInfo]) -> String {
    let head = "  Proto  Local Address          Foreign Address        State";
    let pid = if flags.timers { "           PID" } else { "" };
    let mut out = format!("\nActive Connections\n\n{head}{pid}\n");
    for s in flags.wanted(sockets) {
        let (proto, foreign) = match (s.kind, s.remote) {
            (SocketKind::Tcp, remote) => {
                ("TCP", remote.unwrap_or_else(|| any(s.local)).to_string())
            }
            (_, Some(remote)) => ("UDP", remote.to_string()),
            (_, None) => ("UDP", "*:*".to_owned()),
        };
        let (local, state) = (s.local.to_string(), state(s.state));
        let row = format!("  {proto:<5}  {local:<21}  {foreign:<21}  ");
        // `-o` of Windows.
        let _ = match flags.timers {
            true => writeln!(out, "{row}{state:<14}  {}", s.pid),
            false => writeln!(out, "{row}{state}"),
        };
    }
    out
}

fn any(local: SocketAddr) -> SocketAddr {
    let any: [&str; 2] = ["0.0.0.0:0", "[::]:0"];
    any[usize::from(local.is_ipv6())].parse().unwrap_or(local)
}

/// Windows' name of a state.
fn state(linux: &str) -> &str {
    match linux {
        "LISTEN" => "LISTENING",
        "SYN_RECV" => "SYN_RECEIVED",
        "FIN_WAIT1" => "FIN_WAIT_1",
        "FIN_WAIT2" => "FIN_WAIT_2",
        same => same,
    }
}
