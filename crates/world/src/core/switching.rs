//! A frame in a switch or hub: learning, repeating, mirroring, and loops.

use netarium_base::trace::Event;
use netarium_base::{DropReason, IfIndex, NodeId, Place};
use netarium_wire::Frame;

use super::{Core, Net};
use crate::link::{DirId, Trip};
use crate::node::{Hub, Kind, Switch};
use crate::switch::{Egress, Loops, Mirror, MirrorSpec, PortCounters, Step};

/// What is said when a loop shows itself.
const LOOP: &str = "the cables form a loop: a frame that had passed here came back. Such frames are \
                    dropped here; real switches without a spanning tree would repeat them without end";

/// A frame that has just come in, and where.
struct Here {
    id: NodeId,
    iface: IfIndex,
    trip: Trip,
}

impl Here {
    fn place(&self) -> Place {
        Place::Iface(self.id, self.iface)
    }
}

/// The ports of a switch or hub, for sending.
struct Ports<'a> {
    net: &'a mut Net,
    out: &'a [Option<DirId>],
    counters: &'a mut [PortCounters],
}

impl Core {
    /// A frame comes in at a switch or hub.
    pub(super) fn repeat(&mut self, id: NodeId, iface: IfIndex, trip: Trip, frame: Box<Frame>) {
        let Core { nodes, net, .. } = self;
        let node = &mut nodes[id.0 as usize];
        let trip = Trip { hops: trip.hops.saturating_add(1), ..trip };
        let here = Here { id, iface, trip };
        match &mut node.kind {
            Kind::Host(_) => {}
            Kind::Switch(switch) => {
                let Switch { table, counters, loops, mirror, stats } = &mut **switch;
                let mut ports = Ports { net, out: &node.ports, counters };
                ports.count_in(iface, &frame);
                if let Some(loops) = loops
                    && looped(loops, ports.net, &here, &frame)
                {
                    return;
                }
                let egress = switch_egress(table, stats, ports.net, &here, &frame);
                if let Some(mirror) = mirror
                    && mirror.wants(iface, egress)
                {
                    stats.mirrored += 1;
                    ports.send(mirror.to, trip, frame.clone());
                }
                ports.go(egress, &here, frame);
            }
            Kind::Hub(hub) => {
                let Hub { counters, loops } = hub;
                let mut ports = Ports { net, out: &node.ports, counters };
                ports.count_in(iface, &frame);
                if let Some(loops) = loops
                    && looped(loops, ports.net, &here, &frame)
                {
                    return;
                }
                ports.go(Egress::Flood, &here, frame);
            }
        }
    }

    /// The port of a switch into which a link is plugged.
    fn port_of(&self, switch: NodeId, link: &str) -> Result<IfIndex, String> {
        let id = self.names.link_id(link);
        let id = id.ok_or_else(|| format!("no link is called `{link}`"))?;
        let ends = self.net.links[id.0 as usize].ends;
        let port = ends.iter().find(|(node, _)| *node == switch).map(|(_, port)| *port);
        port.ok_or_else(|| format!("the link `{link}` is not plugged into it"))
    }

    /// Has a switch copy what passes some of its ports to another one, or to none any more.
    pub(crate) fn set_mirror(&mut self, name: &str, to: Option<&MirrorSpec>) -> Result<(), String> {
        let id = self.names.node_id(name);
        let is_switch = |id: &NodeId| matches!(self.nodes[id.0 as usize].kind, Kind::Switch(_));
        let id = id.filter(is_switch).ok_or_else(|| format!("no switch is called `{name}`"))?;
        let mirror = to.map(|spec| {
            let to = self.port_of(id, &spec.to)?;
            let from: Result<Vec<_>, String> =
                spec.from.iter().map(|link| self.port_of(id, link)).collect();
            let mut from = from?;
            from.sort_unstable();
            from.dedup();
            if from.contains(&to) {
                return Err(format!("`{}` cannot be a mirror of itself", spec.to));
            }
            Ok(Mirror { to, from, spec: spec.clone() })
        });
        let mirror = mirror.transpose()?;
        if let Kind::Switch(switch) = &mut self.nodes[id.0 as usize].kind {
            switch.mirror = mirror.map(Box::new);
        }
        Ok(())
    }
}

/// Whether a frame has come back, or has passed too many switches; it is dropped then.
fn looped(loops: &mut Loops, net: &mut Net, here: &Here, frame: &Frame) -> bool {
    if !loops.is_back(here.trip) {
        return false;
    }
    let place = here.place();
    if loops.is_news(net.now) {
        let cause = frame.meta.cause;
        let note = || Event::Note { text: LOOP.into() };
        net.tracer.emit(net.now, cause, place, frame.meta.flow, note);
    }
    net.drop_frame(place, frame, DropReason::SwitchLoop);
    true
}

/// A switch learns from a frame and decides where it goes.
fn switch_egress(
    table: &mut crate::switch::Table,
    stats: &mut crate::switch::SwitchStats,
    net: &mut Net,
    here: &Here,
    frame: &Frame,
) -> Egress {
    let step = match table.learn(net.now, frame.src_mac(), here.iface) {
        Step::Known => None,
        Step::Learned => Some(("learned", &mut stats.learned)),
        Step::Moved => Some(("moved", &mut stats.moved)),
        Step::Full => Some(("full", &mut stats.full)),
    };
    let (place, port) = (here.place(), here.iface);
    if let Some((step, count)) = step {
        *count += 1;
        net.tell(frame, place, || Event::SwitchTable { step, port });
    }
    let (egress, aged) = table.egress(net.now, frame.dst_mac(), port);
    if aged {
        stats.aged += 1;
        net.tell(frame, place, || Event::SwitchTable { step: "aged", port });
    }
    stats.flooded += u64::from(egress == Egress::Flood);
    egress
}

impl Ports<'_> {
    fn counters(&mut self, port: IfIndex) -> Option<&mut PortCounters> {
        self.counters.get_mut(usize::from(port.0).checked_sub(1)?)
    }

    fn count_in(&mut self, port: IfIndex, frame: &Frame) {
        if let Some(c) = self.counters(port) {
            c.rx_frames += 1;
            c.rx_bytes += frame.len() as u64;
        }
    }

    /// Sends by a port. Nothing happens when nothing is plugged in.
    fn send(&mut self, port: IfIndex, trip: Trip, frame: Box<Frame>) {
        if let Some(c) = self.counters(port) {
            c.tx_frames += 1;
            c.tx_bytes += frame.len() as u64;
        }
        let out = usize::from(port.0).checked_sub(1).and_then(|i| *self.out.get(i)?);
        if let Some(direction) = out {
            self.net.send_on(direction, trip, frame);
        }
    }

    fn go(&mut self, egress: Egress, here: &Here, frame: Box<Frame>) {
        match egress {
            Egress::Port(to) => self.send(to, here.trip, frame),
            Egress::Same => self.net.drop_frame(here.place(), &frame, DropReason::SwitchSamePort),
            Egress::Flood => self.flood(here, frame),
        }
    }

    /// Repeats a frame to all ports but the one it came from. Its payload is shared, not copied.
    fn flood(&mut self, here: &Here, frame: Box<Frame>) {
        let ports = (1..).map(IfIndex).zip(self.out).filter(|(_, out)| out.is_some());
        let mut others = ports.map(|(i, _)| i).filter(|i| *i != here.iface);
        let Some(mut last) = others.next() else { return };
        for next in others {
            self.send(last, here.trip, frame.clone());
            last = next;
        }
        self.send(last, here.trip, frame);
    }
}
