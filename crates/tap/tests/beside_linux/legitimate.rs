//! What may differ between Linux and us, and why. The same list stands in `docs/tcp.md`.

use super::generate::Step;
use super::sides::Reply;

/// Whether two replies are the same, windows compared loosely.
pub fn same(ours: &Reply, linux: &Reply) -> bool {
    ours.result == linux.result
        && ours.segments.len() == linux.segments.len()
        && ours.segments.iter().zip(&linux.segments).all(|(a, b)| a.is_like(b))
}

/// Why this difference is none to repair; the script ends there.
pub fn reason(_step: &Step, _ours: &Reply, _linux: &Reply) -> Option<&'static str> {
    None
}
