//! What `.ci/run` says at its end is what the tests said.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The last part of a log of two test programs, as `cargo test -- --show-output` writes it.
const LOG: &str = "\
   Compiling x v0.1.0
29 |         eprintln!(\"skipped: in a compiler's message\");
     Running unittests src/lib.rs (target/release/deps/x-1)

running 4 tests
test a ... ok
test b ... ok
test c ... ignored, needs an hour
test d ... FAILED

successes:

---- a stdout ----
skipped: no tshark
and again skipped: no tshark

---- b stdout ----
something else

successes:
    a
    b

failures:

---- d stdout ----
skipped: half of it
assertion failed

failures:
    d

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s

     Running tests/own.rs (target/release/deps/own-1)
skipped: no namespaces here
   Doc-tests x

running 2 tests
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

/// Runs the counting script over `log`; `None` where there is no awk.
fn count(log: &str, args: &[&str]) -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/count-tests.awk");
    let mut awk = Command::new("awk")
        .args(args)
        .arg("-f")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    awk.stdin.take()?.write_all(log.as_bytes()).expect("awk reads");
    let out = awk.wait_with_output().expect("awk ends");
    assert!(out.status.success(), "awk: {}", out.status);
    Some(String::from_utf8(out.stdout).expect("is UTF-8"))
}

#[test]
fn skipped_tests_are_told_from_passed_and_failed_ones() {
    let Some(counts) = count(LOG, &[]) else {
        eprintln!("skipped: no awk");
        return;
    };
    // Passed: b and two doc tests. Skipped: a, the ignored c, and the program without a harness.
    assert_eq!(counts, "3 1 3\n");
    let reasons = count(LOG, &["-v", "reasons=1"]).expect("there was an awk");
    assert_eq!(reasons, "skipped: no tshark\nskipped: no namespaces here\n");
}

#[test]
fn a_log_without_results_counts_nothing() {
    let Some(counts) = count("error: could not compile\n", &[]) else {
        eprintln!("skipped: no awk");
        return;
    };
    assert_eq!(counts, "0 0 0\n");
}
