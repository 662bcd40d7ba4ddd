//! The `netarium` command.
fn main() {}
