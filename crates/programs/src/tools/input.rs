//! What the text tools share: files or standard input, line by line, and output in pieces.

use netarium_world::process::{Fd, OpenError, OpenMode, Process};
use tokio::io::AsyncWriteExt;

/// How much output is gathered from a file before it is written.
const PIECE: usize = 32 * 1024;

/// An input: a file of the host, or standard input.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) fd: Fd,
    /// It is a file: all of it is there.
    pub(crate) regular: bool,
}

impl Input {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(process: &Process, name: &str) -> Result<Input, String> {
        if name == "-" {
            return Ok(Input { fd: process.fd(0), regular: false });
        }
        let fd = process.open(name, OpenMode::Read).map_err(|e: OpenError| e.to_string())?;
        Ok(Input { fd, regular: true })
    }

    /// The next line with its newline; the last one may have none. `None` at the end.
    pub(crate) async fn line(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut line = Vec::new();
        let n = self.fd.read_line(&mut line).await.map_err(|e| e.to_string())?;
        Ok((n > 0).then_some(line))
    }
}

/// The names that are given, or standard input.
pub(crate) fn names(operands: Vec<String>) -> Vec<String> {
    if operands.is_empty() { vec!["-".to_owned()] } else { operands }
}

/// Standard output in larger pieces.
#[derive(Debug)]
pub(crate) struct Out {
    process: Process,
    bytes: Vec<u8>,
}

impl Out {
    pub(crate) fn new(process: &Process) -> Out {
        Out { process: *process, bytes: Vec::new() }
    }

    /// Adds output; at once when more may take long to come.
    pub(crate) async fn put(&mut self, bytes: &[u8], now: bool) {
        self.bytes.extend_from_slice(bytes);
        if now || self.bytes.len() >= PIECE {
            self.flush().await;
        }
    }

    /// Writes what was gathered. Who does not read has ended this process already.
    pub(crate) async fn flush(&mut self) {
        let _ = self.process.stdout().write_all(&std::mem::take(&mut self.bytes)).await;
    }
}

/// Says what GNU's tools say about a wrong option.
pub(crate) async fn usage(process: &Process, name: &str, why: &str, code: i32) -> i32 {
    let text = format!("{name}: {why}\nTry '{name} --help' for more information.\n");
    process.eprint(&text).await;
    code
}
