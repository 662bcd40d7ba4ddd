//! TCP (RFC 9293 and its companions), sans-IO.
//!
//! In reading order:
//!
//! 1. [`seq`], [`state`], [`options`]: numbers, the table of transitions, options;
//! 2. [`connection`]: the transmission control block; [`config`]: its settings; `user` and
//!    `writing`: what programs ask of it;
//! 3. [`segment_in`]: a segment arrives, by the steps of the RFC;
//! 4. [`segment_out`]: what is sent next: the one place that decides; `pushing`: when a segment that
//!    is not full may go; `urgent`: urgent data both ways;
//! 5. `timeouts`, [`timers`], [`rtt`]: what happens when nothing happens;
//! 6. `recovery`: what is lost, and how much may be sent meanwhile; [`pacing`]: and how fast; [`congestion`]: the congestion
//!    window, behind a trait; `ecn`: congestion marks;
//! 7. [`send_buffer`], [`recv_buffer`], [`reassembly`]: the bytes; `window` and `ack_policy`: how
//!    much the peer may send, and when it is told what arrived;
//! 8. [`listener`], `request`, `cookies`: passive opens, and their two queues;
//! 9. [`info`]: what a connection tells about itself;
//! 10. [`demux`]: all connections of a host, found by their end points and by their deadlines.
//!
//! A connection knows neither addresses' meaning nor routes: it takes segments and gives segments.

mod ack_policy;
mod chrono;
pub mod config;
pub mod congestion;
pub mod connection;
pub(crate) mod cookies;
pub mod demux;
pub(crate) mod ecn;
pub mod info;
mod keep_alive;
pub mod listener;
pub mod options;
pub mod pacing;
mod path_mtu;
mod pushing;
pub mod reassembly;
mod recovery;
pub mod recv_buffer;
pub(crate) mod request;
pub mod rtt;
pub mod segment_in;
pub mod segment_out;
pub mod send_buffer;
pub mod seq;
pub mod state;
mod timeouts;
pub mod timers;
mod urgent;
mod user;
pub(crate) mod window;
mod writing;

pub use config::TcpConfig;
pub use connection::Connection;
pub use demux::Tcp;
pub use info::TcpInfo;
pub use listener::Listener;
pub use seq::Seq;
pub use state::{State, TRANSITIONS, Transition, Trigger};
