//! What is typed while a program runs: the terminal hands lines over by itself. They are read by a
//! thread that can be called off, so that no line is taken which was meant for the next prompt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

/// A thread that reads lines until it is dropped.
#[derive(Debug)]
pub(super) struct Typed {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Typed {
    /// Begins to read; an empty piece is an end of input (Ctrl-D).
    pub(super) fn start(to: mpsc::Sender<Vec<u8>>) -> Typed {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("typed input".to_owned())
            .spawn(move || read_until(&flag, &to));
        // Without the thread, what is typed waits for the prompt.
        Typed { stop, thread: thread.ok() }
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(unix)]
fn read_until(stop: &AtomicBool, to: &mpsc::Sender<Vec<u8>>) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::Read;
    let stdin = std::io::stdin();
    let wait = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        // An interrupted wait is one that has given nothing.
        if !matches!(poll(&mut fds, Some(&wait)), Ok(1..)) {
            continue;
        }
        // Larger than the standard library's own buffer, which so stays empty.
        let mut bytes = vec![0; 32 * 1024];
        let Ok(n) = stdin.lock().read(&mut bytes) else { return };
        bytes.truncate(n);
        if to.blocking_send(bytes).is_err() {
            return;
        }
    }
}

/// Elsewhere a read cannot be called off: programs get no input.
#[cfg(not(unix))]
fn read_until(_: &AtomicBool, _: &mpsc::Sender<Vec<u8>>) {}
