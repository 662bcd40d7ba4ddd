//! What the server tells the person who started it: one [`Notice`] per thing that happened.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::stops::Stopped;

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A real client's connection reached its target in the lab.
    Connected {
        /// The real client.
        client: SocketAddr,
        /// Where in the lab it went.
        to: SocketAddr,
    },
    /// A connection ended.
    Closed {
        /// The real client.
        client: SocketAddr,
        /// Where in the lab it had gone.
        to: SocketAddr,
        /// Bytes from the client into the lab.
        sent: u64,
        /// Bytes from the lab to the client.
        received: u64,
        /// How long it lasted.
        lasted: Duration,
        /// How it ended.
        end: End,
    },
    /// A connection did not come about, and the real client was reset.
    Refused {
        /// The real client.
        client: SocketAddr,
        /// Where in the lab it wanted to go.
        to: SocketAddr,
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

    pub(crate) fn tell(&self, notice: Notice) {
        (self.0)(notice);
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}
