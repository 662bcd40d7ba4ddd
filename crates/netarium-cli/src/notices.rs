//! What is said of connections while a lab runs: a line per notice, written by a thread of its own.
//!
//! Whoever moves bytes only puts a notice into a queue. So a screen that is slow, or a pipe that nobody
//! reads, stops no connection: when [`WAITING`] notices wait, further ones are counted, and the
//! count is told when writing goes on. Text goes to the standard error, and a storm of connections is
//! counted there instead of told; JSON goes to the standard output, line by line.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use netarium_server::report::{Notice, Reporter};

use crate::screen;
use crate::terminal::{Style, Terminal};

/// How many notices may wait for the screen.
const WAITING: usize = 16 * 1024;
/// How many lines are written at once.
const TOGETHER: usize = 1024;
/// The pause between two times of writing: what is said in the meantime is written together.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the end of the program waits for a screen that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way of the notices to the screen.
pub(crate) struct Notices {
    queue: SyncSender<Said>,
    waiting: Receiver<Said>,
    missing: Arc<AtomicU64>,
}

/// What is put into the queue.
enum Said {
    /// Something happened.
    Notice(Notice),
    /// Whoever sent this waits until all before it is written.
    Flush(Sender<()>),
}

impl Notices {
    /// A queue that nobody writes out yet.
    pub(crate) fn new() -> Notices {
        let (queue, waiting) = sync_channel(WAITING);
        Notices { queue, waiting, missing: Arc::default() }
    }

    /// What puts notices in.
    pub(crate) fn reporter(&self) -> Reporter {
        let (queue, missing) = (self.queue.clone(), Arc::clone(&self.missing));
        Reporter::new(move |notice| {
            if let Err(TrySendError::Full(_)) = queue.try_send(Said::Notice(notice)) {
                missing.fetch_add(1, Ordering::Relaxed);
            }
        })
    }

    /// Begins to write.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn write(self, json: bool, terminal: Terminal) -> std::io::Result<Writing> {
        let Notices { queue, waiting, missing } = self;
        let writer = Writer { json, terminal, missing, storm: Storm::default() };
        let thread = std::thread::Builder::new().name("notices".to_owned());
        thread.spawn(move || writer.run(&waiting))?;
        Ok(Writing(queue))
    }
}

/// Notices that are being written.
pub(crate) struct Writing(SyncSender<Said>);

impl Writing {
    /// Waits until what was said is written; not for ever, should the screen take nothing.
    pub(crate) fn finish(self) {
        let (written, told) = channel();
        // A full queue is that of a screen which takes nothing.
        if self.0.try_send(Said::Flush(written)).is_ok() {
            let _ = told.recv_timeout(PATIENCE);
        }
    }
}

struct Writer {
    json: bool,
    terminal: Terminal,
    missing: Arc<AtomicU64>,
    storm: Storm,
}

impl Writer {
    fn run(mut self, waiting: &Receiver<Said>) {
        let (mut text, mut flushed) = (Vec::new(), Vec::new());
        while let Ok(first) = waiting.recv() {
            for said in std::iter::once(first).chain(waiting.try_iter()).take(TOGETHER) {
                match said {
                    Said::Notice(notice) => self.put(&mut text, &notice),
                    Said::Flush(written) => flushed.push(written),
                }
            }
            self.put_missing(&mut text);
            self.write_out(&mut text);
            // Whoever gave up waiting need not be told.
            for written in flushed.drain(..) {
                let _ = written.send(());
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn put(&mut self, text: &mut Vec<u8>, notice: &Notice) {
        if self.json {
            return put_json(text, &screen::json(notice));
        }
        if matches!(notice, Notice::Connected { .. } | Notice::Closed { .. }) {
            let (told, missing) = self.storm.admit(Instant::now());
            if missing > 0 {
                put_line(text, format_args!("… and {missing} more lines of this kind"));
            }
            if !told {
                return;
            }
        }
        let time = self.terminal.paint(Style::Dim, screen::time_of_day());
        put_line(text, format_args!("{time} {}", screen::line(notice)));
    }

    /// What did not fit into the queue.
    fn put_missing(&self, text: &mut Vec<u8>) {
        match self.missing.swap(0, Ordering::Relaxed) {
            0 => {}
            n if self.json => put_json(text, &serde_json::json!({"event": "missed", "lines": n})),
            n => put_line(text, format_args!("… and {n} more lines that nobody could read")),
        }
    }

    /// Nobody can be told that the standard output or error is closed.
    fn write_out(&self, text: &mut Vec<u8>) {
        if self.json {
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(text).and_then(|()| out.flush());
        } else if !self.terminal.is_quiet() {
            let _ = std::io::stderr().write_all(text);
        }
        text.clear();
    }
}

fn put_line(text: &mut Vec<u8>, line: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = writeln!(text, "{line}");
}

fn put_json(text: &mut Vec<u8>, value: &serde_json::Value) {
    // Nor does making text of a value.
    let _ = serde_json::to_writer(&mut *text, value);
    text.push(b'\n');
}

/// How many connections are told of in a second; each has two lines.
const LINES_PER_SECOND: u32 = 60;

/// Counts lines, and leaves out those that nobody could read.
#[derive(Debug, Default)]
struct Storm {
    second: Option<Instant>,
    told: u32,
    missing: u64,
}

impl Storm {
    /// Whether a line is to be told, and how many were not before it that have not been counted yet.
    fn admit(&mut self, now: Instant) -> (bool, u64) {
        let mut missing = 0;
        if self.second.is_none_or(|since| now.duration_since(since).as_secs() >= 1) {
            (self.second, self.told) = (Some(now), 0);
            missing = std::mem::take(&mut self.missing);
        }
        let told = self.told < LINES_PER_SECOND;
        self.told += u32::from(told);
        self.missing += u64::from(!told);
        (told, missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_lines_is_counted() {
        let (mut storm, start) = (Storm::default(), Instant::now());
        let told = (0..1000).filter(|_| storm.admit(start).0).count();
        assert_eq!(told, LINES_PER_SECOND as usize);
        let later = start + Duration::from_secs(1);
        assert_eq!(storm.admit(later), (true, 1000 - u64::from(LINES_PER_SECOND)));
        assert_eq!(storm.admit(later), (true, 0));
    }

    #[test]
    fn nobody_waits_for_a_screen_and_what_is_left_out_is_counted() {
        let notices = Notices::new();
        let reporter = notices.reporter();
        for _ in 0..WAITING + 5 {
            reporter.tell(Notice::Trouble("x".to_owned()));
        }
        assert_eq!(notices.missing.load(Ordering::Relaxed), 5);
        let terminal = Terminal::plain_for_tests();
        let Notices { waiting, missing, .. } = notices;
        let mut writer = Writer { json: true, terminal, missing, storm: Storm::default() };
        let mut text = Vec::new();
        for said in waiting.try_iter().take(2) {
            if let Said::Notice(notice) = said {
                writer.put(&mut text, &notice);
            }
        }
        writer.put_missing(&mut text);
        writer.put_missing(&mut text);
        let lines: Vec<serde_json::Value> = String::from_utf8(text)
            .expect("text")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], serde_json::json!({"event": "missed", "lines": 5}));
    }
}
