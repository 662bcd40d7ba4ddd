//! Where a world meets the real machine.
//!
//! In reading order:
//!
//! 1. [`runner`]: the thread that owns a world and keeps it in step with real time ([`clock`]);
//! 2. [`publish`]: real ports whose connections and datagrams continue inside the lab; [`clients`]:
//!    who comes through them; [`proxy`]: SOCKS5 and HTTP into the lab; [`attach`]: lab ports that
//!    continue to real servers; [`browser`]: the installed browser with that proxy;
//! 3. [`api`]: the control API, [`client`]: its other side, [`runtime_file`]: how they find each
//!    other;
//! 4. [`source`] and [`folder`]: which lab is meant, and reading it from disk; `copies`: where built-in
//!    ones can be edited; `watch`: its edits;
//! 5. [`up`]: all of it together: a lab that runs;
//! 6. [`report`]: what is told to the person who started the lab;
//! 7. [`stops`]: breakpoints and steps; `observe`: live streams of trace events and frames;
//!    [`recording`]: where the inputs are kept; [`past`]: a second, read-only world of a run;
//!    `os`: what differs between systems.
//!
//! Nothing here decides how a protocol behaves: bytes go in, bytes come out. Everything below this
//! crate is virtual; everything real (clocks, threads, sockets, files) is here.

pub mod api;
pub mod attach;
pub mod browser;
pub mod client;
pub mod clients;
pub mod clock;
mod copies;
pub mod folder;
mod observe;
mod os;
pub mod past;
pub mod proxy;
pub mod publish;
pub mod recording;
pub mod report;
pub mod runner;
pub mod runtime_file;
pub mod source;
pub mod stops;
pub mod up;
mod watch;

pub use clock::Pace;
pub use os::{PortHolder, user_is_root};
pub use runner::{WorldHandle, WorldThread};
