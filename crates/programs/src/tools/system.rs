//! `date`, `uptime`, `env`, `printenv`, `whoami`, `id`, `uname`, `pwd`: what a host is, in
//! virtual time.

use std::fmt::Write as _;

use netarium_base::Pid;
use netarium_world::process::{LocalBoxFuture, Process, Programs, Spawn};

use super::help::answered;
use super::input::usage;
use crate::calendar::Date;

/// `date [-u] [-d @SECONDS] [-I] [-R] [+FORMAT]`; hosts live in UTC.
pub(crate) fn date(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        if answered(&process, "date").await {
            return 0;
        }
        let args = process.args();
        let mut nanos = process.unix_time();
        let mut format = "%a %b %e %H:%M:%S UTC %Y".to_owned();
        let mut words = args.iter().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "-u" | "--utc" | "--universal" => {}
                "-I" => "%Y-%m-%d".clone_into(&mut format),
                "-Is" | "-Iseconds" => "%Y-%m-%dT%H:%M:%S+00:00".clone_into(&mut format),
                "-R" => "%a, %d %b %Y %H:%M:%S +0000".clone_into(&mut format),
                "-d" => {
                    let value = words.next().map_or("", String::as_str);
                    let seconds = value.strip_prefix('@').and_then(|s| s.parse::<u64>().ok());
                    match seconds.and_then(|s| s.checked_mul(1_000_000_000)) {
                        Some(at) => nanos = at,
                        None if value == "now" => {}
                        None => {
                            process.eprint(&format!("date: invalid date ‘{value}’\n")).await;
                            return 1;
                        }
                    }
                }
                text if text.starts_with('+') => text[1..].clone_into(&mut format),
                text if text.starts_with('-') => {
                    let why = format!("invalid option -- '{}'", text.trim_start_matches('-'));
                    return usage(&process, "date", &why, 1).await;
                }
                text => {
                    process.eprint(&format!("date: invalid date ‘{text}’\n")).await;
                    return 1;
                }
            }
        }
        process.print(&format!("{}\n", strftime(&format, nanos))).await;
        0
    })
}

/// A point in time, nanoseconds since 1970, in the words of `strftime(3)`.
fn strftime(format: &str, nanos: u64) -> String {
    const DAYS: [&str; 7] =
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let seconds = nanos / 1_000_000_000;
    let d = Date::from_unix(seconds);
    let (day, month) = (DAYS[usize::from(d.weekday) % 7], MONTHS[usize::from(d.month - 1) % 12]);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let _ = match chars.next() {
            Some('a') => write!(out, "{}", &day[..3]),
            Some('A') => write!(out, "{day}"),
            Some('b' | 'h') => write!(out, "{}", &month[..3]),
            Some('B') => write!(out, "{month}"),
            Some('d') => write!(out, "{:02}", d.day),
            Some('e') => write!(out, "{:>2}", d.day),
            Some('D') => write!(out, "{:02}/{:02}/{:02}", d.month, d.day, d.year % 100),
            Some('F') => write!(out, "{}-{:02}-{:02}", d.year, d.month, d.day),
            Some('H') => write!(out, "{:02}", d.hour),
            Some('I') => write!(out, "{:02}", (d.hour + 11) % 12 + 1),
            Some('m') => write!(out, "{:02}", d.month),
            Some('M') => write!(out, "{:02}", d.minute),
            Some('n') => writeln!(out),
            Some('N') => write!(out, "{:09}", nanos % 1_000_000_000),
            Some('p') => write!(out, "{}", if d.hour < 12 { "AM" } else { "PM" }),
            Some('s') => write!(out, "{seconds}"),
            Some('S') => write!(out, "{:02}", d.second),
            Some('T') => write!(out, "{:02}:{:02}:{:02}", d.hour, d.minute, d.second),
            Some('u') => write!(out, "{}", if d.weekday == 0 { 7 } else { d.weekday }),
            Some('w') => write!(out, "{}", d.weekday),
            Some('y') => write!(out, "{:02}", d.year % 100),
            Some('Y') => write!(out, "{}", d.year),
            Some('z') => write!(out, "+0000"),
            Some('Z') => write!(out, "UTC"),
            Some('%') => write!(out, "%"),
            Some(other) => write!(out, "%{other}"),
            None => write!(out, "%"),
        };
    }
    out
}

const UPTIME_USAGE: &str = "
Usage:
 uptime [options]

Options:
 -p, --pretty   show uptime in pretty format
 -h, --help     display this help and exit
 -s, --since    system up since
 -V, --version  output version information and exit

For more details see uptime(1).
";

/// `uptime [-p|-s]`: since the lab's start; nobody computes the load.
pub(crate) fn uptime(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let up = process.now().as_nanos() / 1_000_000_000;
        let (days, hours, minutes) = (up / 86_400, up / 3_600 % 24, up / 60 % 60);
        let text = match process.args().get(1).map(String::as_str) {
            Some("-s" | "--since") => {
                let start = process.unix_time() - process.now().as_nanos();
                strftime("%F %T", start)
            }
            Some("-p" | "--pretty") => {
                let part = |n: u64, name: &str| match n {
                    0 => None,
                    1 => Some(format!("1 {name}")),
                    n => Some(format!("{n} {name}s")),
                };
                let parts = [part(days, "day"), part(hours, "hour"), part(minutes, "minute")];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                if parts.is_empty() {
                    "up 0 minutes".to_owned()
                } else {
                    format!("up {}", parts.join(", "))
                }
            }
            Some("-h" | "--help") => {
                process.print(UPTIME_USAGE).await;
                return 0;
            }
            Some("-V" | "--version") => "uptime from procps-ng 4.0.2".to_owned(),
            Some(other) if other.starts_with('-') => {
                let why = match other.strip_prefix("--") {
                    Some(long) => format!("unrecognized option '--{long}'"),
                    None => format!("invalid option -- '{}'", &other[1..]),
                };
                process.eprint(&format!("uptime: {why}\n{UPTIME_USAGE}")).await;
                return 1;
            }
            _ => {
                let clock = strftime("%H:%M:%S", process.unix_time());
                let since = match (days, hours) {
                    (0, 0) => format!("{minutes} min"),
                    (0, _) => format!("{hours:>2}:{minutes:02}"),
                    (1, _) => format!("1 day, {hours:>2}:{minutes:02}"),
                    _ => format!("{days} days, {hours:>2}:{minutes:02}"),
                };
                let users =
                    process.processes().iter().filter(|p| p.session && p.ppid == Pid(1)).count();
                let user = if users == 1 { "user" } else { "users" };
                format!(" {clock} up {since},  {users} {user},  load average: 0.00, 0.00, 0.00")
            }
        };
        process.print(&format!("{text}\n")).await;
        0
    })
}

/// `env [-i] [NAME=VALUE]… [COMMAND…]`
pub(crate) fn env(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let mut environment = process.environment();
        let mut words = args.get(1..).unwrap_or_default();
        // What stands behind the command is the command's.
        if words.first().is_some_and(|w| w.starts_with("--")) && answered(&process, "env").await {
            return 0;
        }
        while let Some(word) = words.first() {
            if word == "-i" || word == "-" {
                environment.clear();
            } else if word == "-u" && words.len() > 1 {
                environment.remove(&words[1]);
                words = &words[1..];
            } else if let Some((name, value)) = word.split_once('=') {
                environment.insert(name.to_owned(), value.to_owned());
            } else {
                break;
            }
            words = &words[1..];
        }
        if words.is_empty() {
            let lines: String = environment.iter().map(|(n, v)| format!("{n}={v}\n")).collect();
            process.print(&lines).await;
            return 0;
        }
        match process.spawn_program(Spawn::new(words.to_vec()).env(environment)) {
            Ok(child) => child.wait().await,
            Err(e) => {
                let why = match e.code() {
                    127 => "No such file or directory".to_owned(),
                    _ => e.to_string(),
                };
                process.eprint(&format!("env: ‘{}’: {why}\n", words[0])).await;
                e.code()
            }
        }
    })
}

/// `printenv [NAME]…`
pub(crate) fn printenv(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        if answered(&process, "printenv").await {
            return 0;
        }
        let (args, environment) = (process.args(), process.environment());
        let names = args.get(1..).unwrap_or_default();
        if names.is_empty() {
            let lines: String = environment.iter().map(|(n, v)| format!("{n}={v}\n")).collect();
            process.print(&lines).await;
            return 0;
        }
        let mut code = 0;
        for name in names {
            match environment.get(name) {
                Some(value) => process.print(&format!("{value}\n")).await,
                None => code = 1,
            }
        }
        code
    })
}

/// `clear`: an empty screen, and nothing above it to scroll back to.
pub(crate) fn clear(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        process.print("\x1b[H\x1b[2J\x1b[3J").await;
        0
    })
}

/// `which NAME…`: 1 when one of them is no program.
pub(crate) fn which(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let mut code = i32::from(args.len() < 2);
        for name in &args[1..] {
            match crate::Builtin.start(name) {
                Some(_) if !name.contains('/') => {
                    process.print(&format!("/usr/bin/{name}\n")).await
                }
                _ => code = 1,
            }
        }
        code
    })
}

/// `whoami`
pub(crate) fn whoami(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        if answered(&process, "whoami").await {
            return 0;
        }
        process.print("root\n").await;
        0
    })
}

/// `id [-u|-g|-un]`
pub(crate) fn id(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        if answered(&process, "id").await {
            return 0;
        }
        let text = match process.args().get(1).map(String::as_str) {
            Some("-u" | "-g" | "-G") => "0\n",
            Some("-un" | "-gn" | "-nu" | "-ng") => "root\n",
            _ => "uid=0(root) gid=0(root) groups=0(root)\n",
        };
        process.print(text).await;
        0
    })
}

/// `pwd`
pub(crate) fn pwd(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        if answered(&process, "pwd").await {
            return 0;
        }
        process.print(&format!("{}\n", process.cwd())).await;
        0
    })
}

/// `uname [-asnrvmo]`
pub(crate) fn uname(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        if answered(&process, "uname").await {
            return 0;
        }
        let host = process.host_name();
        let all = [
            ('s', "Netarium"),
            ('n', host.as_str()),
            ('r', env!("CARGO_PKG_VERSION")),
            ('v', "#1 virtual"),
            ('m', "lab"),
            ('o', "Netarium"),
        ];
        let letters: String =
            process.args().iter().skip(1).flat_map(|a| a.chars().skip(1)).collect();
        let letters = match letters.as_str() {
            "" => "s".to_owned(),
            a if a.contains('a') => "snrvmo".to_owned(),
            other => other.to_owned(),
        };
        if let Some(bad) = letters.chars().find(|c| !all.iter().any(|(l, _)| l == c)) {
            return usage(&process, "uname", &format!("invalid option -- '{bad}'"), 1).await;
        }
        let parts = all.iter().filter(|(l, _)| letters.contains(*l)).map(|(_, text)| *text);
        process.print(&format!("{}\n", parts.collect::<Vec<_>>().join(" "))).await;
        0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let at = 1_795_356_857_123_000_000;
        assert_eq!(strftime("%a %b %e %H:%M:%S UTC %Y", at), "Sun Nov 22 14:14:17 UTC 2026");
        assert_eq!(
            strftime("%F %T.%N %s %I%p %j%", at),
            "2026-11-22 14:14:17.123000000 1795356857 02PM %j%"
        );
    }
}
