//! Any bytes as segments, calls and waits of one host: `cargo +nightly fuzz run segments`.
#![no_main]

#[path = "../../crates/stack/tests/common/mod.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| common::fuzz::segments(bytes));
