//! Tests that look inside: what must hold of a host's tables whatever arrives.

#[path = "../../tests/common/mod.rs"]
mod common;
mod defects;
mod frames;
mod invariants;
mod segments;
mod sizes;
mod streams;

/// What a connection costs beyond what is in its buffers: an idle one stays below 2 kB with all
/// that it points to.
#[test]
fn connections_are_small() {
    use crate::tcp::Connection;
    use crate::tcp::congestion::cubic::Cubic;
    let (connection, cubic) = (size_of::<Connection>(), size_of::<Cubic>());
    assert!(connection <= 1600 && cubic <= 96, "{connection} {cubic}");
}
