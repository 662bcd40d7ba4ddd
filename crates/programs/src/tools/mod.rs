//! Small programs for scripts and shells: `cat`, `ls`, `echo`, `sleep`, `kill`, `hostname`, `true`,
//! `false`, with the messages and exit codes of GNU coreutils and procps.

pub(crate) mod echo;
pub(crate) mod ends;
mod files;
pub(crate) mod grep;
pub(crate) mod input;
pub(crate) mod lines;
pub(crate) mod manage;
pub(crate) mod printf;
pub(crate) mod signals;
pub(crate) mod system;
pub(crate) mod test;

use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process};

pub(crate) use files::{cat, ls};
pub(crate) use signals::kill;

/// `true`.
pub(crate) fn succeed(_: Process) -> LocalBoxFuture<i32> {
    Box::pin(async { 0 })
}

/// `false`.
pub(crate) fn fail(_: Process) -> LocalBoxFuture<i32> {
    Box::pin(async { 1 })
}

/// `sleep SECONDS`, also `2m`, `0.5s`…; several are added up.
pub(crate) fn sleep(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let hint = "Try 'sleep --help' for more information.";
        if args.len() < 2 {
            process.eprint(&format!("sleep: missing operand\n{hint}\n")).await;
            return 1;
        }
        let mut total = Duration::ZERO;
        for word in &args[1..] {
            match span(word) {
                Some(span) => total += span,
                None => {
                    let text = format!("sleep: invalid time interval ‘{word}’\n{hint}\n");
                    process.eprint(&text).await;
                    return 1;
                }
            }
        }
        process.sleep(total).await;
        0
    })
}

fn span(word: &str) -> Option<Duration> {
    if word == "infinity" {
        return Some(Duration::MAX);
    }
    let text =
        if word.ends_with(['s', 'm', 'h', 'd']) { word.to_owned() } else { format!("{word}s") };
    text.parse().ok()
}

/// `hostname`, `hostname -I`.
pub(crate) fn hostname(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match args.get(1).map(String::as_str) {
            None | Some("-s" | "-f" | "--short" | "--fqdn" | "--long") => {
                process.print(&format!("{}\n", process.host_name())).await;
                0
            }
            Some("-I" | "--all-ip-addresses") => {
                process.print(&format!("{}\n", own_addresses(&process))).await;
                0
            }
            Some(other) => {
                let usage = "Usage: hostname [-s|-f|-I]";
                let c = other.trim_start_matches('-').chars().next().unwrap_or('-');
                let text = if other.starts_with('-') {
                    format!("hostname: invalid option -- '{c}'\n{usage}\n")
                } else {
                    "hostname: a host's name is set in the lab file\n".to_owned()
                };
                process.eprint(&text).await;
                255
            }
        }
    })
}

/// All addresses but loopback's, each with a blank behind it.
fn own_addresses(process: &Process) -> String {
    process.with_stack(|stack, _| {
        let real = stack.interfaces().iter().filter(|i| i.index.0 != 1);
        real.flat_map(|i| i.addresses.iter()).map(|a| format!("{} ", a.address())).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::span;
    use netarium_base::Duration;

    #[test]
    fn intervals_are_coreutils() {
        for (word, ms) in [("1", 1_000), ("0.5", 500), ("2m", 120_000), ("1.5s", 1_500)] {
            assert_eq!(span(word), Some(Duration::from_millis(ms)), "{word}");
        }
        for bad in ["", "abc", "1x", "-1"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
