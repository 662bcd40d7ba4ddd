//! The routing table: longest prefix first (RFC 1812 §5.2.4.3), then the lowest metric.

use core::net::IpAddr;

use netarium_base::IfIndex;
use netarium_base::map::Map;

use crate::types::Route;

/// The most routes a table holds; more are refused.
pub const MAX_ROUTES: usize = 65_536;
/// Up to so many routes are looked through one by one: most hosts have three, and ten thousand hosts
/// ten thousand tables.
const FEW: usize = 8;

/// A routing table.
#[derive(Debug, Default)]
pub struct RouteTable {
    /// In the order in which they were added, for listings.
    list: Vec<Route>,
    /// By prefix length, longest first; by network; best metric first. Holds places in `list`. Empty
    /// while the routes are few.
    index: Vec<(u8, Map<IpAddr, Vec<u32>>)>,
}

impl RouteTable {
    /// Adds a route. `false` when the table is full or holds the same route already.
    pub fn add(&mut self, route: Route) -> bool {
        let route = Route { to: route.to.network(), ..route };
        if self.list.len() >= MAX_ROUTES || self.list.contains(&route) {
            return false;
        }
        if self.list.len() < FEW {
            self.list.reserve_exact(1);
        }
        self.list.push(route);
        if self.index.is_empty() {
            self.rebuild_all();
        } else {
            self.rebuild(route.to.prefix());
        }
        true
    }

    /// Removes the routes that match; how many there were.
    pub fn remove(&mut self, matches: impl Fn(&Route) -> bool) -> usize {
        let before = self.list.len();
        self.list.retain(|r| !matches(r));
        self.rebuild_all();
        before - self.list.len()
    }

    fn rebuild_all(&mut self) {
        self.index.clear();
        if self.list.len() <= FEW {
            return;
        }
        let mut prefixes: Vec<u8> = self.list.iter().map(|r| r.to.prefix()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        for p in prefixes {
            self.rebuild(p);
        }
    }

    fn rebuild(&mut self, prefix: u8) {
        let mut map: Map<IpAddr, Vec<u32>> = Map::default();
        for (i, r) in self.list.iter().enumerate().filter(|(_, r)| r.to.prefix() == prefix) {
            map.entry(r.to.address()).or_default().push(i as u32);
        }
        for places in map.values_mut() {
            places.sort_by_key(|i| self.list[*i as usize].metric);
        }
        self.index.retain(|(p, _)| *p != prefix);
        let at = self.index.partition_point(|(p, _)| *p > prefix);
        self.index.insert(at, (prefix, map));
    }

    /// The route for a destination.
    pub fn look_up(&self, destination: IpAddr) -> Option<&Route> {
        if self.index.is_empty() {
            return self.look_through(destination);
        }
        for (prefix, map) in &self.index {
            let Some(cidr) = netarium_wire::Cidr::new(destination, *prefix) else { continue };
            if let Some(places) = map.get(&cidr.network().address()) {
                return places.first().map(|i| &self.list[*i as usize]);
            }
        }
        None
    }

    /// The route for a destination among those of one interface.
    pub fn look_up_on(&self, destination: IpAddr, iface: IfIndex) -> Option<&Route> {
        for (prefix, map) in &self.index {
            let Some(cidr) = netarium_wire::Cidr::new(destination, *prefix) else { continue };
            let places = map.get(&cidr.network().address()).into_iter().flatten();
            let mut there = places.map(|i| &self.list[*i as usize]).filter(|r| r.iface == iface);
            if let Some(route) = there.next() {
                return Some(route);
            }
        }
        None
    }

    /// The best of a few routes: of equal ones the first.
    fn look_through(&self, destination: IpAddr) -> Option<&Route> {
        let mut best: Option<&Route> = None;
        for route in self.list.iter().filter(|r| r.to.contains(destination)) {
            let better = best.is_none_or(|b| {
                let (new, old) = (route.to.prefix(), b.to.prefix());
                new > old || (new == old && route.metric < b.metric)
            });
            best = if better { Some(route) } else { best };
        }
        best
    }

    /// All routes in the order in which they were added.
    pub fn list(&self) -> &[Route] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(to: &str, via: Option<&str>, metric: u32) -> Route {
        Route {
            to: to.parse().unwrap(),
            via: via.map(|v| v.parse().unwrap()),
            iface: IfIndex(2),
            metric,
            source: None,
        }
    }

    #[test]
    fn the_longest_prefix_wins_then_the_metric() {
        the_longest_wins(RouteTable::default());
        // The same in a table with an index.
        let mut many = RouteTable::default();
        for i in 0..2 * FEW {
            assert!(many.add(route(&format!("172.16.{i}.0/24"), None, 0)));
        }
        assert!(!many.index.is_empty());
        the_longest_wins(many);
    }

    fn the_longest_wins(mut t: RouteTable) {
        assert!(t.add(route("0.0.0.0/0", Some("10.0.0.1"), 0)));
        assert!(t.add(route("10.1.0.0/16", Some("10.0.0.2"), 5)));
        assert!(t.add(route("10.1.0.0/16", Some("10.0.0.3"), 1)));
        assert!(t.add(route("10.1.2.0/24", None, 0)));
        assert!(!t.add(route("10.1.2.9/24", None, 0)), "the same network");
        let via = |t: &RouteTable, ip: &str| {
            t.look_up(ip.parse().unwrap()).and_then(|r| r.via).map(|v| v.to_string())
        };
        assert_eq!(via(&t, "10.1.2.3"), None);
        assert_eq!(via(&t, "10.1.3.3").as_deref(), Some("10.0.0.3"));
        assert_eq!(via(&t, "8.8.8.8").as_deref(), Some("10.0.0.1"));
        assert_eq!(t.remove(|r| r.metric == 1), 1);
        assert_eq!(via(&t, "10.1.3.3").as_deref(), Some("10.0.0.2"));
        assert!(t.look_up("fe80::1".parse().unwrap()).is_none());
    }
}
