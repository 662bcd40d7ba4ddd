//! What a program holds of its process.

use core::net::IpAddr;
use std::future::{Future, poll_fn};
use std::pin::Pin;

use netarium_base::{Cause, Ctx, Duration, Event, FlowId, Instant, NodeId, Pid, Place, Rng};
use netarium_stack::Stack;
use tokio::io::AsyncWrite;

use super::table::ProcessInfo;
use super::{Sleep, Spawned, StdStream, Stdin, slot};
use crate::message::Stream;

/// A program's access to its host: two ids. Cloning gives another name for the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    node: NodeId,
    pid: Pid,
}

/// Why a name did not become an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Nobody knows the name (EAI_NONAME).
    #[error("Name or service not known: {0}")]
    NotFound(String),
    /// The name is there, but has no address (EAI_NODATA).
    #[error("No address associated with hostname: {0}")]
    NoAddress(String),
    /// No name server answered, or none could (EAI_AGAIN).
    #[error("Temporary failure in name resolution: {0}")]
    Temporary(String),
}

impl ResolveError {
    /// The words of `gai_strerror(3)`, without the name.
    pub fn text(&self) -> &'static str {
        match self {
            ResolveError::NotFound(_) => "Name or service not known",
            ResolveError::NoAddress(_) => "No address associated with hostname",
            ResolveError::Temporary(_) => "Temporary failure in name resolution",
        }
    }
}

impl Process {
    pub(crate) fn new(node: NodeId, pid: Pid) -> Process {
        Process { node, pid }
    }

    /// The host it runs on.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The id of the process that started it; 1 for what the lab file or the outside started.
    pub fn ppid(&self) -> Pid {
        slot::with(|core| core.proc_mut(self.node, self.pid).map_or(Pid(1), |p| p.ppid))
    }

    /// The command line; the program's name comes first.
    pub fn args(&self) -> Vec<String> {
        slot::with(|c| c.proc_mut(self.node, self.pid).map_or_else(Vec::new, |p| p.argv.to_vec()))
    }

    /// The host's name.
    pub fn host_name(&self) -> String {
        slot::with(|core| core.host_mut(self.node).name.as_ref().to_owned())
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        slot::with(|core| core.net.now)
    }

    /// The world's clock: nanoseconds since 1970-01-01 UTC.
    pub fn unix_time(&self) -> u64 {
        slot::with(|core| core.epoch.saturating_add(core.net.now.as_nanos()))
    }

    /// Waits for a span of virtual time.
    pub fn sleep(&self, span: Duration) -> Sleep {
        self.sleep_until(self.now() + span)
    }

    /// Waits for a point in virtual time.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::new(*self, deadline)
    }

    /// Runs another task of the same process. All of them end when the program does.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        slot::with(|core| {
            core.spawned.push(Spawned { process: *self, task: Box::pin(task) });
        });
    }

    /// Standard input.
    pub fn stdin(&self) -> Stdin {
        Stdin::new(*self)
    }

    /// Standard output.
    pub fn stdout(&self) -> StdStream {
        StdStream::new(*self, Stream::Stdout)
    }

    /// Standard error.
    pub fn stderr(&self) -> StdStream {
        StdStream::new(*self, Stream::Stderr)
    }

    /// Writes a text to standard output, whole; waits while the session takes no more.
    pub async fn print(&self, text: &str) {
        self.write(Stream::Stdout, text.as_bytes()).await;
    }

    /// Writes a text to standard error, whole; waits while the session takes no more.
    pub async fn eprint(&self, text: &str) {
        self.write(Stream::Stderr, text.as_bytes()).await;
    }

    async fn write(&self, stream: Stream, mut bytes: &[u8]) {
        let mut out = StdStream::new(*self, stream);
        while !bytes.is_empty() {
            match poll_fn(|task| Pin::new(&mut out).poll_write(task, bytes)).await {
                Ok(n) if n > 0 => bytes = &bytes[n..],
                _ => return,
            }
        }
    }

    /// The addresses of a name: of a literal address itself; of a name in the host's `/etc/hosts`,
    /// of `localhost`, of a name in the lab's hosts table (all in any case of letters); else by
    /// asking the name servers of the host's `/etc/resolv.conf`, which takes packets and time.
    ///
    /// # Errors
    /// When nobody knows the name, or nobody who does could be reached.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let (found, resolver) =
            slot::with(|core| (core.resolve_locally(self.node, name), core.programs.resolver()));
        match (found, resolver) {
            (Some(addresses), _) => Ok(addresses),
            (None, Some(ask)) => ask(*self, name.to_owned()).await,
            (None, None) => Err(ResolveError::NotFound(name.to_owned())),
        }
    }

    /// The name of an address in the host's `/etc/hosts` or the lab's hosts table.
    pub fn local_name(&self, address: IpAddr) -> Option<String> {
        slot::with(|core| core.name_locally(self.node, address))
    }

    /// From here on this task acts because of `cause`: one that takes work from a queue (several
    /// datagrams, questions of several clients) says which entry it works for.
    pub fn follow(&self, cause: Cause) {
        slot::with(|core| core.set_current(cause));
    }

    /// Why this task acts at present.
    pub fn cause(&self) -> Cause {
        slot::with(|core| core.current)
    }

    /// A call into the host's stack, with the time and the cause of this task. Not to be nested:
    /// `f` must not use a process or socket.
    pub fn with_stack<R>(&self, f: impl FnOnce(&mut Stack, &mut Ctx<'_>) -> R) -> R {
        slot::with(|core| core.with_stack(self.node, f))
    }

    /// The names of all programs that can be started, sorted.
    pub fn programs(&self) -> Vec<&'static str> {
        slot::with(|core| core.programs.names())
    }

    /// The host's processes by id.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        slot::with(|core| core.processes(self.node))
    }

    /// Records an event of this program (an HTTP request, a note). What the task does next in this
    /// poll is caused by it. `event` is called only when somebody looks at the trace, and must not
    /// use a process or socket.
    pub fn emit(&self, flow: FlowId, event: impl FnOnce() -> Event) -> Cause {
        slot::with(|core| {
            let place = Place::Process(self.node, self.pid);
            let cause = core.net.tracer.emit(core.net.now, core.current, place, flow, event);
            core.set_current(cause);
            cause
        })
    }

    /// A random stream of this process for one purpose; the same in every run.
    pub fn rng(&self, purpose: &str) -> Rng {
        slot::with(|core| {
            let program = core
                .proc_mut(self.node, self.pid)
                .map_or_else(String::new, |p| p.name().to_owned());
            let host = &core.host_mut(self.node).name.clone();
            core.seed.stream(host, &format!("process {program} {} {purpose}", self.pid))
        })
    }
}
