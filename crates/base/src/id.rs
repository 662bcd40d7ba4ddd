//! Ids. Those of nodes, interfaces and links are ranks of *names* in sorted order, never positions
//! in a file; those of events are handed out by the [`Tracer`](crate::Tracer).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty) $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

ids! {
    /// A host, switch or hub: its rank among the names of the lab's nodes.
    NodeId(u32) "n";
    /// An interface of a node, from 1. On a host 1 is `lo`, the others follow in the order of
    /// their networks' names.
    IfIndex(u16) "if";
    /// A link: its rank among the names of the lab's links.
    LinkId(u32) "l";
    /// A process on a host. Unique on its host for the life of the world.
    Pid(u32) "p";
    /// A trace event. 0 means «none»; the first event of a world is 1.
    EventId(u64) "#";
    /// A conversation: a hash of protocol and both end points, the same in both directions.
    /// 0 means «none».
    FlowId(u64) "f";
}

impl EventId {
    /// No event.
    pub const NONE: EventId = EventId(0);
}

impl FlowId {
    /// No flow.
    pub const NONE: FlowId = FlowId(0);
}

/// One of the two ends of a link. `A` is the end at the host whose name the link carries
/// (`web.home`: the end at `web`), `B` the end at the network's switch or hub.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkEnd {
    /// The end at the host that the link is named after.
    A,
    /// The end at the network.
    B,
}

impl LinkEnd {
    /// The opposite end.
    pub const fn other(self) -> LinkEnd {
        match self {
            LinkEnd::A => LinkEnd::B,
            LinkEnd::B => LinkEnd::A,
        }
    }

    /// 0 for `A`, 1 for `B`.
    pub const fn index(self) -> usize {
        match self {
            LinkEnd::A => 0,
            LinkEnd::B => 1,
        }
    }
}

/// A socket of one host: a slot and the generation of its use, so that a closed socket's id is
/// never mistaken for a newer one's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct SocketId {
    /// The slot in the host's socket table.
    pub index: u32,
    /// How often the slot had been used before.
    pub generation: u32,
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}.{}", self.index, self.generation)
    }
}
