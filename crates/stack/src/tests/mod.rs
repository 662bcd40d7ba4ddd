//! Tests that look inside: what must hold of a host's tables whatever arrives.

#[path = "../../tests/common/mod.rs"]
mod common;
mod defects;
mod frames;
mod invariants;
mod segments;
mod sizes;
mod streams;
