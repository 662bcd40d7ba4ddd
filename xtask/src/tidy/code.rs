//! Names and attributes that have no place here.

use proc_macro2::{TokenStream, TokenTree};

use super::floors;
use crate::repo::{Finding, Repo};
use crate::source::{Attribute, Name, Source};

/// Files that may contain `unsafe`.
const UNSAFE_ALLOWED: &[&str] = &["crates/tap/src/sys.rs"];
/// Production files of pure crates that may lift a ban of `clippy.toml`, each with a reviewed
/// reason beside the attribute.
const BAN_LIFTED: &[&str] = &["crates/lab/build.rs"];

/// Marks of unfinished work that compile.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];
/// What a pure crate must not even name: a second net under clippy's, independent of its paths.
const IMPURE: &[&str] = &[
    "std::thread",
    "std::net::Tcp",
    "std::net::Udp",
    "std::fs",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::collections::Hash",
    "tokio::time",
    "tokio::net",
    "tokio::select",
];

/// Checks each file.
pub(super) fn check(_: &Repo, sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Finding> {
    let names = source.names.iter().filter_map(|name| check_name(source, name));
    let attributes = source.attributes.iter().filter_map(|a| check_attribute(source, a));
    names.chain(attributes).collect()
}

fn check_name(source: &Source, name: &Name) -> Option<Finding> {
    let error =
        |what: String, hint: &str| Some(Finding::error(&source.path, name.line, what, hint));
    let last = name.path.rsplit("::").next().unwrap_or_default();
    if name.is_macro && UNFINISHED.contains(&last) {
        return error(format!("`{last}!` is left"), "finish it or leave it out");
    }
    if name.path == "unsafe" && !UNSAFE_ALLOWED.contains(&source.path.as_str()) {
        return error("`unsafe` outside its allow list".into(), "find a safe way");
    }
    let is_test = source.is_test_line(name.line);
    if is_test && is_sleep(&name.path) {
        return error(format!("a test sleeps: `{}`", name.path), "wait for what it waits for");
    }
    let banned = IMPURE.iter().any(|ban| starts_with_path(&name.path, ban));
    if banned && !is_test && is_pure(&source.path) && !is_lifted(source) {
        let what = format!("a pure crate names `{}`", name.path);
        return error(what, "nothing below `server` touches the real machine");
    }
    None
}

fn check_attribute(source: &Source, attribute: &Attribute) -> Option<Finding> {
    let error =
        |what: &str, hint: &str| Some(Finding::error(&source.path, attribute.line, what, hint));
    let tokens: Vec<TokenTree> = attribute.tokens.clone().into_iter().collect();
    if let [TokenTree::Ident(name)] = tokens.as_slice()
        && name == "ignore"
    {
        return error("`#[ignore]` without a reason", "#[ignore = \"why\"]");
    }
    let muted = muted_lints(&tokens)?;
    if !contains_ident(&muted, "reason") {
        return error("a lint is muted without a reason", "add `reason = \"why\"`");
    }
    let lifts = muted.to_string().contains("disallowed_");
    let is_test = source.is_test_line(attribute.line);
    if lifts && is_pure(&source.path) && !is_test && !is_lifted(source) {
        return error(
            "a pure crate lifts a ban outside of tests",
            "see BAN_LIFTED in tidy/code.rs",
        );
    }
    None
}

/// What stands in the parentheses of an `allow` or `expect`, also inside a `cfg_attr`.
fn muted_lints(tokens: &[TokenTree]) -> Option<TokenStream> {
    tokens.iter().enumerate().find_map(|(i, token)| {
        let TokenTree::Ident(name) = token else { return None };
        let Some(TokenTree::Group(group)) = tokens.get(i + 1) else { return None };
        match name.to_string().as_str() {
            "allow" | "expect" => Some(group.stream()),
            "cfg_attr" => muted_lints(&group.stream().into_iter().collect::<Vec<_>>()),
            _ => None,
        }
    })
}

fn contains_ident(stream: &TokenStream, ident: &str) -> bool {
    stream.clone().into_iter().any(|t| matches!(t, TokenTree::Ident(i) if i == ident))
}

fn is_sleep(path: &str) -> bool {
    ["thread::sleep", "time::sleep"].iter().any(|s| path == *s || path.ends_with(&format!("::{s}")))
}

/// Whether `path` is `ban` or something in it, or for a ban that ends within a name begins so.
fn starts_with_path(path: &str, ban: &str) -> bool {
    let is_open = matches!(ban.rsplit("::").next(), Some("Tcp" | "Udp" | "Hash"));
    path.strip_prefix(ban).is_some_and(|r| r.is_empty() || r.starts_with("::") || is_open)
}

fn is_pure(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("crates") && parts.next().is_some_and(|p| floors::PURE.contains(&p))
}

fn is_lifted(source: &Source) -> bool {
    BAN_LIFTED.contains(&source.path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many findings `text` has at `path`.
    fn count(path: &str, text: &str) -> usize {
        check_source(&Source::parse(path, text.to_owned()).expect("is Rust")).len()
    }

    const PURE: &str = "crates/stack/src/tcp/mod.rs";
    const TEST: &str = "crates/stack/tests/tcp.rs";
    const SERVER: &str = "crates/server/src/lib.rs";

    #[test]
    fn unfinished_work_is_found_in_code_only() {
        assert_eq!(count(SERVER, "fn f() { todo!() }"), 1);
        assert_eq!(count(SERVER, "fn f() { std::unimplemented!(); dbg!(1); }"), 2);
        assert_eq!(count(SERVER, "// todo!()\nfn f() { let s = \"dbg!(x)\"; }"), 0);
    }

    #[test]
    fn unsafe_is_found_as_a_keyword_only() {
        assert_eq!(count(SERVER, "fn f() { unsafe { g() } }"), 1);
        assert_eq!(count(SERVER, "#![forbid(unsafe_code)]\n/// unsafe\nfn f() {}"), 0);
    }

    #[test]
    fn tests_do_not_sleep() {
        assert_eq!(count(TEST, "fn f() { std::thread::sleep(d); }"), 1);
        assert_eq!(count(TEST, "use tokio::{time::{self, sleep}};"), 1);
        assert_eq!(count(SERVER, "fn f() { std::thread::sleep(d); }"), 0);
        assert_eq!(count(SERVER, "#[cfg(test)]\nmod tests { fn f() { thread::sleep(d) } }"), 1);
    }

    #[test]
    fn pure_crates_do_not_name_the_machine() {
        assert_eq!(count(PURE, "use std::{thread, net::{IpAddr, TcpStream}};"), 2);
        assert_eq!(count(PURE, "use std::collections::{BTreeMap, HashMap};"), 1);
        assert_eq!(count(PURE, "std::thread_local! { static A: u8 = 0; }"), 0);
        assert_eq!(count(TEST, "use std::thread;"), 0);
        assert_eq!(count(SERVER, "use std::thread;"), 0);
    }

    #[test]
    fn muting_needs_a_reason_and_bans_hold_outside_tests() {
        assert_eq!(count(SERVER, "#[allow(dead_code)]\nfn f() {}"), 1);
        assert_eq!(count(SERVER, "#[cfg_attr(unix, expect(dead_code))]\nfn f() {}"), 1);
        assert_eq!(count(SERVER, "#[allow(dead_code, reason = \"x\")]\nfn f() {}"), 0);
        assert_eq!(count(SERVER, "#[derive(Debug)]\nstruct S;"), 0);
        let lifted = "#![allow(clippy::disallowed_types, reason = \"x\")]";
        assert_eq!((count(PURE, lifted), count(TEST, lifted), count(SERVER, lifted)), (1, 0, 0));
    }

    #[test]
    fn an_ignored_test_says_why() {
        assert_eq!(count(TEST, "#[test]\n#[ignore]\nfn f() {}"), 1);
        assert_eq!(count(TEST, "#[test]\n#[ignore = \"needs an hour\"]\nfn f() {}"), 0);
    }
}
