//! Tests of the server and its files.
