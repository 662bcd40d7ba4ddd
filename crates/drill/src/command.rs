//! Shell lines of scripts: what sets sysctls is understood, the rest is left out and listed.

/// What a shell line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// packetdrill's `defaults.sh`.
    Defaults,
    /// Sets a sysctl.
    Sysctl(String, String),
    /// Known to change nothing here.
    Harmless,
    /// Left out, with a note: it asks something of a real system.
    Other(String),
    /// It changes what the script sees: the script cannot be run.
    Needed(String),
}

/// The commands of a shell text: lines, `;` and `&&` separate them.
pub(crate) fn commands(text: &str) -> Vec<Command> {
    let text = text.replace("\\\n", " ");
    let mut all = Vec::new();
    for line in split(&text) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        all.extend(command(line));
    }
    all
}

/// Splits at newlines, `;` and `&&` outside of quotes and parentheses.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut quote, mut depth) = (Vec::new(), String::new(), None, 0u32);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('(', None) => depth += 1,
            (')', None) => depth = depth.saturating_sub(1),
            // A comment ends with its line.
            ('#', None) if part.is_empty() || part.ends_with(char::is_whitespace) => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
                continue;
            }
            ('\n' | ';', None) if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            ('&', None) if chars.peek() == Some(&'&') => {
                chars.next();
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts
}

/// The words of a command, without quotes and redirections.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote, mut some) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                some = true;
            }
            (c, None) if c.is_whitespace() => {
                if some || !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                some = false;
            }
            (c, _) => word.push(c),
        }
    }
    if some || !word.is_empty() {
        all.push(word);
    }
    let redirected = |w: &String| w.contains('>') && !w.contains('=');
    let end = all.iter().position(redirected).unwrap_or(all.len());
    all.truncate(end);
    all
}

fn command(line: &str) -> Vec<Command> {
    if let Some((value, file)) = echoed(line) {
        return vec![Command::Sysctl(file, value)];
    }
    let words = words(line);
    let Some(first) = words.first() else { return vec![Command::Harmless] };
    let program = first.rsplit('/').next().unwrap_or(first);
    if program.starts_with("sysctl_restore") {
        return vec![Command::Harmless];
    }
    match program {
        "defaults.sh" => vec![Command::Defaults],
        "sysctl" | "set_sysctls.py" => settings(&words[1..], line),
        "tc" if has(&words, &["fq", "netem", "tbf", "limit"]) => vec![Command::Needed(line.into())],
        "ip" if has(&words, &["route", "rule", "link"])
            && !has(&words, &["flush", "get", "show"]) =>
        {
            vec![Command::Needed(line.into())]
        }
        "iptables" | "nft" | "ipfw" => vec![Command::Needed(line.into())],
        "ip" | "tc" | "ethtool" | "ifconfig" => vec![Command::Harmless],
        "true" | ":" | "sleep" | "sync" | "kldload" | "set" | "export" | "echo"
        | "sync_sysctls" => {
            vec![Command::Harmless]
        }
        _ => vec![Command::Other(line.to_owned())],
    }
}

fn has(words: &[String], any: &[&str]) -> bool {
    words.iter().any(|w| any.contains(&w.as_str()))
}

/// `echo VALUE > /proc/sys/…`
fn echoed(line: &str) -> Option<(String, String)> {
    let (value, file) = line.strip_prefix("echo ")?.split_once('>')?;
    let file = file.trim();
    let value = value.trim().trim_matches(['"', '\'']).to_owned();
    file.starts_with("/proc/sys/").then(|| (value, file.to_owned()))
}

/// The `NAME=VALUE`s of a sysctl command.
fn settings(words: &[String], line: &str) -> Vec<Command> {
    let mut all = Vec::new();
    for word in words.iter().filter(|w| !w.starts_with('-')) {
        match word.split_once('=') {
            Some((name, value)) => {
                all.push(Command::Sysctl(name.trim().to_owned(), arithmetic(value.trim())));
            }
            None => return vec![Command::Other(line.to_owned())],
        }
    }
    all
}

/// Resolves `$((15*1024*1024))` in a value: products only.
fn arithmetic(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("$((") {
        let Some((inner, tail)) = after.split_once("))") else { break };
        let product = inner
            .split('*')
            .map(|f| f.trim().parse::<i64>().ok())
            .try_fold(1i64, |all, factor| factor.and_then(|f| all.checked_mul(f)));
        out += before;
        out += &product.map_or_else(|| format!("$(({inner}))"), |p| p.to_string());
        rest = tail;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysctl(name: &str, value: &str) -> Command {
        Command::Sysctl(name.to_owned(), value.to_owned())
    }

    #[track_caller]
    fn check(text: &str, expect: &[Command]) {
        assert_eq!(commands(text), expect, "{text}");
    }

    #[test]
    fn settings_in_all_spellings() {
        check("sysctl -q net.ipv4.tcp_ecn=1  # on; or not", &[sysctl("net.ipv4.tcp_ecn", "1")]);
        check(
            "sysctl -q net.ipv4.tcp_rmem=\"4096 1 $((15*1024))\"",
            &[sysctl("net.ipv4.tcp_rmem", "4096 1 15360")],
        );
        check(
            "../../common/defaults.sh\n../common/set_sysctls.py /proc/sys/net/ipv4/tcp_sack=0 \\\n  /proc/sys/net/ipv4/tcp_ecn=1",
            &[
                Command::Defaults,
                sysctl("/proc/sys/net/ipv4/tcp_sack", "0"),
                sysctl("/proc/sys/net/ipv4/tcp_ecn", "1"),
            ],
        );
        check(
            "echo 3 > /proc/sys/net/ipv4/tcp_reordering",
            &[sysctl("/proc/sys/net/ipv4/tcp_reordering", "3")],
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        check("ip tcp_metrics flush all > /dev/null 2>&1", &[Command::Harmless]);
        check(
            "nstat | grep Tcp; true",
            &[Command::Other("nstat | grep Tcp".to_owned()), Command::Harmless],
        );
    }
}
