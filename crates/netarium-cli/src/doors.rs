//! Commands about the doors of a running lab: `browser` and `connections`.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use netarium::lab::model::GATEWAY;
use netarium::lab::words;
use netarium_server::api::connections::{ConnectionsView, ProxyWanted};
use netarium_server::api::view::{LabView, ProxyView};
use netarium_server::browser::{self, Launch, as_typed};
use netarium_server::client::{Client, ClientError, Method};
use netarium_server::user_is_root;

use crate::args::{Browser, Connections};
use crate::exit::{self, Error};
use crate::remote::{find, runtime};
use crate::screen::web_server;
use crate::terminal::Terminal;
use crate::up::interrupted;

/// `netarium browser`
pub(crate) fn browser(args: Browser, terminal: &Terminal) -> Result<i32, Error> {
    let client = Client::new(find(args.lab.on.as_deref())?);
    let found = browser::find(args.with.as_deref()).map_err(|e| {
        let hint = "install one, or name it: netarium browser --with PROGRAM; \
                    any other works with the proxy that `netarium up` shows";
        Error::Failed(e.to_string(), Some(hint.to_owned()))
    })?;
    let runtime = runtime()?;
    let (lab, proxy) = runtime.block_on(places(&client, args.at))?;
    let no_sandbox = user_is_root() && found.family == browser::Family::Chromium;
    let url = args.url.map_or_else(|| first_page(&lab, &proxy), |typed| as_typed(&typed));
    let launch =
        Launch { proxy: proxy.listen, headless: args.headless, no_sandbox, extra: args.extra, url };
    if no_sandbox {
        terminal.say("note: you are root, so the browser runs without its sandbox (--no-sandbox)");
    }
    let mut profile = found.profile(&launch).map_err(Error::failed)?;
    let line = found.command(profile.path(), &launch);
    if args.print {
        profile.disable_cleanup(true);
        let line: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
        let _ = writeln!(std::io::stdout(), "{}", words::join(&line));
        return Ok(exit::OK);
    }
    terminal.say(format_args!(
        "{} with a throw-away profile, at {} of {}; close it to end",
        program_name(&found.program),
        proxy.from,
        lab.running_as
    ));
    let code = runtime.block_on(run(&line))?;
    remove(profile, terminal);
    Ok(code)
}

/// What the lab is, and where the proxy of a host listens.
async fn places(client: &Client, at: Option<String>) -> Result<(LabView, ProxyView), ClientError> {
    let lab: LabView = client.call(Method::GET, "/api/v1/lab", None::<&()>).await?;
    let own = lab.proxy.clone().filter(|p| at.as_ref().is_none_or(|at| *at == p.from));
    let proxy = match own {
        Some(proxy) => proxy,
        None => {
            let wanted = ProxyWanted { from: at };
            client.call(Method::POST, "/api/v1/proxies", Some(&wanted)).await?
        }
    };
    Ok((lab, proxy))
}

/// From the gateway what a published port shows; else, or without one, the first web server.
fn first_page(lab: &LabView, proxy: &ProxyView) -> String {
    let outside = proxy.from == GATEWAY;
    let published = lab.published.iter().find(|p| outside && !p.udp).map(|p| p.to.to_string());
    let server = || web_server(lab).map(|h| h.name.clone());
    published.or_else(server).map_or_else(|| "about:blank".to_owned(), |at| format!("http://{at}/"))
}

/// Runs the browser to its end, or ends it at Ctrl-C. What it writes is none of ours.
async fn run(line: &[OsString]) -> Result<i32, Error> {
    let [program, arguments @ ..] = line else { return Ok(exit::FAILURE) };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| Error::failed(format!("{}: {e}", Path::new(program).display())))?;
    tokio::select! {
        ended = child.wait() => Ok(ended.map_err(Error::failed)?.code().unwrap_or(exit::FAILURE)),
        () = interrupted() => {
            // It may have ended by the same Ctrl-C.
            let _ = child.kill().await;
            Ok(exit::OK)
        }
    }
}

/// Removes the profile. A browser's last processes may still write for a moment.
fn remove(profile: tempfile::TempDir, terminal: &Terminal) {
    let path = profile.keep();
    for _ in 0..20 {
        match std::fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            _ => return,
        }
    }
    terminal.say(format_args!("note: the profile could not be removed: {}", path.display()));
}

fn program_name(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `netarium connections`
pub(crate) fn connections(args: &Connections, json: bool) -> Result<i32, Error> {
    let client = Client::new(find(args.lab.on.as_deref())?);
    let view: ConnectionsView = runtime()?
        .block_on(async { client.call(Method::GET, "/api/v1/connections", None::<&()>).await })?;
    let mut out = std::io::stdout().lock();
    // Whoever read our output may have gone.
    let _ = match json {
        true => writeln!(out, "{}", serde_json::to_value(&view).unwrap_or_default()),
        false => out.write_all(table(&view).as_bytes()),
    };
    Ok(exit::OK)
}

fn table(view: &ConnectionsView) -> String {
    let mut rows = vec![
        ["Proto", "Local Address", "Foreign Address", "State", "Real client"].map(str::to_owned),
    ];
    rows.extend(
        view.connections
            .iter()
            .map(|c| [&c.proto, &c.local, &c.remote, &c.state, &c.client].map(String::clone)),
    );
    let mut text = String::new();
    for client in &view.clients {
        text += &format!("{:<15}  {}\n", client.address, client.label);
    }
    if !view.clients.is_empty() {
        text.push('\n');
    }
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("{cell:<width$}  ");
        }
        text += &format!("{line}{}\n", row[4]);
    }
    text
}
