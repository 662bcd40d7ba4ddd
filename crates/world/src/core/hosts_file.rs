//! Names that need no packet: literal addresses, the host's `/etc/hosts`, the lab's hosts table.

use core::net::{IpAddr, Ipv4Addr};

use netarium_base::NodeId;

use super::Core;

/// How much of a hosts file is read, bytes.
const HOSTS_MAX: usize = 1 << 20;

impl Core {
    /// The addresses of a name as far as the host knows them by itself, in any case of letters. The
    /// first that knows it decides: a literal address, the host's `/etc/hosts` (all lines that have
    /// the name), `localhost`, the lab's hosts table.
    pub(crate) fn resolve_locally(&self, node: NodeId, name: &str) -> Option<Vec<IpAddr>> {
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        if let Ok(address) = bare.parse() {
            return Some(vec![address]);
        }
        let wanted = name.strip_suffix('.').unwrap_or(name);
        let mut found = Vec::new();
        self.hosts_lines(node, |address, names| {
            if names.iter().any(|n| n.eq_ignore_ascii_case(wanted)) && !found.contains(&address) {
                found.push(address);
            }
        });
        if !found.is_empty() {
            return Some(found);
        }
        if wanted.eq_ignore_ascii_case("localhost") {
            return Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        }
        self.hosts_table.get(&wanted.to_ascii_lowercase()).cloned()
    }

    /// The name of an address, as [`resolve_locally`](Self::resolve_locally) knows it: the first of
    /// its line.
    pub(crate) fn name_locally(&self, node: NodeId, address: IpAddr) -> Option<String> {
        let mut found = None;
        self.hosts_lines(node, |a, names| {
            if a == address && found.is_none() {
                found = names.first().map(|n| (*n).to_owned());
            }
        });
        if found.is_none() && address.is_loopback() {
            found = Some("localhost".to_owned());
        }
        let table = || self.hosts_table.iter().find(|(_, all)| all.contains(&address));
        found.or_else(|| table().map(|(name, _)| name.clone()))
    }

    /// Calls `f` for each line of the host's `/etc/hosts` that has an address (hosts(5)): other
    /// lines are skipped, as the C library does.
    fn hosts_lines(&self, node: NodeId, mut f: impl FnMut(IpAddr, &[&str])) {
        let Ok((contents, _)) = self.files(node).read("/etc/hosts") else { return };
        let text = String::from_utf8_lossy(&contents[..contents.len().min(HOSTS_MAX)]);
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(address) = words.next().and_then(|w| w.parse().ok()) else { continue };
            f(address, &words.collect::<Vec<_>>());
        }
    }
}
