//! Has cargo look at `labs/` again when a file comes or goes there: `include_dir!` is told of neither.

#[allow(clippy::disallowed_macros, reason = "this is how a build script talks to cargo")]
fn main() {
    println!("cargo:rerun-if-changed=labs");
}
