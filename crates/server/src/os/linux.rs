//! Linux: `/proc/net` or the kernel itself names the socket's inode, `/proc/PID/fd` the process that
//! holds it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use netarium_world::Transport;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{PortHolder, sock_diag};

/// Reads what is there, without waiting. A read that does not fill the buffer has emptied the socket:
/// with `epoll`, whatever comes later is told, so that nobody need ask again to hear that there is
/// nothing.
pub(crate) fn try_read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut short = None;
    let read = stream.try_io(Interest::READABLE, || {
        let n = rustix::io::read(stream, &mut *buffer)?;
        if n == 0 || n == buffer.len() {
            return Ok(n);
        }
        // Forgets that the socket was readable, as of before this read.
        short = Some(n);
        Err(io::ErrorKind::WouldBlock.into())
    });
    short.map_or(read, Ok)
}

/// `st` of a listening socket in `/proc/net/tcp`, of an unconnected one in `/proc/net/udp`.
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";

/// The program that listens where `address` wants to. `None` when nobody does, or when the holder
/// belongs to another user, whose descriptors the system does not show.
pub(crate) fn port_holder(transport: Transport, address: SocketAddr) -> Option<PortHolder> {
    let state = match transport {
        Transport::Tcp => LISTEN,
        Transport::Udp => UNCONNECTED,
    };
    let inode = find_inode(transport, |row| {
        row.state == state
            && row.local.port() == address.port()
            && (row.local.ip().is_unspecified()
                || address.ip().is_unspecified()
                || row.local.ip().to_canonical() == address.ip().to_canonical())
    })?;
    process_with_socket(inode, &[])
}

/// The program on this machine whose socket `own` speaks to `peer`. Processes in `likely` are looked
/// at first.
pub(crate) fn socket_owner(
    transport: Transport,
    own: SocketAddr,
    peer: SocketAddr,
    likely: &[u32],
) -> Option<PortHolder> {
    let same = |a: SocketAddr, b: SocketAddr| {
        a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
    };
    let inode = match transport {
        Transport::Tcp => sock_diag::tcp_inode(own, peer).ok().flatten(),
        // A socket that never called `connect` has no remote address, and perhaps no local one.
        Transport::Udp => find_inode(transport, |row| {
            row.local.port() == own.port()
                && (row.local.ip().is_unspecified() || same(row.local, own))
                && (row.remote.port() == 0 || same(row.remote, peer))
        }),
    }?;
    process_with_socket(inode, likely)
}

/// A row of `/proc/net/tcp` or `/proc/net/udp`.
struct Row<'a> {
    local: SocketAddr,
    remote: SocketAddr,
    state: &'a str,
}

fn find_inode(transport: Transport, wanted: impl Fn(&Row<'_>) -> bool) -> Option<u64> {
    let tables = match transport {
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let mut texts = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
    texts.find_map(|table| inode_in(&table, &wanted))
}

fn inode_in(table: &str, wanted: impl Fn(&Row<'_>) -> bool) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = parse_address(fields.next()?)?;
        let remote = parse_address(fields.next()?)?;
        let state = fields.next()?;
        if !wanted(&Row { local, remote, state }) {
            return None;
        }
        // A connection that its program has closed already belongs to nobody: inode 0.
        fields.nth(5)?.parse().ok().filter(|&inode| inode != 0)
    })
}

/// `0100007F:1F90`: the address as the processor holds it, word by word, and the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        ip.get(at..at + 8).and_then(|w| u32::from_str_radix(w, 16).ok()).map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (i, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(i * 8)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn process_with_socket(inode: u64, likely: &[u32]) -> Option<PortHolder> {
    let link = format!("socket:[{inode}]");
    if let Some(&pid) = likely.iter().find(|&&pid| holds(pid, &link)) {
        return Some(PortHolder { pid, program: program(pid)? });
    }
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let pid = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok());
        if let Some(pid) = pid
            && holds(pid, &link)
        {
            return Some(PortHolder { pid, program: program(pid)? });
        }
    }
    None
}

fn holds(pid: u32, link: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors
        .flatten()
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == link))
}

fn program(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proc_net_tcp_are_read() {
        if cfg!(target_endian = "little") {
            assert_eq!(parse_address("0100007F:1F90"), "127.0.0.1:8080".parse().ok());
            assert_eq!(
                parse_address("00000000000000000000000001000000:0050"),
                "[::1]:80".parse().ok()
            );
        }
        for bad in ["", ":", "0100007F", "0100007:1F90", "0100007F:12345", "zz00007F:0050"] {
            assert_eq!(parse_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_holder_of_an_own_port_is_this_test() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let holder = port_holder(Transport::Tcp, address).expect("the own process is visible");
        assert_eq!(holder.pid, std::process::id());
        drop(listener);
        assert_eq!(port_holder(Transport::Tcp, address), None);
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let holder = port_holder(Transport::Udp, address).expect("the own process is visible");
        assert_eq!(holder.pid, std::process::id());
    }

    #[test]
    fn the_owner_of_a_connection_and_of_datagrams_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let own = client.local_addr().unwrap();
        for likely in [vec![], vec![1], vec![std::process::id()]] {
            let owner = socket_owner(Transport::Tcp, own, address, &likely).unwrap();
            assert_eq!(owner.pid, std::process::id());
        }
        let other = "127.0.0.1:1".parse().unwrap();
        assert_eq!(socket_owner(Transport::Tcp, own, other, &[]), None);
        // One that sends without `connect`, from whatever address.
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let own = SocketAddr::from(([127, 0, 0, 1], socket.local_addr().unwrap().port()));
        let owner = socket_owner(Transport::Udp, own, address, &[]).unwrap();
        assert_eq!(owner.pid, std::process::id());
    }
}
