//! `netarium labs`: what comes with the program, and what runs.

use std::io::Write;

use netarium::lab::builtins;
use netarium_server::api::view::TitleView;
use netarium_server::runtime_file::{running_labs, runtime_dir};

use crate::exit::{self, Error};
use crate::terminal::Terminal;

/// Lists the built-in labs and the running ones.
pub(crate) fn labs(json: bool, terminal: &Terminal) -> Result<i32, Error> {
    let running = running_labs(&runtime_dir()).map_err(Error::failed)?;
    let mut out = String::new();
    if json {
        let value = serde_json::json!({
            "built_in": builtins().iter().map(|b| serde_json::json!({
                "name": b.name,
                "title": TitleView::from(&b.title),
            })).collect::<Vec<_>>(),
            "running": running.iter().map(|r| serde_json::json!({
                "name": r.name, "lab": r.lab, "pid": r.pid, "port": r.port,
            })).collect::<Vec<_>>(),
        });
        out = format!("{value:#}\n");
    } else {
        let width = builtins().iter().map(|b| b.name.len()).max().unwrap_or(0);
        for lab in builtins() {
            let title = TitleView::from(&lab.title).line().unwrap_or_default();
            out += &format!("{:width$}  {title}\n", lab.name);
        }
        for lab in &running {
            out += &format!("running: {}  ({}, pid {})\n", lab.name, lab.lab, lab.pid);
        }
        if running.is_empty() {
            terminal.say("start one with `netarium up LAB`");
        }
    }
    std::io::stdout().write_all(out.as_bytes()).map_err(Error::failed)?;
    Ok(exit::OK)
}
