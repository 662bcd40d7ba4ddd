//! The workers of an application, and the queue before them.
//!
//! A request needs a worker while it is worked on. When all are busy it waits in a queue, first come
//! first served; when that is full, it is refused at once: 503, so that the client knows instead of
//! waiting for a time-out.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Workers and their queue.
#[derive(Debug)]
pub(crate) struct Pool {
    workers: usize,
    queue_max: usize,
    busy: Cell<usize>,
    next: Cell<u64>,
    queue: RefCell<VecDeque<(u64, Option<Waker>)>>,
}

/// A worker that is busy with one request; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Worker(Rc<Pool>);

impl Pool {
    /// A pool of so many workers and places in the queue.
    pub(crate) fn new(workers: usize, queue_max: usize) -> Pool {
        let queue = RefCell::default();
        Pool { workers, queue_max, busy: Cell::new(0), next: Cell::new(0), queue }
    }

    /// How many workers are busy, and how many requests wait.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.busy.get(), self.queue.borrow().len())
    }

    /// A worker, or a place in the queue; `None` when both are full.
    pub(crate) fn ask(pool: &Rc<Pool>) -> Option<Waiting> {
        let mut queue = pool.queue.borrow_mut();
        let free = pool.busy.get() < pool.workers && queue.is_empty();
        if !free && queue.len() >= pool.queue_max {
            return None;
        }
        let ticket = pool.next.get();
        pool.next.set(ticket + 1);
        // Who finds a worker free takes it now: the next one must see that.
        if free {
            pool.busy.set(pool.busy.get() + 1);
        } else {
            queue.push_back((ticket, None));
        }
        Some(Waiting { pool: Rc::clone(pool), ticket, has: free })
    }

    fn wake_first(&self) {
        if self.busy.get() < self.workers
            && let Some((_, Some(waker))) = self.queue.borrow().front()
        {
            waker.wake_by_ref();
        }
    }

    fn release(&self) {
        self.busy.set(self.busy.get() - 1);
        self.wake_first();
    }
}

/// A place in the queue, or already a worker.
#[derive(Debug)]
#[must_use = "it waits only when it is awaited"]
pub(crate) struct Waiting {
    pool: Rc<Pool>,
    ticket: u64,
    has: bool,
}

impl Future for Waiting {
    type Output = Worker;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Worker> {
        let pool = Rc::clone(&self.pool);
        if !std::mem::take(&mut self.has) {
            let mut queue = pool.queue.borrow_mut();
            let first = queue.front().is_some_and(|f| f.0 == self.ticket);
            if !first || pool.busy.get() >= pool.workers {
                if let Some(mine) = queue.iter_mut().find(|w| w.0 == self.ticket) {
                    mine.1 = Some(cx.waker().clone());
                }
                return Poll::Pending;
            }
            queue.pop_front();
            pool.busy.set(pool.busy.get() + 1);
        }
        pool.wake_first();
        Poll::Ready(Worker(pool))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.has {
            self.pool.release();
        } else {
            self.pool.queue.borrow_mut().retain(|w| w.0 != self.ticket);
            self.pool.wake_first();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(waiting: &mut Option<Waiting>) -> Option<Worker> {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(waiting.as_mut().expect("a place")).poll(&mut cx) {
            Poll::Ready(worker) => Some(worker),
            Poll::Pending => None,
        }
    }

    #[test]
    fn first_come_first_served_and_no_more_than_there_is_room_for() {
        let pool = Rc::new(Pool::new(1, 2));
        let mut a = Pool::ask(&pool);
        let (mut b, mut c) = (Pool::ask(&pool), Pool::ask(&pool));
        assert!(Pool::ask(&pool).is_none(), "worker and queue are full");
        let worker = poll(&mut a).expect("a worker was free");
        assert!(poll(&mut b).is_none() && poll(&mut c).is_none());
        assert_eq!(pool.load(), (1, 2));
        drop(worker);
        assert!(poll(&mut c).is_none(), "b is first");
        let worker = poll(&mut b).expect("b is first");
        // Who gives up makes room.
        drop(c.take());
        assert_eq!(pool.load(), (1, 0));
        drop(worker);
        assert_eq!(pool.load(), (0, 0));
        // A place that was given a worker and never used gives it back.
        drop(Pool::ask(&pool));
        assert_eq!(pool.load(), (0, 0));
    }
}
