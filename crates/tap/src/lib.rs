//! TAP devices and network namespaces of Linux, joined to Netarium's stacks and links.
//!
//! A [`Tap`] is an Ethernet cable into a kernel: what the kernel sends on its interface is read as
//! [`Frame`](netarium_wire::Frame)s, what is written arrives there. A [`Netns`] is a network of a
//! kernel's own, apart from the machine's: no interface, route or firewall rule of the machine is
//! touched. A [`Driver`] joins two ends, each a TAP or a [`Stack`](netarium_stack::Stack), by the
//! [`Wire`](netarium_world::Wire) of a world, in real time. So the kernel's TCP can be spoken to
//! over a wire that loses, delays, doubles and reorders as a lab's links do.
//!
//! In reading order:
//!
//! 1. [`error`]: why something is not possible here, and what would help;
//! 2. [`netns`] and [`rootless`]: networks of their own, with and without being root;
//! 3. [`device`]: the TAP; `offload` cuts and joins segments on its border;
//! 4. [`driver`]: two ends, a wire and the clock;
//! 5. `sys`: the only two calls of the kernel that have no safe form.
//!
//! # Leaving nothing behind
//! A TAP exists as long as its descriptor, a namespace as long as a thread, process or descriptor
//! of it. Both are the kernel's to end with this process, however it ends; programs that were
//! started in a namespace are killed with its thread. Nothing here is persistent.
//!
//! On other systems the crate is empty.

#[cfg(target_os = "linux")]
pub mod device;
#[cfg(target_os = "linux")]
pub mod driver;
#[cfg(target_os = "linux")]
pub mod error;
#[cfg(target_os = "linux")]
pub mod netns;
#[cfg(target_os = "linux")]
mod offload;
#[cfg(target_os = "linux")]
pub mod rootless;
#[cfg(target_os = "linux")]
mod sys;

#[cfg(target_os = "linux")]
pub use device::{Tap, TapSpec, TapStats};
#[cfg(target_os = "linux")]
pub use driver::{Driver, End, Inspector, Look};
#[cfg(target_os = "linux")]
pub use error::TapError;
#[cfg(target_os = "linux")]
pub use netns::Netns;
