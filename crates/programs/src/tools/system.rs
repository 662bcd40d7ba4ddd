//! `date`, `uptime`, `env`, `printenv`, `whoami`, `id`, `uname`, `pwd`: what a host is, in
//! virtual time; and Windows' `tasklist` and `taskkill`.

use std::fmt::Write as _;

use netarium_base::Pid;
use netarium_world::process::{LocalBoxFuture, Process, ProcessInfo, Programs, Spawn, signal};

use super::input::usage;
use crate::calendar::Date;

/// `date [-u] [-d @SECONDS] [-I] [-R] [+FORMAT]`; hosts live in UTC.
pub(crate) fn date(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
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
            Some(other) if other.starts_with('-') => {
                let why = format!("invalid option -- '{}'", other.trim_start_matches('-'));
                return usage(&process, "uptime", &why, 1).await;
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
        process.print("root\n").await;
        0
    })
}

/// `id [-u|-g|-un]`
pub(crate) fn id(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
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
        process.print(&format!("{}\n", process.cwd())).await;
        0
    })
}

/// `uname [-asnrvmo]`
pub(crate) fn uname(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
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

/// A process as Windows lists it.
fn image(p: &ProcessInfo) -> String {
    format!("{}.exe", p.name.rsplit('/').next().unwrap_or(&p.name))
}

/// A condition of `/FI`: `PID eq 100`, `IMAGENAME eq httpd.exe`.
fn condition(text: &str) -> Result<impl Fn(&ProcessInfo) -> bool + use<>, String> {
    let bad = "ERROR: The search filter cannot be recognized.\n";
    let mut words = text.split_whitespace();
    let (Some(key), Some(op), Some(value), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad.to_owned());
    };
    let (key, op) = (key.to_ascii_uppercase(), op.to_ascii_lowercase());
    let value = value.to_ascii_lowercase();
    let number = value.parse::<u32>().ok();
    let known = match key.as_str() {
        "PID" => number.is_some() && matches!(op.as_str(), "eq" | "ne" | "gt" | "lt" | "ge" | "le"),
        "IMAGENAME" | "STATUS" => matches!(op.as_str(), "eq" | "ne"),
        _ => false,
    };
    if !known {
        return Err(bad.to_owned());
    }
    Ok(move |p: &ProcessInfo| {
        let (have, wanted) = (p.pid.0, number.unwrap_or(0));
        let same = match key.as_str() {
            "PID" => have == wanted,
            "STATUS" => value == if p.stopped { "suspended" } else { "running" },
            _ => match value.strip_suffix('*') {
                Some(start) => image(p).to_ascii_lowercase().starts_with(start),
                None => image(p).eq_ignore_ascii_case(&value),
            },
        };
        match op.as_str() {
            "eq" => same,
            "ne" => !same,
            "gt" => have > wanted,
            "lt" => have < wanted,
            "ge" => have >= wanted,
            _ => have <= wanted,
        }
    })
}

/// `tasklist [/FI "PID eq N"] [/FO TABLE|LIST|CSV] [/NH]`, as Windows prints it.
pub(crate) fn tasklist(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let mut rows = process.processes();
        let (mut format, mut header) = ("table".to_owned(), true);
        let mut words = args.iter().skip(1);
        while let Some(word) = words.next() {
            match word.to_ascii_uppercase().as_str() {
                "/FI" => match condition(words.next().map_or("", String::as_str)) {
                    Ok(keep) => rows.retain(keep),
                    Err(why) => {
                        process.eprint(&why).await;
                        return 1;
                    }
                },
                "/FO" => format = words.next().map_or(String::new(), |w| w.to_ascii_lowercase()),
                "/NH" => header = false,
                "/V" | "/SVC" => {}
                _ => {
                    let text = format!(
                        "ERROR: Invalid argument/option - '{word}'.\nType \"TASKLIST /?\" for usage.\n"
                    );
                    process.eprint(&text).await;
                    return 1;
                }
            }
        }
        if rows.is_empty() {
            process.print("INFO: No tasks are running which match the specified criteria.\n").await;
            return 0;
        }
        process.print(&tasks(&rows, &format, header)).await;
        0
    })
}

fn tasks(rows: &[ProcessInfo], format: &str, header: bool) -> String {
    let mut out = String::new();
    let session = |p: &ProcessInfo| if p.session { ("Console", 1) } else { ("Services", 0) };
    if format == "table" {
        out.push('\n');
        if header {
            out += "Image Name                     PID Session Name        Session#    Mem Usage\n";
            out += "========================= ======== ================ =========== ============\n";
        }
    } else if format == "csv" && header {
        out += "\"Image Name\",\"PID\",\"Session Name\",\"Session#\",\"Mem Usage\"\n";
    }
    for p in rows {
        let (name, number) = session(p);
        let (image, pid) = (image(p), p.pid.0);
        let _ = match format {
            "csv" => writeln!(out, "\"{image}\",\"{pid}\",\"{name}\",\"{number}\",\"0 K\""),
            "list" => writeln!(
                out,
                "\nImage Name:   {image}\nPID:          {pid}\nSession Name: {name}\nSession#:     {number}\nMem Usage:    0 K"
            ),
            _ => writeln!(out, "{image:<25} {pid:>8} {name:<16} {number:>11} {:>12}", "0 K"),
        };
    }
    out
}

/// `taskkill [/F] [/T] /PID N… | /IM NAME…`, in Windows' words.
pub(crate) fn taskkill(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let (mut force, mut tree, mut wanted) = (false, false, Vec::new());
        let mut words = args.iter().skip(1);
        while let Some(word) = words.next() {
            match word.to_ascii_uppercase().as_str() {
                "/F" => force = true,
                "/T" => tree = true,
                key @ ("/PID" | "/IM") => {
                    wanted.push((key == "/PID", words.next().cloned().unwrap_or_default()));
                }
                _ => {
                    let text = format!(
                        "ERROR: Invalid argument/option - '{word}'.\nType \"TASKKILL /?\" for usage.\n"
                    );
                    process.eprint(&text).await;
                    return 1;
                }
            }
        }
        if wanted.is_empty() {
            let text = "ERROR: Invalid syntax. Neither /FI nor /PID nor /IM were specified.\nType \"TASKKILL /?\" for usage.\n";
            process.eprint(text).await;
            return 1;
        }
        let all = process.processes();
        let number = if force { signal::KILL } else { signal::TERM };
        let mut code = 0;
        for (by_pid, word) in wanted {
            let fits = |p: &&ProcessInfo| {
                if by_pid {
                    p.pid.to_string() == word
                } else {
                    image(p).eq_ignore_ascii_case(&word) || p.name == word
                }
            };
            let found: Vec<&ProcessInfo> = all.iter().filter(fits).collect();
            if found.is_empty() {
                process.eprint(&format!("ERROR: The process \"{word}\" not found.\n")).await;
                code = 128;
            }
            for p in found {
                if tree {
                    for child in all.iter().filter(|c| c.ppid == p.pid) {
                        process.kill(child.pid, number);
                    }
                }
                process.kill(p.pid, number);
                let end = if force { "has been terminated." } else { "" };
                let text = match (by_pid, force) {
                    (true, true) => format!("SUCCESS: The process with PID {word} {end}\n"),
                    (true, false) => format!(
                        "SUCCESS: Sent termination signal to the process with PID {word}.\n"
                    ),
                    (false, true) => {
                        format!("SUCCESS: The process \"{word}\" with PID {} {end}\n", p.pid)
                    }
                    (false, false) => format!(
                        "SUCCESS: Sent termination signal to the process \"{word}\" with PID {}.\n",
                        p.pid
                    ),
                };
                process.print(&text).await;
            }
        }
        code
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::Instant;

    fn process(pid: u32, name: &str) -> ProcessInfo {
        ProcessInfo {
            pid: Pid(pid),
            ppid: Pid(1),
            name: name.into(),
            command: name.into(),
            started: Instant::ZERO,
            daemon: true,
            group: Pid(pid),
            stopped: false,
            session: false,
        }
    }

    #[test]
    fn tasklist_is_windows() {
        insta::assert_snapshot!(tasks(&[process(1234, "httpd")], "table", true), @r"

        Image Name                     PID Session Name        Session#    Mem Usage
        ========================= ======== ================ =========== ============
        httpd.exe                     1234 Services                   0          0 K
        ");
        let keep = |text: &str| condition(text).map(|f| f(&process(1234, "httpd")));
        assert_eq!(keep("PID eq 1234"), Ok(true));
        assert_eq!(keep("pid ne 1234"), Ok(false));
        assert_eq!(keep("IMAGENAME eq HTTPD.EXE"), Ok(true));
        assert_eq!(keep("imagename eq http*"), Ok(true));
        assert!(keep("PID eq x").is_err() && keep("PID").is_err() && keep("FOO eq 1").is_err());
    }

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
