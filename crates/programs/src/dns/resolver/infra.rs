//! What a resolver knows about servers: how fast they answer, whether they understand EDNS, for which
//! zones they are lame (unbound's infra cache). Forgotten after [`MEMORY`].

use core::net::IpAddr;
use std::collections::BTreeMap;

use hickory_proto::rr::Name;
use netarium_base::{Duration, Instant};

/// How long something is believed.
const MEMORY: Duration = Duration::from_secs(900);
/// The time-out for a server that nobody has asked yet.
const UNKNOWN: Duration = Duration::from_millis(376);
/// The shortest and the longest time-out.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(120);
/// How many servers are known at most; the one heard of longest ago makes room.
const SERVERS_MAX: usize = 10_000;
/// For how many zones one server is known to be lame at most.
const LAME_MAX: usize = 64;

/// One server.
#[derive(Clone, Debug)]
struct Server {
    /// Smoothed round-trip time and its variation (RFC 6298 §2), nanoseconds.
    srtt: Option<(u64, u64)>,
    /// Time-outs since the last answer: each doubles the time-out.
    timeouts: u32,
    /// It answers queries with EDNS.
    edns: bool,
    lame: BTreeMap<Name, Instant>,
    heard: Instant,
}

/// All servers.
#[derive(Debug, Default)]
pub(super) struct Infra {
    servers: BTreeMap<IpAddr, Server>,
}

impl Infra {
    fn of(&mut self, now: Instant, address: IpAddr) -> &mut Server {
        if !self.servers.contains_key(&address) && self.servers.len() >= SERVERS_MAX {
            let oldest = self.servers.iter().min_by_key(|(_, s)| s.heard).map(|(&a, _)| a);
            oldest.and_then(|a| self.servers.remove(&a));
        }
        let fresh =
            || Server { srtt: None, timeouts: 0, edns: true, lame: BTreeMap::new(), heard: now };
        let server = self.servers.entry(address).or_insert_with(fresh);
        if now.since(server.heard) > MEMORY {
            *server = fresh();
        }
        server
    }

    /// How long to wait for a server.
    pub(super) fn timeout(&mut self, now: Instant, address: IpAddr) -> Duration {
        let server = self.of(now, address);
        let base = match server.srtt {
            Some((srtt, var)) => Duration::from_nanos(srtt + 4 * var),
            None => UNKNOWN,
        };
        let nanos = base.max(SHORTEST).as_nanos() << server.timeouts.min(12);
        Duration::from_nanos(nanos).min(LONGEST)
    }

    /// It answered.
    pub(super) fn answered(&mut self, now: Instant, address: IpAddr, after: Duration) {
        let server = self.of(now, address);
        let rtt = after.as_nanos();
        server.srtt = Some(match server.srtt {
            None => (rtt, rtt / 2),
            Some((srtt, var)) => ((7 * srtt + rtt) / 8, (3 * var + srtt.abs_diff(rtt)) / 4),
        });
        (server.timeouts, server.heard) = (0, now);
    }

    /// It did not answer in time.
    pub(super) fn timed_out(&mut self, now: Instant, address: IpAddr) {
        let server = self.of(now, address);
        server.timeouts += 1;
        server.heard = now;
    }

    /// Whether it answers queries with EDNS.
    pub(super) fn edns(&mut self, now: Instant, address: IpAddr) -> bool {
        self.of(now, address).edns
    }

    /// It said that it does not understand EDNS.
    pub(super) fn no_edns(&mut self, now: Instant, address: IpAddr) {
        self.of(now, address).edns = false;
    }

    /// It is named as a server of a zone and does not serve it.
    pub(super) fn lame(&mut self, now: Instant, address: IpAddr, zone: &Name) {
        let server = self.of(now, address);
        if server.lame.len() >= LAME_MAX {
            server.lame.pop_first();
        }
        server.lame.insert(zone.clone(), now);
        server.heard = now;
    }

    /// Whether it is known not to serve a zone.
    pub(super) fn is_lame(&mut self, now: Instant, address: IpAddr, zone: &Name) -> bool {
        let since = self.of(now, address).lame.get(zone).copied();
        since.is_some_and(|since| now.since(since) <= MEMORY)
    }

    /// All servers in words, as `unbound-control dump_infra` writes them.
    pub(super) fn dump(&self, now: Instant) -> String {
        let line = |(address, s): (&IpAddr, &Server)| {
            let left =
                MEMORY.as_nanos().saturating_sub(now.since(s.heard).as_nanos()) / 1_000_000_000;
            let (srtt, var) = s.srtt.unwrap_or((0, 0));
            let lame: Vec<String> = s.lame.keys().map(crate::dns::text::name).collect();
            format!(
                "{address} ttl {left} ping {} var {} timeouts {} ednsknown {} lame {}\n",
                srtt / 1_000_000,
                var / 1_000_000,
                s.timeouts,
                u8::from(s.edns),
                if lame.is_empty() { "no".to_owned() } else { lame.join(" ") }
            )
        };
        self.servers.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_waited_for_as_it_deserves() {
        let (mut infra, server) = (Infra::default(), IpAddr::from([10, 0, 0, 1]));
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let wait = |infra: &mut Infra, ms| infra.timeout(at(ms), server).as_nanos() / 1_000_000;
        assert_eq!(wait(&mut infra, 0), 376);
        infra.timed_out(at(376), server);
        assert_eq!(wait(&mut infra, 376), 752);
        infra.answered(at(400), server, Duration::from_millis(40));
        assert_eq!(wait(&mut infra, 400), 120);
        (0..20).for_each(|_| infra.timed_out(at(500), server));
        assert_eq!(wait(&mut infra, 500), 120_000);
        let zone = Name::root();
        infra.lame(at(500), server, &zone);
        assert!(infra.is_lame(at(900_000), server, &zone));
        assert_eq!(wait(&mut infra, 901_000), 376, "forgotten");
        assert!(!infra.is_lame(at(901_000), server, &zone));
    }

    #[test]
    fn the_number_of_servers_is_bounded() {
        let mut infra = Infra::default();
        for n in 0..(SERVERS_MAX as u32 + 10) {
            infra.timed_out(
                Instant::ZERO + Duration::from_millis(n.into()),
                IpAddr::from(n.to_be_bytes()),
            );
        }
        assert_eq!(infra.servers.len(), SERVERS_MAX);
        assert!(!infra.servers.contains_key(&IpAddr::from([0, 0, 0, 9])));
    }
}
