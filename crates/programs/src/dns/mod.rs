//! The Domain Name System: RFC 1034, 1035 and what came after.
//!
//! Messages are hickory-proto's, built without its source of randomness; everything else is here.
//! In reading order:
//!
//! 1. [`text`]: names and records as master files and `dig` write them; [`message`]: messages with
//!    a limit of size; [`wire`]: sending and receiving them over UDP and TCP;
//! 2. [`zone`]: master files, zones, what a zone says about a name;
//! 3. [`server`]: `nsd`, an authoritative server;
//! 4. [`resolver`]: `unbound`, a recursive resolver, and `unbound-control`;
//! 5. [`stub`]: what the hosts' library does for `getaddrinfo(3)`, by `/etc/resolv.conf`;
//! 6. what servers share: [`conf`], [`log`], [`listen`].
//!
//! `dig`, `nslookup` and `host` are beside this folder.

pub(crate) mod client;
pub(crate) mod conf;
pub(crate) mod getent;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod message;
pub(crate) mod resolver;
pub(crate) mod server;
pub(crate) mod stub;
pub(crate) mod text;
pub(crate) mod wire;
pub(crate) mod zone;
