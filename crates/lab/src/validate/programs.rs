//! Commands: their words, the program's name, a web server's document root.

use std::sync::Arc;

use crate::decode::At;
use crate::error::{Code, Errors, Spot, shown};
use crate::files::{Files, HostFiles, normalise};
use crate::limits::MAX_DOORS;
use crate::model::{Command, Run};
use crate::raw::RawLab;
use crate::words::split;

use super::names::Names;
use super::{check_count, short_text};

/// What commands are checked against.
pub(super) struct Programs<'a> {
    pub(super) files: &'a Arc<Files>,
    pub(super) known: &'a [&'a str],
}

impl Programs<'_> {
    /// Reads a command of `host`.
    pub(super) fn command(
        &mut self,
        text: &At<String>,
        host: Option<&str>,
        errors: &mut Errors,
    ) -> Option<Command> {
        if !short_text(text, "a command", errors) {
            return None;
        }
        let argv = match split(text) {
            Ok(argv) => argv,
            Err(error) => {
                let message = format!("`{}` cannot be split into words", shown(text));
                errors
                    .report(Code::BadCommand, text.spot, message, error.to_string())
                    .hint("words stand apart by spaces; a word with spaces stands in '…'");
                return None;
            }
        };
        let program = argv[0].as_str();
        if !self.known.contains(&program) {
            let hint = errors.did_you_mean(program, self.known.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("there are: {}", self.known.join(", ")));
            let message = format!("there is no program `{}`", shown(program));
            errors.report(Code::UnknownProgram, text.spot, message, "unknown program").hint(hint);
            return None;
        }
        if let (Some(host), "httpd") = (host, program) {
            self.document_root(host, &argv, text.spot, errors);
        }
        Some(Command { argv, text: text.value.clone() })
    }

    /// `httpd --root DIR`: the folder is there.
    fn document_root(&self, host: &str, argv: &[String], spot: Spot, errors: &mut Errors) {
        let after = argv.iter().position(|w| w == "--root").and_then(|i| argv.get(i + 1));
        let joined = argv.iter().find_map(|w| w.strip_prefix("--root="));
        let Some(root) = after.map(String::as_str).or(joined) else { return };
        let view = HostFiles::new(Arc::clone(self.files), host);
        let (label, hint) = match normalise(root) {
            Err(why) => (why.to_string(), "such as `--root htdocs`".to_owned()),
            Ok(path) if view.is_dir(&path) => return,
            Ok(path) if view.get(&path).is_some() => (
                "this is a file, not a folder".to_owned(),
                "the document root is the folder that holds the pages".to_owned(),
            ),
            Ok(path) => {
                let folders = view.list("").into_iter().filter(|(_, dir)| *dir).map(|(n, _)| n);
                let folders: Vec<String> = folders.take(100).collect();
                let near = errors.did_you_mean(&path, folders.iter().map(String::as_str));
                let hint = near.unwrap_or_else(|| {
                    format!(
                        "make the folder `{}` beside the lab file, with an index.html in it",
                        shown(&path)
                    )
                });
                ("no such folder in the lab".to_owned(), hint)
            }
        };
        let message = format!("the document root `{}` is missing", shown(root));
        errors.report(Code::MissingRoot, spot, message, label).hint(hint);
    }

    /// The `[[run]]` entries, by time; at one time as in the file.
    pub(super) fn runs(
        &mut self,
        raw: &RawLab,
        names: &Names<'_>,
        errors: &mut Errors,
    ) -> Vec<Run> {
        let list = raw.run.as_deref().unwrap_or_default();
        if let Some(spot) = list.iter().find_map(|r| Some(r.host.as_ref()?.spot)) {
            check_count("[[run]] entries", list.len(), MAX_DOORS, spot, errors);
        }
        let mut out = Vec::new();
        for raw in list.iter().take(MAX_DOORS) {
            let host = raw.host.as_ref().filter(|h| names.host(h, h.spot, errors));
            let name = host.map(|h| h.value.as_str());
            let command = raw.command.as_ref().and_then(|c| self.command(c, name, errors));
            if let (Some(host), Some(command)) = (host, command) {
                let at = raw.at.map_or(netarium_base::Duration::ZERO, |a| a.0);
                out.push(Run { at, host: host.value.clone(), command });
            }
        }
        out.sort_by_key(|r| r.at);
        out
    }
}
