//! Makes the packets that arrive.

use std::net::{IpAddr, SocketAddr};

use netarium_wire::{TcpFlags, TcpHeader};

use super::flow::Flow;
use super::machine::{self, Inbound};
use super::{Runner, Step};
use crate::script::{Direction, Icmp, PacketSpec, SegmentSpec, Transport};

/// Byte `i` of a payload: what arrives twice is the same twice.
pub(super) fn filler(i: u32) -> u8 {
    (i % 251) as u8
}

impl Runner {
    /// A packet of the script arrives.
    pub(super) fn inbound(&mut self, spec: &PacketSpec) -> Step {
        let flow = self.flow_of(spec);
        let (local, remote) = (self.flows[flow].local, self.flows[flow].remote);
        let ecn = spec.ecn.map_or(0, |e| e.bits());
        let packet = Inbound {
            from: remote,
            to: local,
            tos: spec.tos.unwrap_or(ecn),
            ttl: spec.ttl.unwrap_or(255),
        };
        let frame = match &spec.transport {
            Transport::Tcp(segment) => self.tcp_frame(flow, packet, segment),
            Transport::Udp(len) => {
                let data: Vec<u8> = (0..u32::from(*len)).map(filler).collect();
                machine::datagram(packet, &data)
            }
            Transport::Icmp(icmp) => self.icmp_frame(flow, packet, icmp),
        };
        if let Transport::Tcp(segment) = &spec.transport {
            self.follow(flow, segment);
        }
        let clock = self.clock(self.machine.now);
        self.note_line(format!("{clock} {spec}"));
        self.machine.inject(frame)?;
        self.retry_pending()
    }

    /// The stream that the program reads begins behind the peer's first SYN; urgent bytes are
    /// taken out of it.
    fn follow(&mut self, flow: usize, spec: &SegmentSpec) {
        let flow = &mut self.flows[flow];
        if spec.flags.contains(TcpFlags::URG) || spec.urgent != 0 {
            flow.read_to = None;
        } else if spec.flags.contains(TcpFlags::SYN) && !flow.followed {
            flow.read_to = Some(spec.seq.wrapping_add(1));
        }
        flow.followed |= spec.flags.contains(TcpFlags::SYN) || spec.urgent != 0;
    }

    fn tcp_frame(
        &self,
        flow: usize,
        packet: Inbound,
        spec: &SegmentSpec,
    ) -> Box<netarium_wire::Frame> {
        let flow = &self.flows[flow];
        let has_ack = spec.flags.contains(TcpFlags::ACK);
        let urgent = if spec.urgent == 0 { TcpFlags::empty() } else { TcpFlags::URG };
        let header = TcpHeader {
            src_port: packet.from.port(),
            dst_port: packet.to.port(),
            seq: spec.seq,
            ack: if has_ack { flow.live_seq(spec.ack) } else { spec.ack },
            flags: spec.flags | urgent,
            window: spec.window.unwrap_or(0),
            urgent: spec.urgent,
        };
        let options = flow.live_options(spec.options.as_deref().unwrap_or_default(), has_ack);
        let data: Vec<u8> = (0..spec.len).map(|i| filler(spec.seq.wrapping_add(i))).collect();
        machine::segment(packet, &header, &options, &data)
    }

    fn icmp_frame(&self, flow: usize, packet: Inbound, icmp: &Icmp) -> Box<netarium_wire::Frame> {
        let (seq, len) = icmp.quoted.unwrap_or((0, 0));
        machine::icmp_message(packet, icmp, self.flows[flow].live_seq(seq), len)
    }

    /// The conversation of a packet: by its ports, or the one under test. What arrives at a
    /// listener begins a new one.
    pub(super) fn flow_of(&mut self, spec: &PacketSpec) -> usize {
        let named = spec.ports.map(|(src, dst)| match spec.direction {
            Direction::In => (dst, src),
            Direction::Out => (src, dst),
        });
        if let Some(ports) = named {
            let known = self.flows.iter().rposition(|f| {
                f.script_ports == Some(ports)
                    || (f.script_ports.is_none()
                        && f.local.port() == ports.0
                        && f.remote.port() == ports.1)
            });
            let flow = known.unwrap_or_else(|| {
                // A connection that a call began has a port of its own until the script names it.
                let unnamed = self.current.filter(|&i| {
                    spec.direction == Direction::Out && self.flows[i].script_ports.is_none()
                });
                unnamed.unwrap_or_else(|| self.new_flow(Some(ports)))
            });
            self.flows[flow].script_ports = Some(ports);
            self.current = Some(flow);
            return flow;
        }
        match self.current {
            Some(flow) => flow,
            None => {
                let flow = self.new_flow(None);
                self.current = Some(flow);
                flow
            }
        }
    }

    fn new_flow(&mut self, ports: Option<(u16, u16)>) -> usize {
        let local_port = self.listening.unwrap_or(self.config.bind_port);
        let (local_port, remote_port) = match ports {
            Some((local, remote)) => (if local == 0 { local_port } else { local }, remote),
            None => {
                self.next_remote_port = self.next_remote_port.checked_add(2).unwrap_or(1025);
                (local_port, self.next_remote_port)
            }
        };
        let local = SocketAddr::new(IpAddr::V4(self.config.local_ip), local_port);
        let remote = SocketAddr::new(IpAddr::V4(self.config.remote_ip), remote_port);
        self.add_flow(local, remote)
    }

    /// Begins a conversation.
    pub(super) fn add_flow(&mut self, local: SocketAddr, remote: SocketAddr) -> usize {
        self.flows.push(Flow::new(local, remote));
        self.flows.len() - 1
    }
}
