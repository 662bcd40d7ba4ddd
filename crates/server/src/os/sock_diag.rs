//! One question to Linux: which inode has the TCP socket between two addresses?
//!
//! `/proc/net/tcp` answers it, too, but by walking the whole table of the machine's connections, which
//! costs tens of milliseconds. `sock_diag(7)` looks the one connection up.

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY`: the type of question and answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`, and where `struct inet_diag_msg` has its inode.
const QUESTION: usize = 56;
const INODE_AT: usize = 68;

/// The inode of the socket at `own` whose peer is `peer`; `None` when there is no such connection, or
/// its program has closed it already.
pub(super) fn tcp_inode(own: SocketAddr, peer: SocketAddr) -> io::Result<Option<u64>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?;
    // Whoever binds no address speaks to the kernel, which answers before `send` returns.
    send(&socket, &question(own, peer), SendFlags::empty())?;
    let mut answer = [0; 4096];
    let (_, n) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    Ok(inode(&answer[..n.min(answer.len())]))
}

fn question(own: SocketAddr, peer: SocketAddr) -> [u8; HEADER + QUESTION] {
    let mut out = [0; HEADER + QUESTION];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &((HEADER + QUESTION) as u32).to_ne_bytes());
    put(4, &BY_FAMILY.to_ne_bytes());
    put(6, &REQUEST.to_ne_bytes());
    put(8, &1u32.to_ne_bytes());
    put(HEADER, &[if own.is_ipv4() { AF_INET } else { AF_INET6 }, IPPROTO_TCP]);
    // Connections in any state.
    put(HEADER + 4, &u32::MAX.to_ne_bytes());
    put(HEADER + 8, &own.port().to_be_bytes());
    put(HEADER + 10, &peer.port().to_be_bytes());
    for (at, ip) in [(HEADER + 12, own.ip()), (HEADER + 28, peer.ip())] {
        match ip {
            IpAddr::V4(ip) => put(at, &ip.octets()),
            IpAddr::V6(ip) => put(at, &ip.octets()),
        }
    }
    // `INET_DIAG_NOCOOKIE`: whichever socket it is.
    put(HEADER + 48, &[0xff; 8]);
    out
}

fn inode(answer: &[u8]) -> Option<u64> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    if kind != BY_FAMILY {
        return None;
    }
    let at = HEADER + INODE_AT;
    let inode = u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?);
    Some(u64::from(inode)).filter(|&inode| inode != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_kernel_names_the_inode_of_a_connection() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6 has nothing to ask about.
            let Ok(listener) = std::net::TcpListener::bind(any) else { continue };
            let there = listener.local_addr().unwrap();
            let client = std::net::TcpStream::connect(there).unwrap();
            let here = client.local_addr().unwrap();
            let fd = std::os::fd::AsRawFd::as_raw_fd(&client);
            let wanted = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino();
            assert_eq!(tcp_inode(here, there).unwrap(), Some(wanted));
            let nobody = SocketAddr::new(there.ip(), 1);
            assert_eq!(tcp_inode(here, nobody).unwrap(), None);
        }
    }

    #[test]
    fn an_answer_that_is_none_is_none() {
        for bytes in [&[][..], &[0; 20], &[0xff; 83]] {
            assert_eq!(inode(bytes), None);
        }
    }
}
