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
    comment: String,
    /// Write through after each frame, for live streams.
    live: bool,
    buffer: Vec<u8>,
    section: Option<Open>,
}

/// A file that has begun.
struct Open {
    writer: Writer,
    start: Instant,
    /// Each with its number of frames.
    interfaces: Vec<(InterfaceId, u64)>,
}

impl<W> std::fmt::Debug for PcapSink<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let interfaces = self.section.as_ref().map_or(0, |s| s.interfaces.len());
        write!(f, "PcapSink({interfaces} interfaces)")
    }
}

impl<W: ByteSink> PcapSink<W> {
    /// A file that begins when the capture does.
    pub fn new(out: W) -> PcapSink<W> {
        let comment = String::new();
        PcapSink { out, comment, live: false, buffer: Vec::new(), section: None }
    }

    /// With a comment on the whole capture.
    pub fn comment(mut self, text: impl Into<String>) -> PcapSink<W> {
        self.comment = text.into();
        self
    }

    /// Writes each frame through at once, for somebody who watches.
    pub fn live(mut self) -> PcapSink<W> {
        self.live = true;
        self
    }

    fn write(&mut self) {
        self.out.write(&self.buffer);
        self.buffer.clear();
        if self.live {
            self.out.flush();
        }
    }
}

impl<W: ByteSink> CaptureSink for PcapSink<W> {
    fn begin(&mut self, epoch: u64, start: Instant, interfaces: &[CaptureInterface]) {
        let section = Section { comment: &self.comment, ..Section::default() };
        let mut writer = Writer::start(&mut self.buffer, epoch, &section);
        let described = interfaces.iter().map(|i| pcapng::Interface {
            name: &i.name,
            description: &i.description,
            mac: i.mac,
            addresses: &i.addresses,
            speed: i.speed,
            snaplen: i.snaplen,
        });
        let interfaces = described.map(|i| (writer.interface(&mut self.buffer, &i), 0)).collect();
        self.section = Some(Open { writer, start, interfaces });
        self.write();
    }

    fn frame(&mut self, interface: usize, at: Instant, direction: Direction, frame: &Frame) {
        let Some(section) = &mut self.section else { return };
        let Some((id, count)) = section.interfaces.get_mut(interface) else { return };
        *count += 1;
        let direction = Some(match direction {
            Direction::In => pcapng::Direction::In,
            Direction::Out => pcapng::Direction::Out,
        });
        let packet = Packet { interface: *id, at, direction, id: None, comments: &[] };
        section.writer.packet(&mut self.buffer, &packet, frame);
        if self.live || self.buffer.len() >= WRITE_AT {
            self.write();
        }
    }

    fn end(&mut self, at: Instant) {
        if let Some(section) = self.section.take() {
            for (id, received) in section.interfaces {
                let statistics = Statistics { start: section.start, end: at, received, dropped: 0 };
                section.writer.statistics(&mut self.buffer, id, &statistics);
            }
        }
        self.write();
        self.out.flush();
    }
}
