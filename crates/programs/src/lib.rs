//! The programs that run on lab hosts.
#![allow(dead_code)]
pub mod calendar;
pub mod getopt;
