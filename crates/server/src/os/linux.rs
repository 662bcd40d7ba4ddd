//! Linux: `/proc/net/tcp` names the socket's inode, `/proc/PID/fd` the process that holds it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::PortHolder;

/// `st` of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The program that listens where `address` wants to. `None` when nobody does, or when the holder
/// belongs to another user, whose descriptors the system does not show.
pub(crate) fn port_holder(address: SocketAddr) -> Option<PortHolder> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, address))?;
    process_with_socket(&format!("socket:[{inode}]"))
}

fn listening_inode(table: &str, wanted: SocketAddr) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let local = parse_address(fields.nth(1)?)?;
        let state = fields.nth(1)?;
        let clashes = local.port() == wanted.port()
            && (local.ip().is_unspecified()
                || wanted.ip().is_unspecified()
                || local.ip().to_canonical() == wanted.ip().to_canonical());
        if state != LISTEN || !clashes {
            return None;
        }
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

fn process_with_socket(link: &str) -> Option<PortHolder> {
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else { continue };
        let holds = descriptors
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == link));
        if holds {
            let program = fs::read_to_string(entry.path().join("comm")).ok()?.trim().to_owned();
            return Some(PortHolder { pid, program });
        }
    }
    None
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
        let holder = port_holder(address).expect("the own process is visible");
        assert_eq!(holder.pid, std::process::id());
        drop(listener);
        assert_eq!(port_holder(address), None);
    }
}
