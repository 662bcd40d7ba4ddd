//! Path MTUs learnt from ICMP (RFC 1191), per destination, as Linux keeps them.
//!
//! An entry is believed for ten minutes (`mtu_expires`); then the interface's MTU counts again. A
//! value below `min_pmtu` is not believed: packets are then sent with that size and without DF, so
//! that somebody on the way can fragment them.

use core::net::IpAddr;

use netarium_base::map::Map;
use netarium_base::{Duration, Instant};

/// Destinations remembered at most; the oldest makes room.
pub(crate) const MAX_ENTRIES: usize = 1024;

/// What is known about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathMtu {
    /// The largest packet, bytes.
    pub(crate) mtu: u16,
    /// DF is not set, because the path asked for less than is believed.
    pub(crate) may_fragment: bool,
}

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct PathMtus {
    entries: Map<IpAddr, (PathMtu, Instant)>,
}

impl PathMtus {
    /// A router says that `mtu` is the most for packets to `dst`; until now it was `current`.
    /// Whether that made the path smaller.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        dst: IpAddr,
        (mtu, current): (u32, u16),
        (min, lifetime): (u16, Duration),
    ) -> bool {
        if mtu >= u32::from(current) {
            return false;
        }
        let may_fragment = mtu < u32::from(min);
        let mtu = (mtu as u16).max(min).min(current);
        if self.entries.len() >= MAX_ENTRIES && !self.entries.contains_key(&dst) {
            self.entries.shift_remove_index(0);
        }
        self.entries.insert(dst, (PathMtu { mtu, may_fragment }, now + lifetime));
        mtu < current
    }

    /// What is known of the path to `dst`.
    pub(crate) fn get(&self, now: Instant, dst: IpAddr) -> Option<PathMtu> {
        self.entries.get(&dst).filter(|(_, until)| now < *until).map(|(path, _)| *path)
    }

    /// The same, and until when it is believed.
    pub(crate) fn until(&self, now: Instant, dst: IpAddr) -> Option<(u16, Instant)> {
        self.entries.get(&dst).filter(|(_, until)| now < *until).map(|(path, at)| (path.mtu, *at))
    }

    /// Whether nothing was ever learnt.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: (u16, Duration) = (552, Duration::from_secs(600));

    fn dst(i: u32) -> IpAddr {
        IpAddr::from(i.to_be_bytes())
    }

    /// RFC 1191 §3 and §6.3; RFC 4821's floor as Linux has it.
    #[test]
    fn paths_shrink_and_recover() {
        let mut p = PathMtus::default();
        let now = Instant::ZERO;
        assert!(!p.learn(now, dst(1), (1500, 1500), LIFE), "no news");
        assert!(p.learn(now, dst(1), (1000, 1500), LIFE));
        let known = |p: &PathMtus, t| p.get(t, dst(1)).map(|e| (e.mtu, e.may_fragment));
        assert_eq!(known(&p, now), Some((1000, false)));
        assert!(p.learn(now, dst(1), (0, 1000), LIFE), "an old router says 0");
        assert_eq!(known(&p, now), Some((552, true)));
        assert_eq!(known(&p, now + Duration::from_secs(600)), None);
        assert_eq!(p.get(now, dst(2)), None);
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut p = PathMtus::default();
        for i in 0..5000 {
            p.learn(Instant::ZERO, dst(i), (1000, 1500), LIFE);
        }
        assert_eq!(p.entries.len(), MAX_ENTRIES);
        assert!(p.get(Instant::ZERO, dst(4999)).is_some());
    }
}
