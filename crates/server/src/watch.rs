//! Edits in a lab's real folder enter the running lab.
//!
//! The system tells when something below the folder changes; the folder is then read again (after a
//! short pause, since editors save in several steps) and each file whose content is another becomes
//! one journalled input. Nothing is polled. The lab file itself is not watched: its changes need a
//! new start.

use std::time::Duration;

use bytes::Bytes;
use netarium_lab::Files;
use netarium_world::Input;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::folder::LabFolder;
use crate::runner::WorldHandle;

/// Changes that come within this time of each other are read together.
const SETTLE: Duration = Duration::from_millis(50);

/// Feeds edits to the world until the lab ends; `Err` when the folder cannot be watched.
///
/// # Errors
/// When the system has no way, or no resources, to watch the folder.
pub(crate) async fn run(
    folder: LabFolder,
    world: WorldHandle,
    trouble: impl Fn(String),
) -> notify::Result<()> {
    let (tx, mut changes) = mpsc::channel(1);
    // What was edited since the folder was read, before it was watched, is found like an edit.
    let _ = tx.try_send(());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // One waiting message is enough: everything is read again. Reading is no change.
        if event.map_or(true, |e| !e.kind.is_access()) {
            let _ = tx.try_send(());
        }
    })?;
    watcher.watch(&folder.root, RecursiveMode::Recursive)?;
    let mut known = folder.files.clone();
    while changes.recv().await.is_some() {
        tokio::time::sleep(SETTLE).await;
        while changes.try_recv().is_ok() {}
        let again = folder.clone();
        match tokio::task::spawn_blocking(move || again.reread()).await {
            Ok(Ok(now)) => {
                for input in differences(&known, &now) {
                    if world.input(input).is_err() {
                        return Ok(());
                    }
                }
                known = now;
            }
            // A file may vanish while it is read; the next change tries again.
            Ok(Err(e)) => trouble(e.to_string()),
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// What became of each file that is not as it was.
fn differences(before: &Files, now: &Files) -> Vec<Input> {
    let write = |path: &str, bytes: Option<&Bytes>| Input::FileWrite {
        path: path.to_owned(),
        bytes: bytes.map(|b| b.to_vec()),
    };
    let gone = before.iter().filter(|(path, _)| now.get(path).is_none());
    let changed = now.iter().filter(|(path, bytes)| before.get(path) != Some(bytes));
    gone.map(|(path, _)| write(path, None))
        .chain(changed.map(|(path, bytes)| write(path, Some(bytes))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_becomes_input() {
        let tree = |files: &[(&str, &str)]| {
            let mut tree = Files::new();
            for (path, text) in files {
                tree.insert(path, text.to_string()).unwrap();
            }
            tree
        };
        let before = tree(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let now = tree(&[("a", "1"), ("b", "two"), ("d", "4")]);
        let write = |path: &str, bytes: Option<&str>| Input::FileWrite {
            path: path.to_owned(),
            bytes: bytes.map(|b| b.as_bytes().to_vec()),
        };
        assert_eq!(
            differences(&before, &now),
            [write("c", None), write("b", Some("two")), write("d", Some("4"))]
        );
        assert_eq!(differences(&now, &now), []);
    }
}
