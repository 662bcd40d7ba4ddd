//! Captures as pcapng.

use netarium_base::Instant;
use netarium_wire::Frame;
use netarium_wire::pcapng::{self, InterfaceId, Packet, Section, Statistics, Writer};

use super::{CaptureInterface, CaptureSink, Direction};

/// How many bytes are collected before they go to the byte sink.
const WRITE_AT: usize = 64 * 1024;

/// Somewhere for bytes to go: a file, a pipe, a buffer.
pub trait ByteSink {
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]);
    /// No more will come for now: whoever reads along should get what is there.
    fn flush(&mut self) {}
}

impl<F: FnMut(&[u8])> ByteSink for F {
    fn write(&mut self, bytes: &[u8]) {
        self(bytes);
    }
}

/// Writes a capture as pcapng into a [`ByteSink`]: whole blocks at a time, so that what was written
/// is a complete file whenever it stops.
pub struct PcapSink<W> {
    out: W,
    buffer: Vec<u8>,
    writer: Writer,
    interfaces: Vec<(InterfaceId, u64)>,
    /// Write through after each frame, for live streams.
    live: bool,
    start: Instant,
}

impl<W> std::fmt::Debug for PcapSink<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PcapSink({} interfaces)", self.interfaces.len())
    }
}

impl<W: ByteSink> PcapSink<W> {
    /// Begins a file. `epoch` is what virtual time zero is called, in nanoseconds since 1970-01-01
    /// UTC; `start` is the world's now. `comment` is a comment on the whole capture, empty for none.
    pub fn new(out: W, epoch: u64, start: Instant, comment: &str) -> PcapSink<W> {
        let mut buffer = Vec::new();
        let section = Section { comment, ..Section::default() };
        let writer = Writer::start(&mut buffer, epoch, &section);
        PcapSink { out, buffer, writer, interfaces: Vec::new(), live: false, start }
    }

    /// Writes each frame through at once, for somebody who watches.
    pub fn live(mut self) -> PcapSink<W> {
        self.live = true;
        self
    }

    fn write(&mut self) {
        self.out.write(&self.buffer);
        self.buffer.clear();
    }
}

impl<W: ByteSink> CaptureSink for PcapSink<W> {
    fn interface(&mut self, interface: &CaptureInterface) {
        let described = pcapng::Interface {
            name: &interface.name,
            description: &interface.description,
            mac: interface.mac,
            addresses: &interface.addresses,
            speed: interface.speed,
            snaplen: interface.snaplen,
        };
        let id = self.writer.interface(&mut self.buffer, &described);
        self.interfaces.push((id, 0));
        if self.live {
            self.write();
        }
    }

    fn frame(&mut self, interface: usize, at: Instant, direction: Direction, frame: &Frame) {
        let Some((id, count)) = self.interfaces.get_mut(interface) else { return };
        *count += 1;
        let direction = Some(match direction {
            Direction::In => pcapng::Direction::In,
            Direction::Out => pcapng::Direction::Out,
        });
        let packet = Packet { interface: *id, at, direction, id: None, comments: &[] };
        self.writer.packet(&mut self.buffer, &packet, frame);
        if self.live || self.buffer.len() >= WRITE_AT {
            self.write();
        }
    }

    fn end(&mut self, at: Instant) {
        for &(id, received) in &self.interfaces {
            let statistics = Statistics { start: self.start, end: at, received, dropped: 0 };
            self.writer.statistics(&mut self.buffer, id, &statistics);
        }
        self.write();
        self.out.flush();
    }
}
