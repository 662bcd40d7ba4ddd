//! `netarium drill` from outside: output, exit code, JUnit.

mod common;

use std::path::Path;

use common::netarium;

const PASSES: &str = "\
// RFC 9293 §3.10.7.1: a SYN to a port without a listener is answered by RST+ACK.
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 < S 1000:1000(0) win 32792 <mss 1000>
+0 > R. 0:0(0) ack 1001
";
const FAILS: &str = "\
0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 bind(3, ..., ...) = 0
+0 < S 1000:1000(0) win 32792 <mss 1000>
+0 > R. 0:0(0) ack 1002
";
const SKIPPED: &str = "--ip_version=ipv6\n0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n";

/// A folder with scripts, one of them deeper.
fn suite() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("deeper")).unwrap();
    write("a-passes.pkt", PASSES);
    write("b-fails.pkt", FAILS);
    write("deeper/v6.pkt", SKIPPED);
    write("notes.txt", "not a script");
    dir
}

/// All that a run says, with the folder's name replaced.
fn told(dir: &Path, args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let out = netarium(home.path(), args);
    let text = format!(
        "$ netarium {}\nexit code {}\n--- stdout\n{}--- stderr\n{}",
        args.join(" "),
        out.status.code().unwrap(),
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    text.replace(&dir.display().to_string(), "[DIR]")
}

#[test]
fn a_folder_of_scripts() {
    let dir = suite();
    let path = dir.path().to_str().unwrap();
    insta::assert_snapshot!("drill", told(dir.path(), &["drill", path]));
    insta::assert_snapshot!("drill_json", told(dir.path(), &["drill", path, "--json"]));
    let passes = format!("{path}/a-passes.pkt");
    insta::assert_snapshot!("drill_verbose", told(dir.path(), &["drill", &passes, "-v"]));
}

#[test]
fn junit_is_written() {
    let dir = suite();
    let path = dir.path().to_str().unwrap();
    let report = dir.path().join("report.xml");
    let text = told(dir.path(), &["drill", path, "--junit", report.to_str().unwrap()]);
    assert!(text.contains("exit code 1\n"), "{text}");
    let xml = std::fs::read_to_string(report).unwrap();
    insta::assert_snapshot!("drill_junit", xml.replace(path, "[DIR]"));
}

#[test]
fn twice_is_the_same() {
    let dir = suite();
    let args = ["drill", dir.path().to_str().unwrap(), "--verbose"];
    assert_eq!(told(dir.path(), &args), told(dir.path(), &args));
}

#[test]
fn wrong_usage() {
    let dir = suite();
    let path = dir.path().to_str().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let empty = empty.path().to_str().unwrap();
    for args in [
        &["drill"][..],
        &["drill", "no-such-file.pkt"],
        &["drill", empty],
        &["drill", path, "--define", "nonsense"],
    ] {
        let text = told(dir.path(), args);
        assert!(text.contains("\nexit code 2\n"), "{text}");
    }
}

#[test]
fn defines_reach_the_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("x.pkt");
    std::fs::write(&script, "0 socket(..., $KIND, IPPROTO_TCP) = 3\n").unwrap();
    let path = script.to_str().unwrap();
    let without = told(dir.path(), &["drill", path]);
    assert!(without.contains("0 passed, 0 failed, 1 skipped"), "{without}");
    let with = told(dir.path(), &["drill", path, "--define", "KIND=SOCK_STREAM"]);
    assert!(with.contains("1 passed, 0 failed, 0 skipped"), "{with}");
}
