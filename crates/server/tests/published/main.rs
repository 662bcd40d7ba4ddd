//! Published ports with real loopback sockets, against a real world. Nothing here sleeps: each wait
//! is for something that happens.

mod bytes;
mod control;
mod edits;
mod ends;
mod limits;
mod pacing;
mod support;
