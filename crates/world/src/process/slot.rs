//! Where the world is while one of its tasks is polled or dropped: a slot of the thread.
//!
//! The executor moves the core in, polls, and takes it back. Handles find it here; so they need no
//! reference to it and stay `Send`.

use std::cell::RefCell;

use crate::core::Core;

thread_local! {
    static SLOT: RefCell<Option<Box<Core>>> = const { RefCell::new(None) };
}

/// Runs `f` with the core in the slot. `core` is `Some` before and after, even when `f` panics:
/// it must catch its panics itself.
pub(crate) fn enter<R>(core: &mut Option<Box<Core>>, f: impl FnOnce() -> R) -> R {
    // A world that a program of another world drives would find the slot taken: swap, then restore.
    let outer = SLOT.with(|s| s.replace(core.take()));
    let result = f();
    *core = SLOT.with(|s| s.replace(outer));
    result
}

/// Runs `f` on the core.
///
/// # Panics
/// Outside a program that a world runs, and when called from inside another such call.
pub(crate) fn with<R>(f: impl FnOnce(&mut Core) -> R) -> R {
    SLOT.with(|s| {
        let mut slot =
            s.try_borrow_mut().expect("a call on a process inside another one's closure");
        f(slot
            .as_mut()
            .expect("processes and sockets work only inside a program that a world runs"))
    })
}

/// Runs `f` on the core when there is one: for drops, which may come at any time.
pub(crate) fn try_with<R>(f: impl FnOnce(&mut Core) -> R) -> Option<R> {
    SLOT.try_with(|s| s.try_borrow_mut().ok()?.as_deref_mut().map(f)).ok().flatten()
}
