//! A network namespace: a network of the kernel's own, apart from the machine's.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

use nix::sched::CloneFlags;
use nix::sys::signal::Signal;

use crate::device::{Tap, TapSpec};
use crate::error::TapError;
use crate::sys::{self, Ask};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace, held by a thread that lives in it.
///
/// It begins with nothing but a loopback interface, which is up. Sockets that are opened by
/// [`Netns::run`] belong to it wherever they are used afterwards. It ends with the value and the
/// last socket, TAP or program of it.
#[derive(Debug)]
pub struct Netns {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Netns {
    /// A new, empty namespace.
    ///
    /// # Errors
    /// [`TapError::NotPermitted`] without the capabilities; see [`crate::rootless`].
    pub fn new() -> Result<Netns, TapError> {
        let (jobs, work) = mpsc::channel::<Job>();
        let (told, made) = mpsc::channel();
        let body = move || {
            let entered = enter();
            let failed = entered.is_err();
            // Who asked waits for it; if not, nobody needs the namespace.
            if told.send(entered).is_err() || failed {
                return;
            }
            work.into_iter().for_each(|job| job());
        };
        let thread = thread::Builder::new()
            .name("netns".to_owned())
            .spawn(body)
            .map_err(|e| TapError::of("starting a thread", e))?;
        let netns = Netns { jobs: Some(jobs), thread: Some(thread) };
        made.recv()
            .map_err(|_| TapError::of("entering a namespace", io::Error::other("lost")))??;
        Ok(netns)
    }

    /// Runs `f` in the namespace and waits for its result.
    ///
    /// # Panics
    /// When `f` does.
    pub fn run<R: Send + 'static>(&self, f: impl FnOnce() -> R + Send + 'static) -> R {
        let (told, result) = mpsc::channel();
        let job = Box::new(move || {
            // The waiter may only be gone when it panicked.
            let _ = told.send(f());
        });
        let jobs = self.jobs.as_ref().expect("held until the value is dropped");
        jobs.send(job).expect("the thread lives as long as the value");
        result.recv().expect("the job of a namespace panicked")
    }

    /// A TAP whose kernel's end is in the namespace, set up as asked and up.
    ///
    /// # Errors
    /// [`TapError::NoDevice`], [`TapError::NotPermitted`], or what the kernel said.
    pub fn tap(&self, spec: &TapSpec) -> Result<Tap, TapError> {
        let spec = spec.clone();
        self.run(move || Tap::open(&spec))
    }

    /// Sets a setting under /proc/sys, such as `net.ipv4.tcp_sack`.
    ///
    /// # Errors
    /// What the kernel said: there is no such setting, or not this value.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<(), TapError> {
        let (what, value) = (format!("sysctl {name}={value}"), value.to_owned());
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        self.run(move || std::fs::write(path, value)).map_err(|e| TapError::of(what, e))
    }

    /// Starts a program in the namespace. It is killed when the namespace's thread ends, and with
    /// this process.
    ///
    /// # Errors
    /// As [`Command::spawn`].
    pub fn spawn(&self, mut command: Command) -> io::Result<Child> {
        sys::before_exec(&mut command, || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)
        });
        self.run(move || command.spawn())
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in a job was told to who ran it.
            let _ = thread.join();
        }
    }
}

fn enter() -> Result<(), TapError> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|e| TapError::of("creating a network namespace", e))?;
    let socket = control()?;
    sys::ask(std::os::fd::AsFd::as_fd(&socket), "lo", Ask::Up(true))
        .map_err(|e| TapError::of("taking lo up", e))
}

/// A socket to ask the kernel about interfaces through.
pub(crate) fn control() -> Result<std::net::UdpSocket, TapError> {
    std::net::UdpSocket::bind(("0.0.0.0", 0)).map_err(|e| TapError::of("opening a socket", e))
}
