//! The conversations of a script: which ports, and which numbers of the script are which on the
//! wire.
//!
//! Sequence numbers of the remote are the script's own. Those of the host under test begin where
//! it chose: its SYN ties both together. Timestamps of the host are tied by the first that a
//! script names, and each that it names later is remembered for echoes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use netarium_wire::TcpFlags;

use super::machine::{Body, Sent};
use crate::script::{Opt, SegmentSpec};

/// One conversation.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// The script's name for the ports, when it gives one: (local, remote).
    pub(super) script_ports: Option<(u16, u16)>,
    /// What to add to a sequence number of the script to get that of the host, once known.
    pub(super) offset: Option<u32>,
    /// Bytes of the largest segment that was sent.
    pub(super) largest: u32,
    /// The number of the peer's byte that the program reads next, while it is known.
    pub(super) read_to: Option<u32>,
    /// Whether the peer's SYN, or urgent data, was seen.
    pub(super) followed: bool,
    /// The host's timestamps: of the script to those on the wire.
    timestamps: BTreeMap<u32, u32>,
    /// The host's latest timestamp on the wire.
    pub(super) last_timestamp: Option<u32>,
    /// The first of them: script, wire.
    pub(super) first_timestamp: Option<(u32, u32)>,
}

impl Flow {
    pub(super) fn new(local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow {
            local,
            remote,
            script_ports: None,
            offset: None,
            largest: 0,
            read_to: None,
            followed: false,
            timestamps: BTreeMap::new(),
            last_timestamp: None,
            first_timestamp: None,
        }
    }

    /// Whether a packet that was sent belongs to it.
    pub(super) fn owns(&self, sent: &Sent) -> bool {
        let ports = match &sent.body {
            Body::Tcp { header, .. } => (header.src_port, header.dst_port),
            Body::Udp { ports, .. } => *ports,
            Body::Icmp(_) => return sent.dst == self.remote.ip(),
            Body::Broken(_) => return true,
        };
        ports == (self.local.port(), self.remote.port()) && sent.dst == self.remote.ip()
    }

    /// A sequence number of the host: the script's to the wire's.
    pub(super) fn live_seq(&self, script: u32) -> u32 {
        script.wrapping_add(self.offset.unwrap_or(0))
    }

    fn script_seq(&self, live: u32) -> u32 {
        live.wrapping_sub(self.offset.unwrap_or(0))
    }

    /// The options of an inbound segment as they go on the wire: echoes and SACK blocks speak of
    /// the host's numbers.
    pub(super) fn live_options(&self, options: &[Opt], echoes: bool) -> Vec<Opt> {
        let all = options.iter().map(|option| match option {
            Opt::Ts(val, ecr) if echoes => Opt::Ts(*val, self.live_echo(*ecr)),
            Opt::Sack(blocks) => {
                let live =
                    blocks.iter().map(|(from, to)| (self.live_seq(*from), self.live_seq(*to)));
                Opt::Sack(live.collect())
            }
            other => other.clone(),
        });
        all.collect()
    }

    fn live_echo(&self, script: u32) -> u32 {
        let known = self.timestamps.get(&script).copied();
        let guess = || {
            let (first, live) = self.first_timestamp?;
            Some(live.wrapping_add(script.wrapping_sub(first)))
        };
        // A script that never names a timestamp of the host means the latest.
        known.or_else(guess).or(self.last_timestamp).unwrap_or(script)
    }

    /// Remembers that the host's timestamp `live` is the script's `script`.
    pub(super) fn learn_timestamp(&mut self, script: u32, live: u32) {
        self.first_timestamp.get_or_insert((script, live));
        if self.timestamps.len() < 100_000 {
            self.timestamps.insert(script, live);
        }
    }

    /// A sent segment in the numbers of the script.
    pub(super) fn in_script_numbers(&self, sent: &Sent) -> Option<SegmentSpec> {
        let Body::Tcp { header, options, data } = &sent.body else { return None };
        let has_ack = header.flags.contains(TcpFlags::ACK);
        // RFC 9293 §3.10.7.1: a reset that answers a segment without ACK has sequence number 0.
        let zero = header.flags.contains(TcpFlags::RST) && header.seq == 0;
        Some(SegmentSpec {
            flags: header.flags,
            seq: if zero { 0 } else { self.script_seq(header.seq) },
            len: data.len() as u32,
            ack: if has_ack { header.ack } else { 0 },
            window: Some(header.window),
            urgent: header.urgent,
            options: Some(options.iter().map(|o| self.script_option(o)).collect()),
        })
    }

    fn script_option(&self, option: &Opt) -> Opt {
        match (option, self.first_timestamp) {
            (Opt::Ts(val, ecr), Some((script, live))) => {
                Opt::Ts(script.wrapping_add(val.wrapping_sub(live)), *ecr)
            }
            _ => option.clone(),
        }
    }
}
