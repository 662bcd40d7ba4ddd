//! Hosts as network namespaces, and the machine's own programs on them.

use std::process::{Command, Stdio};

use super::{Line, Outcome, Real};

/// Why the real programs cannot be asked.
pub(super) type Skip = String;

/// Whether a program is there.
pub(super) fn installed(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    found.is_ok_and(|o| o.status.success())
}

/// The first of these programs that is missing.
pub(super) fn need(tools: &[&str]) -> Result<(), Skip> {
    match tools.iter().find(|t| !installed(t)) {
        Some(tool) => Err(format!("{tool} is not installed")),
        None => Ok(()),
    }
}

/// Debian's `nc`; others have other options.
pub(super) fn need_openbsd_nc() -> Result<(), Skip> {
    let help = Command::new("nc").arg("-h").output().map_err(|e| e.to_string())?;
    if String::from_utf8_lossy(&help.stderr).starts_with("OpenBSD netcat") {
        return Ok(());
    }
    Err("nc is another netcat".to_owned())
}

/// Builds the hosts with `before`, which defines a function for each that runs a command there, and
/// runs the commands. A command whose programs are missing gives nothing, and says so.
pub(super) fn run(before: &str, lines: &[Line], after: &str) -> Real {
    let mut script = format!("set -e\nip link set lo up\n{before}\nset +e\n");
    for (host, command) in lines {
        let quoted = command.replace('\'', "'\\''");
        script +=
            &format!("echo '@@@'; {host} sh -c '{quoted}' </dev/null 2>&1; echo \"@@@ $?\"\n");
    }
    script += after;
    // Root needs no user namespace, in which tcpdump could not give up its privileges.
    let namespaces = if without_user_namespace() { "-nu" } else { "-rnu" };
    let out = Command::new("unshare")
        .args([namespaces, "--kill-child", "-pf", "--mount-proc"])
        .args(["timeout", "-s", "KILL", "120", "bash", "-c", &script])
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let all: Vec<Outcome> = text
        .split("@@@\n")
        .skip(1)
        .filter_map(|part| {
            let (said, rest) = part.split_once("@@@ ")?;
            Some((rest.lines().next()?.parse().ok()?, said.to_owned()))
        })
        .collect();
    if all.len() != lines.len() {
        let why = String::from_utf8_lossy(&out.stderr);
        let why = why.lines().next().unwrap_or("it ended early");
        return Err(format!("no network namespaces: {why}"));
    }
    let there = |(line, outcome): (&Line, Outcome)| match missing(line.1) {
        Some(tool) => {
            eprintln!("skipped: {}: {tool} is not there for it", line.1);
            None
        }
        None => Some(outcome),
    };
    Ok(lines.iter().zip(all).map(there).collect())
}

/// The program that this command begins with, if it is one that may be missing.
fn missing(command: &str) -> Option<&'static str> {
    let optional = ["traceroute", "tcpdump", "iperf", "dig", "nslookup", "curl"];
    let used = |tool: &&str| command.split(|c: char| !c.is_alphanumeric()).any(|w| w == *tool);
    let cannot =
        |tool: &&str| !installed(tool) || (*tool == "tcpdump" && !without_user_namespace());
    optional.into_iter().filter(used).find(cannot)
}

fn without_user_namespace() -> bool {
    Command::new("unshare")
        .args(["-n", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}
