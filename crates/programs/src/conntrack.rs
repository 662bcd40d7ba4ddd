//! `conntrack`: the flows that the host tracks, as conntrack-tools 1.4.7 prints them.
//!
//! `-L` lists, `-C` counts, `-D` and `-F` forget; `-p`, `-s`, `-d`, `--sport`, `--dport`, `--state`,
//! `-n` and `-g` choose among them.

use core::net::IpAddr;
use std::fmt::Write as _;

use netarium_base::Instant;
use netarium_filter::{SessionView, Tuple};
use netarium_stack::Stack;
use netarium_wire::protocol;
use netarium_world::process::{LocalBoxFuture, Process};

const VERSION: &str = "conntrack v1.4.7 (conntrack-tools)";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    List,
    Count,
    Delete,
    Flush,
    Version,
}

/// Which flows are meant; absent parts mean all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Choice {
    protocol: Option<u8>,
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    sport: Option<u16>,
    dport: Option<u16>,
    state: Option<String>,
    source_nat: bool,
    destination_nat: bool,
}

impl Choice {
    fn picks(&self, v: &SessionView) -> bool {
        let t = &v.original;
        self.protocol.is_none_or(|p| p == t.protocol)
            && self.src.is_none_or(|a| a == t.src)
            && self.dst.is_none_or(|a| a == t.dst)
            && self.sport.is_none_or(|p| p == t.sport)
            && self.dport.is_none_or(|p| p == t.dport)
            && self.state.as_ref().is_none_or(|s| v.tcp.is_some_and(|t| t.name() == s))
            && (!self.source_nat || v.source_translated)
            && (!self.destination_nat || v.destination_translated)
    }
}

fn protocol_number(word: &str) -> Option<u8> {
    match word.to_ascii_lowercase().as_str() {
        "tcp" => Some(protocol::TCP),
        "udp" => Some(protocol::UDP),
        "icmp" => Some(protocol::ICMP),
        other => other.parse().ok(),
    }
}

fn parse(args: &[String]) -> Result<(Verb, Choice), String> {
    let (mut verb, mut choice) = (None, Choice::default());
    let mut words = args.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let mut command = |v: Verb| match verb.replace(v) {
            Some(_) => Err("Can't use two commands at once".to_owned()),
            None => Ok(()),
        };
        match word {
            "-L" | "--dump" => command(Verb::List)?,
            "-C" | "--count" => command(Verb::Count)?,
            "-D" | "--delete" => command(Verb::Delete)?,
            "-F" | "--flush" => command(Verb::Flush)?,
            "-V" | "--version" => command(Verb::Version)?,
            "-n" | "--src-nat" => choice.source_nat = true,
            "-g" | "--dst-nat" => choice.destination_nat = true,
            "conntrack" if verb.is_some() => {}
            _ => {
                let unknown = || format!("unknown option `{word}'");
                let known = [
                    "-p",
                    "--proto",
                    "-s",
                    "--src",
                    "--orig-src",
                    "-d",
                    "--dst",
                    "--orig-dst",
                    "--sport",
                    "--orig-port-src",
                    "--dport",
                    "--orig-port-dst",
                    "--state",
                ];
                if !known.contains(&word) {
                    return Err(unknown());
                }
                let missing = || format!("option `{word}' requires an argument");
                choice.set(word, words.next().ok_or_else(missing)?)?;
            }
        }
    }
    let verb = verb.ok_or("You need to supply parameters")?;
    Ok((verb, choice))
}

impl Choice {
    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        let address = || value.parse().map_err(|_| format!("Invalid IP address `{value}'"));
        let port = || value.parse().map_err(|_| format!("Invalid port `{value}'"));
        match option {
            "-p" | "--proto" => {
                let bad = || format!("`{value}' unsupported protocol");
                self.protocol = Some(protocol_number(value).ok_or_else(bad)?);
            }
            "-s" | "--src" | "--orig-src" => self.src = Some(address()?),
            "-d" | "--dst" | "--orig-dst" => self.dst = Some(address()?),
            "--sport" | "--orig-port-src" => self.sport = Some(port()?),
            "--dport" | "--orig-port-dst" => self.dport = Some(port()?),
            _ => self.state = Some(value.to_ascii_uppercase()),
        }
        Ok(())
    }
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args().get(1..).unwrap_or_default().to_vec();
        match parse(&args) {
            Ok((verb, choice)) => {
                let (out, err) = process.with_stack(|stack, cx| obey(stack, cx.now, verb, &choice));
                process.print(&out).await;
                process.eprint(&err).await;
                0
            }
            Err(why) => {
                let hint = "Try `conntrack -h' or 'conntrack --help' for more information.";
                process.eprint(&format!("{VERSION}: {why}\n{hint}\n")).await;
                2
            }
        }
    })
}

fn obey(stack: &mut Stack, now: Instant, verb: Verb, choice: &Choice) -> (String, String) {
    let summary = |n: usize, what: &str| format!("{VERSION}: {n} flow entries have been {what}.\n");
    let (mut out, mut count) = (String::new(), 0);
    let Some(filter) = stack.filter_mut() else {
        return match verb {
            Verb::Count => ("0\n".to_owned(), String::new()),
            Verb::Version => (format!("{VERSION}\n"), String::new()),
            Verb::Flush => {
                (String::new(), format!("{VERSION}: connection tracking table has been emptied.\n"))
            }
            Verb::List => (out, summary(0, "shown")),
            Verb::Delete => (out, summary(0, "deleted")),
        };
    };
    match verb {
        Verb::Version => (format!("{VERSION}\n"), String::new()),
        Verb::Count => (format!("{}\n", filter.session_count()), String::new()),
        Verb::Flush => {
            filter.forget(now, |_| true);
            (out, format!("{VERSION}: connection tracking table has been emptied.\n"))
        }
        Verb::List => {
            for view in filter.sessions(now).filter(|v| choice.picks(v)) {
                out.push_str(&line(&view));
                count += 1;
            }
            (out, summary(count, "shown"))
        }
        Verb::Delete => {
            for view in filter.sessions(now).filter(|v| choice.picks(v)) {
                out.push_str(&line(&view));
            }
            count += filter.forget(now, |v| choice.picks(v));
            (out, summary(count, "deleted"))
        }
    }
}

/// A flow in a line.
fn line(v: &SessionView) -> String {
    let name = match v.original.protocol {
        protocol::TCP => "tcp",
        protocol::UDP => "udp",
        protocol::ICMP => "icmp",
        _ => "unknown",
    };
    let mut out = format!("{name:<8} {} {} ", v.original.protocol, v.remaining.as_secs());
    if let Some(state) = v.tcp {
        let _ = write!(out, "{} ", state.name());
    }
    out.push_str(&tuple(&v.original));
    out.push_str(if v.replied { "" } else { "[UNREPLIED] " });
    out.push_str(&tuple(&v.reply));
    out.push_str(if v.assured { "[ASSURED] " } else { "" });
    out.push_str("mark=0 use=1\n");
    out
}

fn tuple(t: &Tuple) -> String {
    let mut out = format!("src={} dst={} ", t.src, t.dst);
    let _ = match t.protocol {
        protocol::TCP | protocol::UDP => write!(out, "sport={} dport={} ", t.sport, t.dport),
        protocol::ICMP => {
            write!(out, "type={} code=0 id={} ", t.icmp, t.sport.max(t.dport))
        }
        _ => Ok(()),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_choose_and_wrong_ones_are_refused() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (verb, choice) =
            parse(&words("-L conntrack -p tcp -d 10.0.0.7 --dport 80 --state established"))
                .unwrap();
        assert_eq!(verb, Verb::List);
        assert_eq!((choice.protocol, choice.dport), (Some(6), Some(80)));
        assert_eq!(choice.state.as_deref(), Some("ESTABLISHED"));
        for bad in ["-x", "-L -p", "-L -p foo", "-L -C", "-L --dport x", "-s 1.2.3.4"] {
            assert!(parse(&words(bad)).is_err(), "{bad}");
        }
    }
}
