//! `cargo +nightly fuzz run names`: the body stands in `src/lib.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netarium_fuzz::run("names", bytes));
