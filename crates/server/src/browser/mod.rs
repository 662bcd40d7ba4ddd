//! The installed browser, with a throw-away profile and a lab's proxy: the lab's names and addresses
//! work as typed.
//!
//! Nothing of the system is changed, and nothing of the user's own profile is seen: the browser gets
//! a new folder for everything it keeps. All its connections go through the proxy, those to
//! `localhost` too (which is then the lab host's own), so that whatever a browser fetches by itself
//! finds nobody.

mod find;
mod firefox;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use find::{NotFound, find};

/// What a browser's command line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Chrome, Chromium, Edge, Brave.
    Chromium,
    /// Firefox.
    Firefox,
}

/// An installed browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// The program.
    pub program: PathBuf,
    /// What its command line looks like.
    pub family: Family,
}

/// How a browser is to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The lab's proxy.
    pub proxy: SocketAddr,
    /// Without a window.
    pub headless: bool,
    /// Whether the sandbox of Chromium must be left out, because the user is root.
    pub no_sandbox: bool,
    /// What the user adds.
    pub extra: Vec<OsString>,
    /// The first page.
    pub url: String,
}

impl Browser {
    /// A folder for the profile, filled as far as the browser wants it; removed with the value.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn profile(&self, launch: &Launch) -> io::Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("netarium-browser-");
        let dir = match snap_dir(&self.program) {
            Some(home) => builder.tempdir_in(home)?,
            None => builder.tempdir()?,
        };
        if self.family == Family::Firefox {
            std::fs::write(dir.path().join("user.js"), firefox::preferences(launch.proxy))?;
        }
        Ok(dir)
    }

    /// Program and arguments.
    pub fn command(&self, profile: &Path, launch: &Launch) -> Vec<OsString> {
        let mut line = vec![self.program.clone().into_os_string()];
        match self.family {
            Family::Chromium => line.extend(chromium(profile, launch)),
            Family::Firefox => {
                let words: [OsString; 4] = [
                    "--profile".into(),
                    profile.into(),
                    "--no-remote".into(),
                    "--new-instance".into(),
                ];
                line.extend(words);
                line.extend(launch.headless.then(|| OsString::from("--headless")));
            }
        }
        line.extend(launch.extra.iter().cloned());
        line.push(launch.url.clone().into());
        line
    }
}

/// Where Chromium goes by itself, whatever it is told. The proxy is not asked for these names, and
/// beside it no name is found: nothing leaves, and the lab's screen is not filled with refusals.
const ERRANDS: [&str; 5] = [
    "accounts.google.com",
    "clients2.google.com",
    "content-autofill.googleapis.com",
    "optimizationguide-pa.googleapis.com",
    "update.googleapis.com",
];

fn chromium(profile: &Path, launch: &Launch) -> Vec<OsString> {
    let mut folder = OsString::from("--user-data-dir=");
    folder.push(profile);
    let mut line = vec![
        folder,
        // Names are looked up by the proxy, in the lab.
        format!("--proxy-server=socks5://{}", launch.proxy).into(),
        // Otherwise `localhost`, 127/8 and link-local addresses would be the real machine's.
        format!("--proxy-bypass-list=<-loopback>;{}", ERRANDS.join(";")).into(),
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1".into(),
    ];
    // A lab speaks http: no page is to be tried by https first.
    let quiet = [
        "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,DnsOverHttps",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--disable-client-side-phishing-detection",
        "--metrics-recording-only",
        "--password-store=basic",
    ];
    line.extend(quiet.map(OsString::from));
    line.extend(launch.headless.then(|| OsString::from("--headless=new")));
    line.extend(launch.headless.then(|| OsString::from("--disable-gpu")));
    line.extend(launch.no_sandbox.then(|| OsString::from("--no-sandbox")));
    line
}

/// A browser from a snap cannot see the system's temporary folder: where it can write instead.
fn snap_dir(program: &Path) -> Option<PathBuf> {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let from_snap = program.starts_with("/snap") || real.ends_with("snap");
    let name = program.file_name()?;
    let home = PathBuf::from(std::env::var_os("HOME")?).join("snap").join(name).join("common");
    (from_snap && home.is_dir()).then_some(home)
}

/// A URL as people type it: `192.168.17.17`, `www.shop.lab/menu`.
pub fn as_typed(text: &str) -> String {
    let has_scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        rest.starts_with("//") || matches!(scheme, "about" | "chrome" | "data")
    });
    match has_scheme {
        true => text.to_owned(),
        false if text.is_empty() => "about:blank".to_owned(),
        false => format!("http://{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(headless: bool, no_sandbox: bool) -> Launch {
        Launch {
            proxy: "127.0.0.1:1080".parse().unwrap(),
            headless,
            no_sandbox,
            extra: vec!["--screenshot=x.png".into()],
            url: "http://web/".to_owned(),
        }
    }

    #[test]
    fn all_connections_of_a_browser_go_through_the_proxy() {
        let chromium = Browser { program: "/usr/bin/chromium".into(), family: Family::Chromium };
        let line = chromium.command(Path::new("/tmp/p"), &launch(true, true));
        let has = |word: &str| line.iter().any(|w| w == word);
        assert!(has("--user-data-dir=/tmp/p") && has("--no-sandbox") && has("--headless=new"));
        assert!(has("--proxy-server=socks5://127.0.0.1:1080"));
        assert!(line.iter().any(|w| {
            w.to_string_lossy().starts_with("--proxy-bypass-list=<-loopback>;accounts.google.com;")
        }));
        assert_eq!(line.last().unwrap(), "http://web/");
        assert!(has("--screenshot=x.png"));
        let line = chromium.command(Path::new("/tmp/p"), &launch(false, false));
        assert!(!line.iter().any(|w| w == "--no-sandbox" || w == "--headless=new"));

        let firefox = Browser { program: "/usr/bin/firefox".into(), family: Family::Firefox };
        let profile = firefox.profile(&launch(true, true)).unwrap();
        let prefs = std::fs::read_to_string(profile.path().join("user.js")).unwrap();
        for pref in [
            r#"user_pref("network.proxy.socks_port", 1080);"#,
            r#"user_pref("network.proxy.socks_remote_dns", true);"#,
            r#"user_pref("network.proxy.allow_hijacking_localhost", true);"#,
        ] {
            assert!(prefs.contains(pref), "{prefs}");
        }
        let path = profile.path().to_owned();
        drop(profile);
        assert!(!path.exists(), "nothing is left behind");
    }

    #[test]
    fn urls_are_taken_as_typed() {
        for (typed, url) in [
            ("192.168.17.17", "http://192.168.17.17"),
            ("web:8080/x", "http://web:8080/x"),
            ("http://web/", "http://web/"),
            ("https://web/", "https://web/"),
            ("about:blank", "about:blank"),
            ("", "about:blank"),
        ] {
            assert_eq!(as_typed(typed), url);
        }
    }
}
