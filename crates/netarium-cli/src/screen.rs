//! What `up` shows: one screen at the start, then one line per connection.

use std::fmt::Write;

use netarium::lab::words;
use netarium_server::api::view::{AttachedView, HostView, LabView};
use netarium_server::report::Notice;
use netarium_server::stops::Stopped;

use crate::terminal::{Style, Terminal, bytes, plain};

/// How many of the last lines of a program that failed are told.
const SAID_LINES: usize = 3;

/// The first screen.
///
/// `alone`: no other lab runs, so that commands find this one by themselves.
pub(crate) fn welcome(lab: &LabView, edited: bool, alone: bool, terminal: &Terminal) -> String {
    let title = lab.title.line().unwrap_or_else(|| lab.name.clone());
    let mut out = format!("\n  {}\n\n", terminal.paint(Style::Bold, title));
    hosts(lab, terminal, &mut out);
    doors(lab, terminal, &mut out);
    let _ = writeln!(out, "\n  Try in another terminal:");
    let program = invocation();
    for command in suggestions(lab, alone) {
        let command = format!("{program} {command}");
        let _ = writeln!(out, "    {}", terminal.paint(Style::Cyan, command));
    }
    if let Some(folder) = &lab.folder {
        let note = if edited { "your edited copy" } else { "edit them while the lab runs" };
        let _ = writeln!(out, "\n  The lab's files ({note}):\n    {folder}");
    }
    out.push_str("\n  Ctrl-C stops the lab.\n");
    out
}

/// The hosts that stand alone, a line each, then the groups with the names of their hosts.
fn hosts(lab: &LabView, terminal: &Terminal, out: &mut String) {
    let alone: Vec<&HostView> =
        lab.hosts.iter().chain(&lab.gateway).filter(|h| h.group.is_none()).collect();
    // A large lab is not for one screen.
    const MOST: usize = 20;
    let shown = &alone[..alone.len().min(MOST)];
    let groups = &lab.groups[..lab.groups.len().min(MOST)];
    let addresses =
        |h: &HostView| h.addresses().map(|a| a.to_string()).collect::<Vec<_>>().join(", ");
    let names = shown.iter().map(|h| &h.name).chain(groups.iter().map(|g| &g.name));
    let name_width = names.map(String::len).max().unwrap_or(0);
    let address_width = shown.iter().map(|h| addresses(h).len()).max().unwrap_or(0);
    let mut line = |name: &str, middle: String, title: Option<String>| {
        let title = terminal.paint(Style::Dim, title.unwrap_or_default());
        let line = format!("  {name:name_width$}  {middle:address_width$}  {title}");
        let _ = writeln!(out, "{}", line.trim_end());
    };
    for host in shown {
        line(&host.name, addresses(host), host.title.line());
    }
    for group in groups {
        let of_group = lab.hosts.iter().filter(|h| h.group.as_ref() == Some(&group.name));
        let names: Vec<&str> = of_group.map(|h| h.name.as_str()).collect();
        let title = group.title.line();
        let more = if names.len() > 4 { ", …" } else { "" };
        let few = names[..names.len().min(4)].join(", ");
        line(
            &group.name,
            format!("{} hosts", names.len()),
            Some(match title {
                Some(title) => format!("{title}: {few}{more}"),
                None => format!("{few}{more}"),
            }),
        );
    }
    let more = alone.len() - shown.len();
    if more > 0 {
        let _ = writeln!(out, "  … and {more} more hosts");
    }
    let more = lab.groups.len() - groups.len();
    if more > 0 {
        let _ = writeln!(out, "  … and {more} more groups");
    }
}

fn doors(lab: &LabView, terminal: &Terminal, out: &mut String) {
    let (pages, others): (Vec<_>, Vec<_>) =
        lab.published.iter().partition(|p| !p.udp && is_web(&p.to.to_string()));
    if !pages.is_empty() {
        let _ = writeln!(out, "\n  Open in your browser:");
    }
    for port in pages {
        let url = terminal.paint(Style::Bold, format_args!("http://{}/", port.listen));
        let _ = writeln!(out, "    {url}   leads to {} in the lab", port.to);
    }
    if !others.is_empty() {
        let _ = writeln!(out, "\n  For other programs:");
    }
    for port in others {
        let listen = terminal.paint(Style::Bold, port.listen);
        let kind = if port.udp { "UDP" } else { "TCP" };
        let _ = writeln!(out, "    {listen} ({kind})   leads to {} in the lab", port.to);
    }
    let attached: Vec<_> = lab.attached.iter().filter(|a| a.allowed).collect();
    if !attached.is_empty() {
        let _ = writeln!(out, "\n  Real servers in the lab:");
    }
    for a in attached {
        let place = terminal.paint(Style::Bold, format_args!("{}:{}", a.host, a.port));
        let _ = writeln!(out, "    {place}   continues to {}", a.to);
    }
    if let Some(proxy) = &lab.proxy {
        let listen = terminal.paint(Style::Bold, proxy.listen);
        let _ = writeln!(out, "\n  The lab's names and addresses, as {} sees them:", proxy.from);
        let _ = writeln!(
            out,
            "    {listen}   is a proxy, SOCKS5 and HTTP (`{} browser` uses it)",
            invocation()
        );
    }
}

/// Three commands to try next, without the program's name.
pub(crate) fn suggestions(lab: &LabView, alone: bool) -> Vec<String> {
    let on = if alone && lab.running_as == lab.name {
        String::new()
    } else {
        format!("--on {} ", lab.running_as)
    };
    let hosts = at_first_glance(lab);
    let web = web_server(lab);
    let any = || hosts.iter().find(|h| !h.programs.is_empty()).or(hosts.first()).copied();
    let mut commands = Vec::new();
    if let Some((client, url)) = visit(lab, &hosts, web) {
        commands.push(format!("exec {on}{client} curl -v {url}"));
    }
    if let Some(server) = web.or_else(any) {
        commands.push(format!("exec {on}{} netstat -ano", server.name));
        if let Some(iface) = server.interfaces.first() {
            commands.push(format!("capture {on}{} -w - | tshark -r -", iface.link));
        }
    }
    commands
}

/// A name server is no web server.
fn is_web(to: &str) -> bool {
    !to.ends_with(":53")
}

/// The first host with a web server.
pub(crate) fn web_server(lab: &LabView) -> Option<&HostView> {
    at_first_glance(lab).into_iter().find(|h| serves_pages(lab, h))
}

/// Whether a web server of the lab runs on a host, or a real one stands behind its port 80.
fn serves_pages(lab: &LabView, host: &HostView) -> bool {
    let server = |p: &String| ["httpd", "shop"].contains(&p.split(' ').next().unwrap_or_default());
    let attached = |a: &AttachedView| a.allowed && a.port == 80 && a.host == host.name;
    host.programs.iter().any(server) || lab.attached.iter().any(attached)
}

/// All hosts, first those that no group folds away.
fn at_first_glance(lab: &LabView) -> Vec<&HostView> {
    let mut hosts: Vec<&HostView> = lab.hosts.iter().collect();
    hosts.sort_by_key(|h| h.group.is_some());
    hosts
}

/// How the user starts this program: somebody who came by `cargo run` has no `netarium` on the
/// path.
fn invocation() -> &'static str {
    let by_cargo = std::env::var_os("CARGO").is_some();
    let path = std::env::current_exe().unwrap_or_default();
    let built_as = |profile: &str| path.ends_with(format!("{profile}/netarium"));
    match by_cargo {
        true if built_as("release") => "cargo run --release --",
        true if built_as("debug") => "cargo run --",
        _ => "netarium",
    }
}

/// Who may visit what: a host beside the gateway the published port, else any the server.
fn visit(
    lab: &LabView,
    hosts: &[&HostView],
    server: Option<&HostView>,
) -> Option<(String, String)> {
    let ordinary = |h: &&&HostView| !h.router && server.is_none_or(|s| s.name != h.name);
    let near_gateway = |h: &&&HostView| {
        let Some(gateway) = &lab.gateway else { return false };
        h.interfaces.iter().any(|i| gateway.interfaces.iter().any(|g| g.network == i.network))
    };
    if let Some(port) = lab.published.iter().find(|p| !p.udp && is_web(&p.to.to_string()))
        && let Some(client) = hosts.iter().filter(ordinary).find(near_gateway)
    {
        return Some((client.name.clone(), format!("http://{}/", port.to)));
    }
    let client = hosts.iter().find(ordinary)?;
    Some((client.name.clone(), format!("http://{}/", server?.name)))
}

/// The time of day on the user's clock.
pub(crate) fn time_of_day() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

/// One line about what happened.
pub(crate) fn line(notice: &Notice) -> String {
    match notice {
        Notice::Connected { client, to } => format!("{client} → {to}  connected"),
        Notice::Closed { client, to, sent, received, lasted, end } => format!(
            "{client} → {to}  {end}, {} in, {} out, {:.3} s",
            bytes(*sent),
            bytes(*received),
            lasted.as_secs_f64()
        ),
        Notice::Refused { client, to, reason } => {
            format!("{client} → {to}  refused: {reason}")
        }
        Notice::OverLimit { listen, limit, connections } => format!(
            "{listen}  {connections} connections reset: {limit} are open, which is the limit \
             (--max-connections)"
        ),
        Notice::FlowsEvicted { listen, limit, flows } => format!(
            "{listen}  {flows} silent clients were forgotten: {limit} are known, which is the limit"
        ),
        Notice::DatagramsDropped { listen, datagrams } => {
            format!("{listen}  {datagrams} datagrams dropped: the lab takes no more for now")
        }
        Notice::Starved { listen, error } => {
            format!("{listen}  cannot accept connections for now: {error}")
        }
        Notice::Stopped(stopped) => stopped_line(stopped),
        Notice::Failed { host, argv, code, said } => {
            let all: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
            let said = plain(&all[all.len().saturating_sub(SAID_LINES)..].join(" "));
            format!("{host}  `{}` has ended with exit code {code}: {said}", words::join(argv))
        }
        Notice::Trouble(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

/// Where and why a lab stands still.
pub(crate) fn stopped_line(stopped: &Stopped) -> String {
    let Stopped { breakpoint, when, id, at, place, text } = stopped;
    let by = breakpoint.map_or_else(String::new, |id| format!(" at breakpoint {id}"));
    format!("paused{by} ({when}): #{id} at {at} s, {place}: {text}")
}

/// The same as a JSON object.
pub(crate) fn json(notice: &Notice) -> serde_json::Value {
    use serde_json::json;
    match notice {
        Notice::Connected { client, to } => json!({
            "event": "connected", "client": client.address, "program": client.program, "to": to,
        }),
        Notice::Closed { client, to, sent, received, lasted, end } => json!({
            "event": "closed", "client": client.address, "program": client.program, "to": to,
            "in": sent, "out": received, "seconds": lasted.as_secs_f64(), "end": end.to_string(),
        }),
        Notice::Refused { client, to, reason } => json!({
            "event": "refused", "client": client.address, "program": client.program, "to": to,
            "reason": reason,
        }),
        Notice::FlowsEvicted { listen, limit, flows } => json!({
            "event": "flows-evicted", "listen": listen, "limit": limit, "flows": flows,
        }),
        Notice::DatagramsDropped { listen, datagrams } => json!({
            "event": "datagrams-dropped", "listen": listen, "datagrams": datagrams,
        }),
        Notice::OverLimit { listen, limit, connections } => json!({
            "event": "over-limit", "listen": listen, "limit": limit, "connections": connections,
        }),
        Notice::Starved { listen, error } => {
            json!({"event": "starved", "listen": listen, "error": error})
        }
        Notice::Stopped(stopped) => json!({"event": "stopped", "stopped": stopped}),
        Notice::Failed { host, argv, code, said } => json!({
            "event": "failed", "host": host, "argv": argv, "code": code, "said": said,
        }),
        other => json!({"event": "note", "text": line(other)}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_a_line_of_its_last_words() {
        let notice = Notice::Failed {
            host: "web".to_owned(),
            argv: ["httpd", "-f", "my httpd.conf"].map(str::to_owned).to_vec(),
            code: 1,
            said: "one\n\ntwo\n three\x1b[2J\nfour\n".to_owned(),
        };
        assert_eq!(
            line(&notice),
            "web  `httpd -f 'my httpd.conf'` has ended with exit code 1: two three\u{fffd}[2J four"
        );
    }
}
