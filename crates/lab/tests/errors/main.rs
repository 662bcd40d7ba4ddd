//! Every error of a lab file, as a whole picture.

mod addresses;
mod built;
mod commands;
mod doors;
mod format;
mod links;
mod names;
mod policy;
mod values;

use netarium_lab::{Files, Lab};

const PROGRAMS: [&str; 7] = ["arp", "curl", "httpd", "ip", "netstat", "ping", "ps"];

/// The picture of a lab's errors; its folder has `htdocs/index.html` and the file `notes`.
fn errors_of(text: &str) -> String {
    let mut files = Files::new();
    files.insert("htdocs/index.html", "hello").unwrap();
    files.insert("notes", "a file").unwrap();
    match Lab::from_parts("lab.toml", text, &files, &PROGRAMS) {
        Ok(lab) => panic!("no error in {lab:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// A network `home` with `web` and a router to `campus`, before what is under test.
const HOME: &str = r#"version = 1
[networks.home]
subnet = "192.168.17.0/24"
[networks.campus]
subnet = "10.0.0.0/24"
[hosts.web]
networks.home = "192.168.17.17"
"#;

/// Snapshot tests: a name, a text.
macro_rules! cases {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), crate::errors_of($text));
        }
    )*};
}

/// The same after [`HOME`].
macro_rules! home_cases {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            let text = format!("{}{}", crate::HOME, $text);
            insta::assert_snapshot!(stringify!($name), crate::errors_of(&text));
        }
    )*};
}
pub(crate) use {cases, home_cases};
