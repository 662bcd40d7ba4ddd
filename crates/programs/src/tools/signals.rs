//! `kill`.

use netarium_base::Pid;
use netarium_world::process::{LocalBoxFuture, Process};

const USAGE: &str = "\nUsage:\n kill [options] <pid> [...]\n\nOptions:\n \
 <pid> [...]            send signal to every <pid> listed\n \
 -<signal>, -s, --signal <signal>\n                        specify the <signal> to be sent\n \
 -q, --queue <value>    integer value to be sent with the signal\n \
 -l, --list=[<signal>]  list all signal names, or convert one to a name\n \
 -L, --table            list all signal names in a nice table\n\n \
 -h, --help     display this help and exit\n \
 -V, --version  output version information and exit\n\n\
For more details see kill(1).\n";

/// The signals of Linux by number, from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "POLL", "PWR", "SYS",
];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// To print this.
    List(String),
    /// `-l` of a signal that there is not: to say so, which is no failure.
    Unlisted(String),
    /// To send a signal to processes, groups (`-PID`) and jobs (`%1`).
    Send(u8, Vec<String>),
}

/// `kill [-SIGNAL] PID…`, `kill -l`.
pub(crate) fn kill(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match parse(args.get(1..).unwrap_or_default()) {
            Ok(Request::List(text)) => {
                process.print(&text).await;
                0
            }
            Ok(Request::Unlisted(word)) => {
                process.eprint(&format!("kill: unknown signal name {word}\n")).await;
                0
            }
            Ok(Request::Send(signal, whom)) => {
                let mut code = 0;
                for word in whom {
                    if word.parse::<i64>().is_err() {
                        let text = format!("kill: failed to parse argument: '{word}'\n");
                        process.eprint(&text).await;
                        code = 1;
                    } else if !send(&process, &word, signal) {
                        process.eprint(&format!("kill: ({word}): No such process\n")).await;
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

/// Sends a signal to a process, or to a group when the number is negative. False: nobody is there.
pub(crate) fn send(process: &Process, word: &str, signal: u8) -> bool {
    let (group, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    match digits.parse().map(Pid) {
        Ok(pid) if group => process.kill_group(pid, signal),
        Ok(pid) => process.kill(pid, signal),
        Err(_) => false,
    }
}

/// Reads a command line without its first word.
pub(crate) fn parse(args: &[String]) -> Result<Request, String> {
    let mut words = args.iter().map(String::as_str).peekable();
    let mut signal = 15;
    match words.peek().copied() {
        Some("-l" | "--list") => {
            words.next();
            return Ok(list(words.next()));
        }
        Some("-L" | "--table") => return Ok(Request::List(table())),
        Some("-h" | "--help") => return Ok(Request::List(USAGE.to_owned())),
        Some("-V" | "--version") => {
            return Ok(Request::List("kill from procps-ng 4.0.2\n".to_owned()));
        }
        Some("-s" | "-n" | "--signal") => {
            words.next();
            signal = named(words.next().unwrap_or_default())?;
        }
        Some("--") => {}
        Some(word) if word.starts_with('-') && word.len() > 1 => {
            words.next();
            // The original complains about the first letter of what it cannot read.
            let letter = |_| wrong(&word[1..].chars().take(1).collect::<String>());
            signal = named(word.trim_start_matches('-')).map_err(letter)?;
        }
        _ => {}
    }
    if matches!(words.peek(), Some(&("-q" | "--queue"))) {
        // Nobody here reads the value that comes with a signal.
        words.next();
        words.next();
    }
    if words.peek() == Some(&"--") {
        words.next();
    }
    let whom: Vec<String> = words.map(str::to_owned).collect();
    if whom.is_empty() { Err(USAGE.to_owned()) } else { Ok(Request::Send(signal, whom)) }
}

/// All names as procps prints them, or one signal's name, number, or that of an exit code.
fn list(which: Option<&str>) -> Request {
    let Some(which) = which else {
        let mut lines = String::new();
        for (n, name) in NAMES.iter().enumerate() {
            lines += name;
            lines.push(if n + 1 == NAMES.len() || n % 16 == 15 { '\n' } else { ' ' });
        }
        return Request::List(lines);
    };
    let found = match which.parse::<usize>() {
        Ok(number) => {
            let number = if number > 128 { number - 128 } else { number };
            let name = number.checked_sub(1).and_then(|n| NAMES.get(n));
            name.map(|n| format!("{n}\n"))
        }
        Err(_) => named(which).ok().map(|n| format!("{n}\n")),
    };
    found.map_or_else(|| Request::Unlisted(which.to_owned()), Request::List)
}

/// `kill -L`: numbers and names, seven in a row.
fn table() -> String {
    let mut lines = String::new();
    for (n, name) in NAMES.iter().enumerate() {
        let cell = format!("{:>2} {name:<8}", n + 1);
        let last = n % 7 == 6 || n + 1 == NAMES.len();
        lines += if last { cell.trim_end() } else { &cell };
        lines.push(if last { '\n' } else { ' ' });
    }
    lines
}

fn named(name: &str) -> Result<u8, String> {
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Ok(number) = plain.parse::<u8>()
        && usize::from(number) <= NAMES.len()
    {
        return Ok(number);
    }
    match NAMES.iter().position(|n| *n == plain) {
        Some(at) => Ok(at as u8 + 1),
        None => Err(wrong(name)),
    }
}

fn wrong(argument: &str) -> String {
    format!("kill: invalid argument {argument}\n{USAGE}")
}

#[cfg(test)]
mod tests {
    use super::{Request, parse};

    #[test]
    fn signals_by_name_and_number() {
        let of = |line: &str| {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            parse(&args)
        };
        let send = |signal, whom: &[&str]| {
            Ok(Request::Send(signal, whom.iter().map(|w| (*w).to_owned()).collect()))
        };
        assert_eq!(of("100 101"), send(15, &["100", "101"]));
        assert_eq!(of("-9 1"), send(9, &["1"]));
        assert_eq!(of("-SIGINT 1"), send(2, &["1"]));
        assert_eq!(of("-s hup 1"), send(1, &["1"]));
        assert_eq!(of("-0 1"), send(0, &["1"]));
        assert_eq!(of("-TERM -- -100 %2"), send(15, &["-100", "%2"]));
        assert_eq!(of("-l 9"), Ok(Request::List("KILL\n".to_owned())));
        assert_eq!(of("-l 143"), Ok(Request::List("TERM\n".to_owned())));
        assert_eq!(of("-l usr1"), Ok(Request::List("10\n".to_owned())));
        let Ok(Request::List(all)) = of("-l") else { panic!("a list") };
        assert!(all.starts_with("HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 "), "{all}");
        for unlisted in ["99", "nothing", "0"] {
            let line = format!("-l {unlisted}");
            assert_eq!(of(&line), Ok(Request::Unlisted(unlisted.to_owned())), "{line}");
        }
        for bad in ["", "-FOO 1", "-9"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
