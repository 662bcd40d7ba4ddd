//! What the server tells the person who started it: one [`Notice`] per thing that happened.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::stops::Stopped;

/// Who came through a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its address and port: a real one, or, for an attached server, the lab's.
    pub address: String,
    /// The real program, where that can be known; for an attached server, the lab's host.
    pub program: Option<String>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)?;
        self.program.iter().try_for_each(|program| write!(f, " ({program})"))
    }
}

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A real client's connection reached its target in the lab, or a lab's connection its real server.
    Connected {
        /// Who.
        client: Caller,
        /// Where it went.
        to: String,
    },
    /// A connection ended.
    Closed {
        /// Who.
        client: Caller,
        /// Where it had gone.
        to: String,
        /// Bytes from the client into the lab.
        sent: u64,
        /// Bytes from the lab to the client.
        received: u64,
        /// How long it lasted.
        lasted: Duration,
        /// How it ended.
        end: End,
    },
    /// A connection did not come about, and who wanted it was reset or told so.
    Refused {
        /// Who.
        client: Caller,
        /// Where it wanted to go.
        to: String,
        /// Why, in words.
        reason: String,
    },
    /// Connections beyond the limit were reset; at most one notice per second and port.
    OverLimit {
        /// The published port.
        listen: SocketAddr,
        /// The limit.
        limit: usize,
        /// How many since the last notice.
        connections: u64,
    },
    /// Clients of a published UDP port that had been silent for the longest made room for new ones; at
    /// most one notice per second and port.
    FlowsEvicted {
        /// The published port.
        listen: SocketAddr,
        /// The limit.
        limit: usize,
        /// How many since the last notice.
        flows: u64,
    },
    /// Datagrams of real clients were dropped because the lab had no room for them; at most one notice
    /// per second and port.
    DatagramsDropped {
        /// The published port.
        listen: SocketAddr,
        /// How many since the last notice.
        datagrams: u64,
    },
    /// The system gives no descriptors or memory for new connections; they wait. At most one notice
    /// per second and port.
    Starved {
        /// The published port.
        listen: SocketAddr,
        /// What the system said.
        error: String,
    },
    /// An event fulfilled a breakpoint's condition, and the lab stands still.
    Stopped(Stopped),
    /// A program that the lab file started in the background ended by itself, and not well.
    Failed {
        /// The host.
        host: String,
        /// The words of the command.
        argv: Vec<String>,
        /// Its exit code, 1 to 128.
        code: i32,
        /// The last of what it wrote.
        said: String,
    },
    /// Something else that the person should know.
    Trouble(String),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides had said all they had to say.
    Closed,
    /// The real client broke it off.
    ResetByClient,
    /// The lab broke it off.
    ResetByLab(String),
    /// The lab ended.
    LabEnded,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Closed => f.write_str("closed"),
            End::ResetByClient => f.write_str("reset by the client"),
            End::ResetByLab(reason) => write!(f, "reset by the lab ({reason})"),
            End::LabEnded => f.write_str("ended with the lab"),
        }
    }
}

/// Takes notices, from any thread.
#[derive(Clone)]
pub struct Reporter(Arc<dyn Fn(Notice) + Send + Sync>);

impl Reporter {
    /// A reporter that calls `take`, which must not block for long.
    pub fn new(take: impl Fn(Notice) + Send + Sync + 'static) -> Reporter {
        Reporter(Arc::new(take))
    }

    /// A reporter that tells nobody.
    pub fn silent() -> Reporter {
        Reporter::new(|_| ())
    }

    /// Hands a notice over.
    pub fn tell(&self, notice: Notice) {
        (self.0)(notice);
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}
