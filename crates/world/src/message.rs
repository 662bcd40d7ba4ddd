//! What crosses a world's border: [`Input`] in, [`Output`] out, and nothing else.
//!
//! Outside connections and sessions are *message ports*. Both directions are bounded by credit: a
//! side may send at most as many bytes as the other side has granted. Who sends more is reset.
//!
//! The life of a connection: `Open`, then [`Output::Accepted`] with the first credit, or
//! [`Output::Reset`] with the reason. `Data` and `Credit` flow both ways; [`Output::Credit`] grants
//! again what the lab's socket took. The port ends with `Eof` in both directions, or with `Reset`
//! from either. The life of a session: `Exec`, then [`Output::Accepted`], `Data` and `Credit`, and
//! at the end [`Output::Exit`]. Messages to a port that has ended are ignored: they were under way
//! when it ended.

use core::net::SocketAddr;

/// An outside connection or session. The outside chooses it and never uses it twice in one world.
pub type PortId = u64;

/// The most bytes that one [`Output::Data`] carries.
pub const DATA_MAX: usize = 256 * 1024;
/// The credit that [`Output::Accepted`] grants a connection, bytes.
pub const CONNECTION_CREDIT: u32 = 256 * 1024;
/// The credit that [`Output::Accepted`] grants a session's standard input, bytes.
pub const STDIN_CREDIT: u32 = 64 * 1024;
/// The most credit a port keeps, bytes; grants beyond it are cut.
pub const CREDIT_MAX: u32 = 64 * 1024 * 1024;

/// Everything that can influence a running world. Applied between events, stamped with the world's
/// now, and journalled in the order applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A real client connected to a published port, or asks for a connection through the proxy.
    Open {
        /// The new port.
        port: PortId,
        /// A label of the real client: `127.0.0.1:51234`.
        client: String,
        /// The host that opens the connection; the gateway when not given.
        from: Option<String>,
        /// Where to.
        to: SocketAddr,
    },
    /// Bytes of a connection, or a session's standard input.
    Data {
        /// The port.
        port: PortId,
        /// The bytes; at most as many as the port has credit for.
        bytes: Vec<u8>,
    },
    /// The outside sends no more bytes.
    Eof {
        /// The port.
        port: PortId,
    },
    /// The outside is gone: a connection is reset, a session's program is hung up (signal 1).
    Reset {
        /// The port.
        port: PortId,
    },
    /// The outside can take this many bytes more.
    Credit {
        /// The port.
        port: PortId,
        /// How many.
        bytes: u32,
    },
    /// Runs a program on a host, as a foreground session.
    Exec {
        /// The new port.
        port: PortId,
        /// The host.
        host: String,
        /// Program and arguments.
        argv: Vec<String>,
        /// Whether standard input will come; otherwise it is at its end from the start.
        stdin: bool,
        /// How many bytes of output the outside can take at first, both streams together.
        credit: u32,
    },
    /// Sends a signal to a session's program.
    Signal {
        /// The port.
        port: PortId,
        /// 1 HUP, 2 INT, 9 KILL or 15 TERM; others do nothing.
        signal: u8,
    },
    /// A file of the lab's folder was written or removed.
    FileWrite {
        /// Its path, relative to the folder.
        path: String,
        /// What it contains now; `None` when it was removed.
        bytes: Option<Vec<u8>>,
    },
}

/// Which stream bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A connection.
    Net,
    /// A program's standard output.
    Stdout,
    /// A program's standard error.
    Stderr,
}

/// What a world tells the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The connection is established, or the program started.
    Accepted {
        /// The port.
        port: PortId,
        /// How many bytes the outside may send at first.
        credit: u32,
    },
    /// The outside may send this many bytes more.
    Credit {
        /// The port.
        port: PortId,
        /// How many.
        bytes: u32,
    },
    /// Bytes for the outside, at most [`DATA_MAX`].
    Data {
        /// The port.
        port: PortId,
        /// Which stream.
        stream: Stream,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The lab sends no more bytes on this connection.
    Eof {
        /// The port.
        port: PortId,
    },
    /// The port is gone.
    Reset {
        /// The port.
        port: PortId,
        /// Why, in words.
        reason: String,
    },
    /// The session's program ended.
    Exit {
        /// The port.
        port: PortId,
        /// Its exit code: 128 + signal number when it was killed, 134 when it panicked, 127 when
        /// there is no such program.
        code: i32,
        /// What to tell about the end, when there is something to tell.
        message: Option<String>,
    },
}

impl Input {
    /// The port it is about.
    pub fn port(&self) -> Option<PortId> {
        match self {
            Input::Open { port, .. }
            | Input::Data { port, .. }
            | Input::Eof { port }
            | Input::Reset { port }
            | Input::Credit { port, .. }
            | Input::Exec { port, .. }
            | Input::Signal { port, .. } => Some(*port),
            Input::FileWrite { .. } => None,
        }
    }

    /// What kind of input it is, as trace events name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Input::Open { .. } => "open",
            Input::Data { .. } => "data",
            Input::Eof { .. } => "eof",
            Input::Reset { .. } => "reset",
            Input::Credit { .. } => "credit",
            Input::Exec { .. } => "exec",
            Input::Signal { .. } => "signal",
            Input::FileWrite { .. } => "file",
        }
    }

    /// How many bytes it carries or grants.
    pub fn bytes(&self) -> u64 {
        match self {
            Input::Data { bytes, .. } => bytes.len() as u64,
            Input::Credit { bytes, .. } | Input::Exec { credit: bytes, .. } => u64::from(*bytes),
            Input::FileWrite { bytes: Some(bytes), .. } => bytes.len() as u64,
            _ => 0,
        }
    }
}
