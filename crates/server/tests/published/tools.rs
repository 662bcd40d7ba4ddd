//! Real programs against the doors.

use std::process::{Output, Stdio};

use crate::support::soon;

/// Runs a real program to its end; `None`, and a line that says so, when it is not installed.
pub(crate) async fn real(program: &str, args: &[&str], input: &[u8]) -> Option<Output> {
    use tokio::io::AsyncWriteExt;
    let spawned = tokio::process::Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) => {
            println!("skipped: {program}: {e}");
            return None;
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    // A program that does not read may be gone.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    Some(soon(program, child.wait_with_output()).await.unwrap())
}

/// Its standard output, when it is installed.
pub(crate) async fn said(program: &str, args: &[&str], input: &[u8]) -> Option<String> {
    let output = real(program, args, input).await?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
