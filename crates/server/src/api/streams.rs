//! What leaves a running lab piece by piece: captured frames and trace events.
//!
//! Neither slows the lab down. A reader that falls more than 4 MiB behind loses frames or events;
//! the next one that it gets tells how many, and a capture's statistics at its end tell the sum.

use std::cell::RefCell;
use std::rc::Rc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use netarium_base::{Instant, LinkId};
use netarium_wire::Frame;
use netarium_wire::pcapng::{self, Packet, Section, Statistics, Writer};
use netarium_world::capture::{CaptureInterface, Direction};
use netarium_world::{CaptureSink, CaptureSpec, Ends, LinkView, World};

use super::Failure;
use super::routes::Shared;
use crate::observe::{ChunkSender, Chunks};
use crate::runner::Desk;

/// `GET /capture?link=…&link=…&ends=sender|receiver|both`
pub(super) async fn capture(
    State(shared): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let wanted = Wanted::parse(query)?;
    let chunks = shared.world.desk(move |desk| begin(desk, &wanted)).await??;
    Ok(streaming("application/x-pcapng", chunks))
}

pub(super) fn streaming(kind: &'static str, chunks: Chunks) -> Response {
    let pieces = stream::unfold(chunks, async |mut chunks| {
        let chunk = chunks.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(chunk)), chunks))
    });
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(pieces)).into_response()
}

#[derive(Debug)]
struct Wanted {
    links: Vec<String>,
    ends: Ends,
    snaplen: u32,
}

impl Wanted {
    fn parse(query: Vec<(String, String)>) -> Result<Wanted, Failure> {
        let bad = |why: String| Failure::new(StatusCode::BAD_REQUEST, why);
        let mut wanted = Wanted { links: Vec::new(), ends: Ends::Sender, snaplen: 0 };
        for (key, value) in query {
            match (key.as_str(), value.as_str()) {
                ("link", _) => wanted.links.push(value),
                ("ends", "sender") => wanted.ends = Ends::Sender,
                ("ends", "receiver") => wanted.ends = Ends::Receiver,
                ("ends", "both") => wanted.ends = Ends::Both,
                ("ends", _) => {
                    return Err(bad(format!("ends is sender, receiver or both, not `{value}`")));
                }
                ("snaplen", _) => {
                    let n = value.parse();
                    wanted.snaplen =
                        n.map_err(|_| bad("snaplen is a number of bytes".to_owned()))?;
                }
                _ => return Err(bad(format!("there is no parameter `{key}`"))),
            }
        }
        Ok(wanted)
    }
}

/// The links of these names; all but the loopback ones when none is named.
///
/// # Errors
/// The first name that no link has.
pub fn links(world: &World, names: &[String]) -> Result<Vec<LinkId>, String> {
    if names.is_empty() {
        return Ok(wires(world).map(|l| l.id).collect());
    }
    names.iter().map(|name| world.link_id(name).ok_or_else(|| name.clone())).collect()
}

/// All links between two nodes.
fn wires(world: &World) -> impl Iterator<Item = LinkView<'_>> {
    world.links().filter(|l| l.ends[0] != l.ends[1])
}

fn begin(desk: &mut Desk, wanted: &Wanted) -> Result<Chunks, Failure> {
    let links = links(&desk.world, &wanted.links).map_err(|name| {
        let known: Vec<String> = wires(&desk.world).map(|l| l.name.to_owned()).collect();
        let most = known.len().min(20);
        let why = format!("the lab has no link `{name}`; it has {}", known[..most].join(", "));
        Failure::new(StatusCode::NOT_FOUND, why)
    })?;
    let (sender, chunks) = ChunkSender::new();
    let sender = Rc::new(RefCell::new(sender));
    let sink = LiveCapture::new(Rc::clone(&sender));
    let spec = CaptureSpec { links, ends: wanted.ends, snaplen: wanted.snaplen };
    let id = desk.world.capture(&spec, Box::new(sink));
    desk.observers.add_capture(id, sender);
    Ok(chunks)
}

/// Writes pcapng into a stream that may lose frames.
struct LiveCapture {
    sender: Rc<RefCell<ChunkSender>>,
    open: Option<Open>,
    /// Frames lost since the last one that was not.
    lost: u64,
    block: Vec<u8>,
}

/// A capture that has begun: its writer, and what each interface has seen.
struct Open {
    writer: Writer,
    counts: Vec<Statistics>,
}

impl LiveCapture {
    fn new(sender: Rc<RefCell<ChunkSender>>) -> LiveCapture {
        LiveCapture { sender, open: None, lost: 0, block: Vec::new() }
    }
}

impl CaptureSink for LiveCapture {
    fn begin(&mut self, epoch: u64, start: Instant, interfaces: &[CaptureInterface]) {
        self.block.clear();
        let mut writer = Writer::start(&mut self.block, epoch, &Section::default());
        for interface in interfaces {
            let described = pcapng::Interface {
                name: &interface.name,
                description: &interface.description,
                mac: interface.mac,
                addresses: &interface.addresses,
                speed: interface.speed,
                snaplen: interface.snaplen,
            };
            writer.interface(&mut self.block, &described);
        }
        // What describes the capture comes first and once: it is never lost, whatever its length.
        self.sender.borrow_mut().push_anyway(&self.block);
        let counts = vec![Statistics { start, ..Statistics::default() }; interfaces.len()];
        self.open = Some(Open { writer, counts });
    }

    fn frame(&mut self, interface: usize, at: Instant, direction: Direction, frame: &Frame) {
        let Some(open) = &mut self.open else { return };
        let Some(counts) = open.counts.get_mut(interface) else { return };
        counts.received += 1;
        let notice = (self.lost > 0).then(|| {
            format!("{} frames before this one are missing: the reader was too slow", self.lost)
        });
        let comments: &[&str] = match &notice {
            Some(notice) => &[notice],
            None => &[],
        };
        let packet = Packet {
            interface: pcapng::InterfaceId(interface as u32),
            at,
            direction: Some(match direction {
                Direction::In => pcapng::Direction::In,
                Direction::Out => pcapng::Direction::Out,
            }),
            id: None,
            comments,
        };
        self.block.clear();
        open.writer.packet(&mut self.block, &packet, frame);
        if self.sender.borrow_mut().push(&self.block) {
            self.lost = 0;
        } else {
            self.lost += 1;
            counts.dropped += 1;
        }
    }

    fn end(&mut self, at: Instant) {
        self.block.clear();
        let Some(open) = &mut self.open else { return };
        for (i, counts) in open.counts.iter().enumerate() {
            let statistics = Statistics { end: at, ..*counts };
            let id = pcapng::InterfaceId(i as u32);
            open.writer.statistics(&mut self.block, id, &statistics);
        }
        self.sender.borrow_mut().push_anyway(&self.block);
    }
}
