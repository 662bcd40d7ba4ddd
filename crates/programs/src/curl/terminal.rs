//! Where curl's words and data go: `-v` lines on standard error, the body on standard output or
//! into a file.

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::exchange::Failure;

/// Standard error, in the manner of `-v`.
pub(super) struct Terminal<'a> {
    err: &'a mut (dyn AsyncWrite + Unpin),
    verbose: bool,
}

impl<'a> Terminal<'a> {
    pub(super) fn new(err: &'a mut (dyn AsyncWrite + Unpin), verbose: bool) -> Terminal<'a> {
        Terminal { err, verbose }
    }

    /// `* text`.
    pub(super) async fn info(&mut self, text: &str) {
        self.show(b"* ", format!("{text}\n").as_bytes()).await;
    }

    /// `> header line`, as sent.
    pub(super) async fn header_out(&mut self, line: &[u8]) {
        self.show(b"> ", line).await;
    }

    /// `< header line`, as received.
    pub(super) async fn header_in(&mut self, line: &[u8]) {
        self.show(b"< ", line).await;
    }

    /// `} [n bytes data]`.
    pub(super) async fn data_out(&mut self, n: usize) {
        self.show(b"} ", format!("[{n} bytes data]\n").as_bytes()).await;
    }

    /// `{ [n bytes data]`.
    pub(super) async fn data_in(&mut self, n: usize) {
        self.show(b"{ ", format!("[{n} bytes data]\n").as_bytes()).await;
    }

    /// A line whether verbose or not.
    pub(super) async fn say(&mut self, text: &str) {
        // Nobody reads standard error: then there is nobody to tell.
        let _ = self.err.write_all(format!("{text}\n").as_bytes()).await;
    }

    async fn show(&mut self, prefix: &[u8], text: &[u8]) {
        if self.verbose {
            let _ = self.err.write_all(&[prefix, text].concat()).await;
        }
    }
}

/// Where the body goes.
pub(super) enum Sink<'a> {
    /// Standard output.
    Stream(&'a mut (dyn AsyncWrite + Unpin)),
    /// A file, written when the transfer has ended.
    File {
        /// What came so far.
        contents: Vec<u8>,
        /// The most bytes a file has.
        limit: usize,
    },
    /// `/dev/null`.
    Null,
}

impl Sink<'_> {
    /// Takes some of the body; waits while nobody reads standard output.
    pub(super) async fn write(&mut self, data: &[u8]) -> Result<(), Failure> {
        match self {
            Sink::Stream(out) => out
                .write_all(data)
                .await
                .map_err(|_| Failure::new(23, "Failure writing output to destination")),
            Sink::File { contents, limit } if contents.len() + data.len() > *limit => Err(
                Failure::new(23, format!("Failed writing body: a file has at most {limit} bytes")),
            ),
            Sink::File { contents, .. } => {
                contents.extend_from_slice(data);
                Ok(())
            }
            Sink::Null => Ok(()),
        }
    }
}
