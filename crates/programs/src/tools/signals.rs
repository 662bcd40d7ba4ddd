//! `kill`.

use netarium_base::Pid;
use netarium_world::process::{LocalBoxFuture, Process};

const USAGE: &str = "\nUsage:\n kill [-<signal>] <pid> [...]\n";

/// The signals a lab process knows.
const SIGNALS: &[(&str, u8)] = &[("HUP", 1), ("INT", 2), ("KILL", 9), ("TERM", 15)];

/// `kill [-SIGNAL] PID…`, `kill -l`.
pub(crate) fn kill(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match parse(args.get(1..).unwrap_or_default()) {
            Ok(None) => {
                process.print("HUP INT KILL TERM\n").await;
                0
            }
            Ok(Some((signal, pids))) => {
                let mut code = 0;
                for pid in pids {
                    if !process.kill(Pid(pid), signal) {
                        process.eprint(&format!("kill: ({pid}): No such process\n")).await;
                        code = 1;
                    }
                }
                code
            }
            Err(why) => {
                process.eprint(&why).await;
                1
            }
        }
    })
}

/// The signal and the processes; `None` for `-l`.
fn parse(args: &[String]) -> Result<Option<(u8, Vec<u32>)>, String> {
    let (mut signal, mut pids) = (15, Vec::new());
    let mut words = args.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some("l" | "L") => return Ok(None),
            Some("s") => signal = named(words.next().unwrap_or_default())?,
            Some(name) => signal = named(name)?,
            None => {
                let bad = |_| format!("kill: failed to parse argument: '{word}'\n");
                pids.push(word.parse().map_err(bad)?);
            }
        }
    }
    if pids.is_empty() { Err(USAGE.to_owned()) } else { Ok(Some((signal, pids))) }
}

fn named(name: &str) -> Result<u8, String> {
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = |&&(n, number): &&(&str, u8)| n == plain || number.to_string() == plain;
    if plain == "0" {
        return Ok(0);
    }
    SIGNALS
        .iter()
        .find(known)
        .map(|s| s.1)
        .ok_or_else(|| format!("kill: invalid argument {name}\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn signals_by_name_and_number() {
        let of = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            parse(&args)
        };
        assert_eq!(of("100 101"), Ok(Some((15, vec![100, 101]))));
        assert_eq!(of("-9 1"), Ok(Some((9, vec![1]))));
        assert_eq!(of("-SIGINT 1"), Ok(Some((2, vec![1]))));
        assert_eq!(of("-s hup 1"), Ok(Some((1, vec![1]))));
        assert_eq!(of("-0 1"), Ok(Some((0, vec![1]))));
        assert_eq!(of("-l"), Ok(None));
        for bad in ["", "abc", "-FOO 1", "-9"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
