//! `ps`: the processes of a host. A lab has one user and no terminals; processor time is not
//! modelled and is 0. Without options all processes are shown.

use std::fmt::Write as _;

use netarium_world::process::{LocalBoxFuture, Process, ProcessInfo};

use crate::calendar::Date;

const USAGE: &str = "\nUsage:\n ps [-e] [-f]   or   ps aux\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Plain,
    Full,
    Aux,
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match layout(args.get(1..).unwrap_or_default()) {
            Ok(layout) => {
                let now = process.now().as_nanos();
                let epoch = process.unix_time().saturating_sub(now);
                process.print(&table(layout, &process.processes(), epoch)).await;
                0
            }
            Err("") => {
                process.print(USAGE).await;
                0
            }
            Err(why) => {
                process.eprint(&format!("error: {why}\n{USAGE}")).await;
                1
            }
        }
    })
}

/// Both grammars: `-ef` and `aux`. The error is what to say; nothing when the usage is asked for.
fn layout(args: &[String]) -> Result<Layout, &'static str> {
    let mut layout = Layout::Plain;
    for arg in args {
        if arg == "--help" {
            return Err("");
        }
        if arg.starts_with("--") {
            return Err("unknown gnu long option");
        }
        let unix = arg.starts_with('-');
        for c in arg.trim_start_matches('-').chars() {
            match (unix, c) {
                (true, 'f') => layout = Layout::Full,
                (_, 'u') => layout = Layout::Aux,
                (_, 'e' | 'A' | 'a' | 'x' | 'w') => {}
                (true, _) => return Err("unsupported SysV option"),
                (false, _) => return Err("unsupported option (BSD syntax)"),
            }
        }
    }
    Ok(layout)
}

/// `epoch`: the lab's start in nanoseconds since 1970.
fn table(layout: Layout, processes: &[ProcessInfo], epoch: u64) -> String {
    let mut out = match layout {
        Layout::Plain => "    PID TTY          TIME CMD\n",
        Layout::Full => "UID          PID    PPID  C STIME TTY          TIME CMD\n",
        Layout::Aux => {
            "USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n"
        }
    }
    .to_owned();
    for p in processes {
        let date = Date::from_unix(epoch.saturating_add(p.started.as_nanos()) / 1_000_000_000);
        let start = format!("{:02}:{:02}", date.hour, date.minute);
        let (pid, ppid, tty) = (p.pid.0, p.ppid.0, "?");
        let _ = match layout {
            Layout::Plain => writeln!(out, "{pid:>7} {tty:<8} 00:00:00 {}", p.name),
            Layout::Full => {
                let command = &p.command;
                writeln!(out, "root     {pid:>7} {ppid:>7}  0 {start} {tty:<8} 00:00:00 {command}")
            }
            Layout::Aux => {
                let zero = 0;
                let command = &p.command;
                writeln!(
                    out,
                    "root     {pid:>7}  0.0  0.0 {zero:>6} {zero:>5} {tty:<8} S    {start}   0:00 {command}"
                )
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium_base::{Instant, Pid};

    #[test]
    fn layouts() {
        let p = ProcessInfo {
            pid: Pid(100),
            ppid: Pid(1),
            name: "httpd".into(),
            command: "httpd --root htdocs".into(),
            started: Instant::ZERO,
            daemon: true,
            group: Pid(100),
            stopped: false,
            session: false,
        };
        let of = |line: &str| {
            let layout = layout(&[line.to_owned()]).unwrap();
            table(layout, std::slice::from_ref(&p), 1_795_356_857_000_000_000)
        };
        insta::assert_snapshot!(of("-e"), @r"
            PID TTY          TIME CMD
            100 ?        00:00:00 httpd
        ");
        insta::assert_snapshot!(of("-ef"), @r"
        UID          PID    PPID  C STIME TTY          TIME CMD
        root         100       1  0 14:14 ?        00:00:00 httpd --root htdocs
        ");
        insta::assert_snapshot!(of("aux"), @r"
        USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND
        root         100  0.0  0.0      0     0 ?        S    14:14   0:00 httpd --root htdocs
        ");
        assert!(layout(&["--foo".into()]).is_err());
        assert!(layout(&["-Z".into()]).is_err());
    }
}
