//! What a word that is being typed at a host's shell may become.

use axum::Json;
use axum::extract::{Path, Query, State};
use netarium_world::World;
use serde::{Deserialize, Serialize};

use super::Failure;
use super::routes::{Readable, host_id};

/// How many words are offered at most.
const WORDS_MAX: usize = 500;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Typing {
    /// The working directory.
    #[serde(default)]
    folder: String,
    /// The word as far as it is typed.
    #[serde(default)]
    word: String,
    /// Whether it names a command.
    #[serde(default)]
    command: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Completions {
    /// Whole words, sorted. A folder ends with a slash; what is complete with a blank.
    words: Vec<String>,
}

/// Programs and commands of the shell for a command; for other words files and the lab's names,
/// which stand in URLs, too.
pub(super) async fn complete(
    State(world): State<Readable>,
    Path(host): Path<String>,
    Query(typing): Query<Typing>,
) -> Result<Json<Completions>, Failure> {
    let words = world.query(move |world| {
        let node = host_id(world, &host)?;
        if let Some((scheme, host)) = typing.word.split_once("://") {
            return Ok(urls(&world.known_names(), scheme, host));
        }
        let mut words = files(world, node, &typing);
        if typing.command && !typing.word.contains('/') {
            let programs = world.program_names();
            let commands =
                programs.iter().copied().chain(netarium_programs::shell::builtin_names());
            words.extend(whole(commands, &typing.word));
        } else if !typing.command {
            let names = world.known_names();
            words.extend(whole(names.iter().map(String::as_str), &typing.word));
        }
        words.sort();
        words.dedup();
        words.truncate(WORDS_MAX);
        Ok(words)
    });
    words.await?.map(|words| Json(Completions { words }))
}

/// URLs of the lab's hosts; what is behind the host's name only its server knows.
fn urls(names: &[String], scheme: &str, host: &str) -> Vec<String> {
    let mut fits: Vec<&String> = names.iter().filter(|n| n.starts_with(host)).collect();
    fits.sort();
    fits.into_iter().take(WORDS_MAX).map(|n| format!("{scheme}://{n}/")).collect()
}

fn whole<'a>(names: impl Iterator<Item = &'a str>, word: &str) -> Vec<String> {
    names.filter(|n| n.starts_with(word)).map(|n| format!("{n} ")).collect()
}

fn files(world: &World, node: netarium_base::NodeId, typing: &Typing) -> Vec<String> {
    let (folder, start) = match typing.word.rfind('/') {
        Some(at) => typing.word.split_at(at + 1),
        None => ("", typing.word.as_str()),
    };
    let base = if folder.starts_with('/') {
        folder.to_owned()
    } else {
        format!("{}/{folder}", typing.folder)
    };
    let entries = world.list_dir(node, &base).unwrap_or_default();
    let fits = entries.into_iter().filter(|e| {
        e.name.starts_with(start) && (start.starts_with('.') || !e.name.starts_with('.'))
    });
    // A command is never a plain file of the working directory.
    let wanted = fits.filter(|e| !typing.command || !folder.is_empty() || e.metadata.is_dir);
    let end = |is_dir| if is_dir { "/" } else { " " };
    wanted.map(|e| format!("{folder}{}{}", e.name, end(e.metadata.is_dir))).collect()
}
