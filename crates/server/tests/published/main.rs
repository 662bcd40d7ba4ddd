//! Published ports with real loopback sockets, against a real world. Nothing here sleeps: each wait
//! is for something that happens.

mod attach;
mod bytes;
mod clients;
mod control;
mod edits;
mod ends;
mod limits;
mod pacing;
mod proxy;
mod support;
mod tools;
mod udp;
