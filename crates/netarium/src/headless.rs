//! A world at full speed: programs run to their end, captures go into memory.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use netarium_base::{Duration, Instant, LinkId};
use netarium_lab::words;
use netarium_world::{
    ByteSink, CaptureId, Input, Output as Said, PcapSink, PortId, RunEnd, Stream,
};

/// How long programs that the lab starts get to settle before the first `exec`, virtual time.
const SETTLE: Duration = Duration::from_secs(1);
/// A program that runs on while nothing else happens for so long will not end by itself.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Output that may be under way from a session.
const WINDOW: u32 = 1024 * 1024;
/// Signal 9.
const SIGKILL: u8 = 9;

/// A network that runs, as fast as the processor allows.
pub struct World {
    inner: netarium_world::World,
    next_port: PortId,
    settled: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// What a program said, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text; what is not UTF-8 is replaced.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text; what is not UTF-8 is replaced.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code: 128 + signal number when it was killed, 127 when there is no such program.
    pub code: i32,
    /// What is to be told about the end, when there is something to tell.
    pub message: Option<String>,
}

/// Why a program did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The command line has an open quote or nothing in it.
    #[error("`{0}` is not a command line")]
    BadCommand(String),
    /// There is no such host, or the world refused for another reason.
    #[error("{0}")]
    Refused(String),
    /// The world cannot go on.
    #[error("the world is stuck: {0}")]
    Stuck(String),
    /// It waits for something that will not come.
    #[error("`{0}` did not end: for an hour of virtual time nothing else has happened")]
    Endless(String),
}

/// The other ends of a program's standard streams.
pub trait Streams {
    /// Takes standard output.
    fn stdout(&mut self, bytes: &[u8]);
    /// Takes standard error.
    fn stderr(&mut self, bytes: &[u8]);
    /// Whether standard input will come; otherwise it is at its end from the start.
    fn has_stdin(&self) -> bool {
        false
    }
    /// The next piece of standard input, at most `most` bytes; empty at the end. Asked for only
    /// when the world has nothing else to do, and virtual time stands still meanwhile.
    fn stdin(&mut self, most: usize) -> Vec<u8> {
        let _ = most;
        Vec::new()
    }
}

impl Streams for Output {
    fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.extend_from_slice(bytes);
    }

    fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
    }
}

impl World {
    pub(crate) fn new(inner: netarium_world::World) -> World {
        World { inner, next_port: 1, settled: false }
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.inner.now()
    }

    /// The world below.
    pub fn inner(&self) -> &netarium_world::World {
        &self.inner
    }

    /// The world below, for what this type does not offer. Its outside ports are numbered from 1
    /// here; use other numbers for your own.
    pub fn inner_mut(&mut self) -> &mut netarium_world::World {
        &mut self.inner
    }

    /// The world below, alone.
    pub fn into_inner(self) -> netarium_world::World {
        self.inner
    }

    /// Runs a program on a host to its end and collects what it says. The command line is split
    /// into words as in a lab file: quotes group, nothing is expanded.
    ///
    /// # Errors
    /// See [`ExecError`]. A program that fails is no error: its exit code says so.
    pub fn exec(&mut self, host: &str, command: &str) -> Result<Output, ExecError> {
        let bad = || ExecError::BadCommand(command.to_owned());
        let argv = words::split(command).map_err(|_| bad())?;
        if argv.is_empty() {
            return Err(bad());
        }
        let mut output = Output::default();
        let exit = self.exec_with(host, &argv, &mut output)?;
        if let Some(message) = exit.message {
            output.stderr.extend_from_slice(message.as_bytes());
            output.stderr.push(b'\n');
        }
        output.code = exit.code;
        Ok(output)
    }

    /// Runs a program on a host to its end, with streams of one's own.
    ///
    /// # Errors
    /// See [`ExecError`].
    pub fn exec_with(
        &mut self,
        host: &str,
        argv: &[String],
        streams: &mut dyn Streams,
    ) -> Result<Exit, ExecError> {
        self.settle()?;
        let port = self.next_port;
        self.next_port += 1;
        self.inner.apply(Input::Exec {
            port,
            host: host.to_owned(),
            argv: argv.to_vec(),
            stdin: streams.has_stdin(),
            credit: WINDOW,
        });
        let mut session = Session { port, credit: 0, stdin: streams.has_stdin(), end: None };
        let result = session.run(&mut self.inner, streams, argv);
        if result.is_err() {
            self.inner.apply(Input::Signal { port, signal: SIGKILL });
        }
        result
    }

    /// Lets the lab's own programs start before the first session.
    fn settle(&mut self) -> Result<(), ExecError> {
        if !std::mem::replace(&mut self.settled, true)
            && let RunEnd::Stuck(why) = self.inner.run_until_idle(self.now() + SETTLE)
        {
            return Err(ExecError::Stuck(why));
        }
        Ok(())
    }

    /// Runs until nothing happens any more by itself, at most for `limit` of virtual time.
    pub fn run_until_idle(&mut self, limit: Duration) -> RunEnd {
        self.inner.run_until_idle(self.now() + limit)
    }

    /// Runs for `time` of virtual time.
    pub fn run_for(&mut self, time: Duration) {
        self.inner.run_until(self.now() + time);
    }

    /// All links but the loopback ones.
    pub fn wires(&self) -> Vec<LinkId> {
        self.inner.links().filter(|l| l.ends[0] != l.ends[1]).map(|l| l.id).collect()
    }

    /// Captures all wires into memory, as pcapng; each frame once, where it was sent.
    pub fn capture(&mut self) -> Captured {
        let links = self.wires();
        self.capture_links(CaptureSpec { links, ..CaptureSpec::default() })
    }

    /// Captures into memory, as pcapng.
    pub fn capture_links(&mut self, spec: CaptureSpec) -> Captured {
        let bytes = Rc::new(RefCell::new(Vec::new()));
        let id = self.capture_to(spec, Memory(Rc::clone(&bytes)));
        Captured { id, bytes }
    }

    /// Captures into a sink of one's own, as pcapng.
    pub fn capture_to(&mut self, spec: CaptureSpec, sink: impl ByteSink + 'static) -> CaptureId {
        let sink = PcapSink::new(sink);
        self.inner.capture(&spec, Box::new(sink))
    }

    /// Ends a capture and gives its bytes.
    pub fn end_capture(&mut self, capture: Captured) -> Vec<u8> {
        self.inner.end_capture(capture.id);
        capture.bytes.take()
    }
}

pub use netarium_world::CaptureSpec;

/// A capture into memory that still runs; [`World::end_capture`] gives its bytes.
#[derive(Debug)]
pub struct Captured {
    id: CaptureId,
    bytes: Rc<RefCell<Vec<u8>>>,
}

struct Memory(Rc<RefCell<Vec<u8>>>);

impl ByteSink for Memory {
    fn write(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

/// A program on its way.
struct Session {
    port: PortId,
    /// What the program still takes of standard input.
    credit: u32,
    /// Whether there may be more standard input.
    stdin: bool,
    end: Option<Result<Exit, ExecError>>,
}

impl Session {
    fn run(
        &mut self,
        world: &mut netarium_world::World,
        streams: &mut dyn Streams,
        argv: &[String],
    ) -> Result<Exit, ExecError> {
        let mut quiet_since = world.now();
        loop {
            self.listen(world, streams);
            if let Some(end) = self.end.take() {
                return end;
            }
            if !world.is_idle() {
                quiet_since = world.now();
            } else if self.stdin && self.credit > 0 {
                self.feed(world, streams);
                continue;
            } else if world.now().since(quiet_since) > PATIENCE {
                return Err(ExecError::Endless(argv.join(" ")));
            }
            if !world.step() {
                return match world.stuck() {
                    Some(why) => Err(ExecError::Stuck(why.to_owned())),
                    None => Err(ExecError::Endless(argv.join(" "))),
                };
            }
        }
    }

    /// Takes what the world says.
    fn listen(&mut self, world: &mut netarium_world::World, streams: &mut dyn Streams) {
        while let Some(said) = world.poll_output() {
            match said {
                Said::Accepted { port, credit } | Said::Credit { port, bytes: credit }
                    if port == self.port =>
                {
                    self.credit = self.credit.saturating_add(credit);
                }
                Said::Data { port, stream, bytes } if port == self.port => {
                    match stream {
                        Stream::Stderr => streams.stderr(&bytes),
                        Stream::Stdout | Stream::Net => streams.stdout(&bytes),
                    }
                    world.apply(Input::Credit { port, bytes: bytes.len() as u32 });
                }
                Said::Exit { port, code, message } if port == self.port => {
                    self.end = Some(Ok(Exit { code, message }));
                }
                Said::Reset { port, reason } if port == self.port => {
                    self.end = Some(Err(ExecError::Refused(reason)));
                }
                _ => {}
            }
        }
    }

    fn feed(&mut self, world: &mut netarium_world::World, streams: &mut dyn Streams) {
        let port = self.port;
        let bytes = streams.stdin(self.credit as usize);
        if bytes.is_empty() {
            self.stdin = false;
            world.apply(Input::Eof { port });
        } else {
            self.credit = self.credit.saturating_sub(bytes.len() as u32);
            world.apply(Input::Data { port, bytes });
        }
    }
}
