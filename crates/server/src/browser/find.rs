//! Where browsers are installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Browser, Family};

/// No browser was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// None of those that are known.
    #[error("no Chrome, Chromium, Edge or Firefox was found on this machine")]
    None,
    /// Not the one that was named.
    #[error("there is no browser `{0}`: neither a program on the path nor a file")]
    Named(String),
}

/// The browser that was named (a program on the path or a file), or the first of those that are
/// known.
///
/// # Errors
/// When there is none.
pub fn find(named: Option<&str>) -> Result<Browser, NotFound> {
    if let Some(name) = named {
        let program = on_path(name).or_else(|| file(Path::new(name)));
        let program = program.ok_or_else(|| NotFound::Named(name.to_owned()))?;
        return Ok(browser(program));
    }
    system::candidates().find_map(|place| resolve(&place)).map(browser).ok_or(NotFound::None)
}

fn resolve(place: &Path) -> Option<PathBuf> {
    match place.parent() {
        Some(parent) if parent == Path::new("") => on_path(place.to_str()?),
        _ => file(place),
    }
}

fn browser(program: PathBuf) -> Browser {
    let name = program.file_name().and_then(OsStr::to_str).unwrap_or_default().to_lowercase();
    let family = if name.contains("firefox") { Family::Firefox } else { Family::Chromium };
    Browser { program, family }
}

fn file(path: &Path) -> Option<PathBuf> {
    path.is_file().then(|| path.to_owned())
}

fn on_path(name: &str) -> Option<PathBuf> {
    // What has a separator is a file, not a program's name.
    if Path::new(name).components().count() != 1 {
        return None;
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| {
        let plain = file(&folder.join(name));
        plain.or_else(|| file(&folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))))
    })
}

/// Programs by their names on the path.
#[cfg(not(any(target_os = "macos", target_os = "windows")))]
mod system {
    use std::path::PathBuf;

    const NAMES: [&str; 11] = [
        "google-chrome-stable",
        "google-chrome",
        "chromium",
        "chromium-browser",
        "microsoft-edge-stable",
        "microsoft-edge",
        "brave-browser",
        "firefox",
        "firefox-esr",
        "google-chrome-beta",
        "google-chrome-unstable",
    ];

    pub(super) fn candidates() -> impl Iterator<Item = PathBuf> {
        NAMES.into_iter().map(PathBuf::from)
    }
}

/// Applications of the machine, and of the user.
#[cfg(target_os = "macos")]
mod system {
    use std::path::{Path, PathBuf};

    const APPLICATIONS: [(&str, &str); 5] = [
        ("Google Chrome.app", "Google Chrome"),
        ("Chromium.app", "Chromium"),
        ("Microsoft Edge.app", "Microsoft Edge"),
        ("Brave Browser.app", "Brave Browser"),
        ("Firefox.app", "firefox"),
    ];

    pub(super) fn candidates() -> impl Iterator<Item = PathBuf> {
        let home = std::env::var_os("HOME").map(|home| Path::new(&home).join("Applications"));
        let folders = [Some(PathBuf::from("/Applications")), home].into_iter().flatten();
        folders.flat_map(|folder| {
            APPLICATIONS
                .map(|(app, program)| folder.join(app).join("Contents").join("MacOS").join(program))
        })
    }
}

/// The folders in which installers put browsers, for the machine or for one user.
#[cfg(target_os = "windows")]
mod system {
    use std::path::PathBuf;

    const PLACES: [&str; 5] = [
        r"Google\Chrome\Application\chrome.exe",
        r"Chromium\Application\chrome.exe",
        r"Microsoft\Edge\Application\msedge.exe",
        r"BraveSoftware\Brave-Browser\Application\brave.exe",
        r"Mozilla Firefox\firefox.exe",
    ];

    pub(super) fn candidates() -> impl Iterator<Item = PathBuf> {
        let folders = ["ProgramFiles", "ProgramFiles(x86)", "LOCALAPPDATA"]
            .into_iter()
            .filter_map(std::env::var_os)
            .map(PathBuf::from);
        folders.flat_map(|folder| PLACES.map(|place| folder.join(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_browser_is_a_program_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("my-firefox");
        std::fs::write(&program, "").unwrap();
        let found = find(program.to_str()).unwrap();
        assert_eq!((found.family, found.program), (Family::Firefox, program));
        let missing = find(Some("no-such-browser-anywhere"));
        assert_eq!(missing, Err(NotFound::Named("no-such-browser-anywhere".to_owned())));
    }
}
