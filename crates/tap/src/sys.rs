//! The calls of the kernel that have no safe form: one `ioctl`, and code between `fork` and `exec`.

#![allow(unsafe_code, reason = "ioctl and pre_exec have no safe form; see each call")]

use std::ffi::{c_int, c_short, c_ulong};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use netarium_wire::Mac;

/// What can be asked of a network interface; each carries a `struct ifreq`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// TUNSETIFF with these flags: make the descriptor of /dev/net/tun an interface.
    Attach(c_short),
    /// SIOCSIFADDR.
    Address(Ipv4Addr),
    /// SIOCSIFNETMASK.
    Netmask(Ipv4Addr),
    /// SIOCSIFMTU.
    Mtu(u16),
    /// SIOCSIFHWADDR.
    Hardware(Mac),
    /// SIOCSIFTXQLEN.
    Queue(u32),
    /// SIOCSIFFLAGS: IFF_UP or not.
    Up(bool),
}

/// Asks the kernel about the interface `name`.
///
/// # Errors
/// What the kernel says; InvalidInput when the name does not fit.
pub(crate) fn ask(fd: BorrowedFd<'_>, name: &str, ask: Ask) -> io::Result<()> {
    let (request, mut ifreq) = (number(ask), filled(name, ask)?);
    // SAFETY: each number in `number` makes the kernel read and write at most one `struct ifreq`
    // at the pointer, which is live, initialised in full and exclusively borrowed for the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request, &raw mut ifreq) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// TUNSETOFFLOAD: what the kernel may leave to the reader of a TAP.
///
/// # Errors
/// What the kernel says.
pub(crate) fn set_offload(tap: BorrowedFd<'_>, flags: u32) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value; no memory is touched.
    let result = unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETOFFLOAD, c_ulong::from(flags)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets `before` run in the child between `fork` and `exec`.
///
/// Only for closures that make system calls and nothing else: no allocation, no lock.
pub(crate) fn before_exec(
    command: &mut Command,
    before: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: all callers are in this crate, and pass closures that only make system calls on
    // memory prepared before (`rootless::command`, `Netns::spawn`).
    unsafe { command.pre_exec(before) };
}

fn number(ask: Ask) -> libc::Ioctl {
    match ask {
        Ask::Attach(_) => libc::TUNSETIFF,
        Ask::Address(_) => libc::SIOCSIFADDR,
        Ask::Netmask(_) => libc::SIOCSIFNETMASK,
        Ask::Mtu(_) => libc::SIOCSIFMTU,
        Ask::Hardware(_) => libc::SIOCSIFHWADDR,
        Ask::Queue(_) => libc::SIOCSIFTXQLEN,
        Ask::Up(_) => libc::SIOCSIFFLAGS,
    }
}

fn filled(name: &str, ask: Ask) -> io::Result<libc::ifreq> {
    let mut ifr_name = [0; libc::IFNAMSIZ];
    if name.len() >= libc::IFNAMSIZ || name.contains('\0') {
        let why = format!("the name of an interface has at most 15 bytes: `{name}`");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    for (to, from) in ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let map = libc::__c_anonymous_ifru_map {
        mem_start: 0,
        mem_end: 0,
        base_addr: 0,
        irq: 0,
        dma: 0,
        port: 0,
    };
    // The largest member of the union, so that every byte of it is set.
    let mut ifru = libc::__c_anonymous_ifr_ifru { ifru_map: map };
    match ask {
        Ask::Attach(flags) => ifru.ifru_flags = flags,
        Ask::Up(up) => ifru.ifru_flags = if up { libc::IFF_UP as c_short } else { 0 },
        Ask::Address(ip) => ifru.ifru_addr = inet(ip),
        Ask::Netmask(mask) => ifru.ifru_netmask = inet(mask),
        Ask::Mtu(mtu) => ifru.ifru_mtu = c_int::from(mtu),
        Ask::Queue(len) => ifru.ifru_ifindex = len as c_int,
        Ask::Hardware(mac) => ifru.ifru_hwaddr = hardware(mac),
    }
    Ok(libc::ifreq { ifr_name, ifr_ifru: ifru })
}

/// A `sockaddr_in` without a port.
fn inet(ip: Ipv4Addr) -> libc::sockaddr {
    let mut sa_data = [0; 14];
    for (to, from) in sa_data[2..].iter_mut().zip(ip.octets()) {
        *to = from as libc::c_char;
    }
    libc::sockaddr { sa_family: libc::AF_INET as libc::sa_family_t, sa_data }
}

fn hardware(mac: Mac) -> libc::sockaddr {
    let mut sa_data = [0; 14];
    for (to, from) in sa_data.iter_mut().zip(mac.0) {
        *to = from as libc::c_char;
    }
    libc::sockaddr { sa_family: libc::ARPHRD_ETHER, sa_data }
}
