//! `getent hosts|ahosts`: what the host's library makes of a name or an address.

use core::net::IpAddr;
use std::fmt::Write as _;

use netarium_world::process::{LocalBoxFuture, Process};

use super::stub;

const USAGE: &str = "Usage: getent [OPTION...] database [key ...]
Get entries from administrative database.

Supported databases:
ahosts hosts
";
/// A key was not found.
const NOT_FOUND: i32 = 2;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
        let (database, keys) = match words.as_slice() {
            ["--help" | "-?", ..] => {
                process.print(USAGE).await;
                return 0;
            }
            [database @ ("hosts" | "ahosts"), keys @ ..] if !keys.is_empty() => (*database, keys),
            [database, ..] if !matches!(*database, "hosts" | "ahosts") => {
                let hint = "Try `getent --help' or `getent --usage' for more information.";
                process.eprint(&format!("Unknown database: {database}\n{hint}\n")).await;
                return 1;
            }
            _ => {
                process.eprint("getent: wrong number of arguments\n").await;
                return 1;
            }
        };
        let mut code = 0;
        for key in keys {
            let found = if database == "hosts" {
                host(&process, key).await
            } else {
                sockets(&process, key).await
            };
            match found {
                Some(text) => process.print(&text).await,
                None => code = NOT_FOUND,
            }
        }
        code
    })
}

/// Addresses with the name; of an address its name.
async fn host(process: &Process, key: &str) -> Option<String> {
    if let Ok(address) = key.parse::<IpAddr>() {
        let name = stub::reverse(process, address).await?;
        return Some(format!("{address:<15} {name}\n"));
    }
    let found = process.resolve(key).await.ok()?;
    Some(found.iter().map(|ip| format!("{ip:<15} {key}\n")).collect())
}

/// The answers of `getaddrinfo`: each address for each kind of socket.
async fn sockets(process: &Process, key: &str) -> Option<String> {
    let found = process.resolve(key).await.ok()?;
    let mut out = String::new();
    for (n, ip) in found.iter().enumerate() {
        for (kind, name) in
            [("STREAM", if n == 0 { key } else { "" }), ("DGRAM ", ""), ("RAW   ", "")]
        {
            let _ = writeln!(out, "{ip:<15} {kind} {name}");
        }
    }
    Some(out)
}
