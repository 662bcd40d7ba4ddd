//! Waiting for one of two things, in a fixed order: nothing here is decided by chance.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use netarium_base::Instant;
use netarium_world::process::Process;

/// The value of `future`, or `None` when `deadline` comes first. At the same instant the future
/// wins.
pub(crate) async fn within<F: Future>(
    process: &Process,
    deadline: Option<Instant>,
    future: F,
) -> Option<F::Output> {
    match deadline {
        None => Some(future.await),
        Some(at) => first(future, process.sleep_until(at)).await.ok(),
    }
}

/// What ends first: `a` (`Ok`) or `b` (`Err`). `a` is asked first.
pub(crate) async fn first<A: Future, B: Future>(a: A, b: B) -> Result<A::Output, B::Output> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    poll_fn(|cx| match a.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => b.as_mut().poll(cx).map(Err),
    })
    .await
}
