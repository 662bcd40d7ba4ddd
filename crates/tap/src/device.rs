//! A TAP device: a cable into a kernel.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use netarium_wire::{Cidr, Frame, Mac};

use crate::error::TapError;
use crate::netns::control;
use crate::offload::{self, VnetHeader};
use crate::sys::{self, Ask};

/// The longest that the kernel hands over at once: a whole IP packet, an Ethernet header with a VLAN
/// tag and what precedes a packet.
const READ_MAX: usize = 65_535 + 18 + VnetHeader::LEN;

/// What a TAP is to be.
#[derive(Clone, Debug)]
pub struct TapSpec {
    /// The name of the kernel's interface, at most 15 bytes.
    pub name: String,
    /// The kernel's MAC address; by chance when absent.
    pub mac: Option<Mac>,
    /// The kernel's IPv4 address and its network; none when absent.
    pub address: Option<Cidr>,
    /// The longest IP packet, bytes, 68 to 65535.
    pub mtu: u16,
    /// How many packets the kernel keeps for us before it drops them. In a user namespace it does not
    /// let itself be told, and keeps 500.
    pub queue: u32,
    /// Let the kernel hand over and take segments of TCP in bunches of up to 64 kB, as it does
    /// with network cards. Every [`Frame`] is a complete one of at most the MTU all the same: bunches
    /// are cut and joined here. Much less work; off, each frame crosses the border by itself.
    pub offload: bool,
}

impl Default for TapSpec {
    /// `tap0` without an address, MTU 1500, a queue of 1000, no offload.
    fn default() -> Self {
        TapSpec {
            name: "tap0".to_owned(),
            mac: None,
            address: None,
            mtu: 1500,
            queue: 1000,
            offload: false,
        }
    }
}

/// What passed through a TAP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapStats {
    /// Frames from the kernel.
    pub received: u64,
    /// Frames to the kernel.
    pub sent: u64,
    /// Frames that the kernel did not take: the interface is down, or memory is short.
    pub refused: u64,
    /// Reads and writes that it took.
    pub calls: u64,
}

/// A TAP device that this process holds. Ends with the value.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: String,
    offload: bool,
    buffer: Vec<u8>,
    /// What passed.
    stats: TapStats,
}

impl Tap {
    /// Makes a TAP in the network namespace of the calling thread, and takes it up.
    ///
    /// # Errors
    /// [`TapError::NoDevice`] without /dev/net/tun, [`TapError::NotPermitted`], or what the kernel
    /// said.
    pub fn open(spec: &TapSpec) -> Result<Tap, TapError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(|source| TapError::NoDevice { source })?;
        let header = if spec.offload { libc::IFF_VNET_HDR } else { 0 };
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | header;
        sys::ask(file.as_fd(), &spec.name, Ask::Attach(flags as i16))
            .map_err(|e| TapError::of(format!("creating the TAP {}", spec.name), e))?;
        if spec.offload {
            let flags = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO_ECN;
            sys::set_offload(file.as_fd(), flags)
                .map_err(|e| TapError::of("asking for offload", e))?;
        }
        let tap = Tap {
            file,
            name: spec.name.clone(),
            offload: spec.offload,
            buffer: vec![0; READ_MAX],
            stats: TapStats::default(),
        };
        tap.set_up(spec)?;
        Ok(tap)
    }

    fn set_up(&self, spec: &TapSpec) -> Result<(), TapError> {
        // Not every kernel knows IPv6; where it does, its chatter is not wanted.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", self.name), "1");
        let socket = control()?;
        let set = |what: Ask| {
            sys::ask(socket.as_fd(), &self.name, what)
                .map_err(|e| TapError::of(format!("setting {what:?} of {}", self.name), e))
        };
        if let Some(mac) = spec.mac {
            set(Ask::Hardware(mac))?;
        }
        set(Ask::Mtu(spec.mtu))?;
        match set(Ask::Queue(spec.queue)) {
            // Only root of the machine may; the kernel's own length stays.
            Err(TapError::NotPermitted { .. }) => {}
            other => other?,
        }
        if let Some(cidr) = spec.address
            && let (std::net::IpAddr::V4(ip), Some(mask)) = (cidr.address(), cidr.netmask())
        {
            set(Ask::Address(ip))?;
            set(Ask::Netmask(mask))?;
        }
        set(Ask::Up(true))
    }

    /// The name of the kernel's interface.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What passed so far.
    pub fn stats(&self) -> TapStats {
        self.stats
    }

    /// Takes what the kernel hands over next into `frames`: one frame, or several that it handed
    /// over as a bunch. False: nothing waits.
    ///
    /// # Errors
    /// What the kernel says, but for «nothing waits».
    pub fn receive(&mut self, frames: &mut VecDeque<Box<Frame>>) -> io::Result<bool> {
        let n = match self.file.read(&mut self.buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e),
        };
        self.stats.calls += 1;
        let before = frames.len();
        let bytes = &mut self.buffer[..n];
        if self.offload {
            offload::cut(bytes, frames);
        } else {
            frames.push_back(Frame::from_bytes(bytes));
        }
        self.stats.received += (frames.len() - before) as u64;
        Ok(true)
    }

    /// Hands all of `frames` to the kernel. What it refuses is counted and gone, as on a cable.
    ///
    /// # Errors
    /// When the device is gone.
    pub fn send(&mut self, frames: &mut VecDeque<Box<Frame>>) -> io::Result<()> {
        while let Some(first) = frames.pop_front() {
            let (taken, count) = if self.offload {
                let bunch = offload::join(first, frames);
                (
                    write(&self.file, Some(&bunch.header), &bunch.head, &bunch.frames),
                    bunch.frames.len(),
                )
            } else {
                let one = [first];
                (write(&self.file, None, one[0].head(), &one), 1)
            };
            self.stats.calls += 1;
            match taken {
                Ok(()) => self.stats.sent += count as u64,
                Err(e) if e.raw_os_error() == Some(libc::EBADFD) => return Err(e),
                Err(_) => self.stats.refused += count as u64,
            }
        }
        Ok(())
    }
}

/// One packet: what precedes it, its headers, and the payloads of all `frames`.
fn write(
    mut file: &File,
    header: Option<&[u8; VnetHeader::LEN]>,
    head: &[u8],
    frames: &[Box<Frame>],
) -> io::Result<()> {
    let payloads = frames.iter().flat_map(|f| f.payload().slices());
    let mut parts: Vec<IoSlice<'_>> = Vec::with_capacity(2 + 2 * frames.len());
    parts.extend(header.map(|h| IoSlice::new(h)));
    parts.push(IoSlice::new(head));
    parts.extend(payloads.map(|slice| IoSlice::new(slice.bytes())));
    file.write_vectored(&parts).map(|_| ())
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
