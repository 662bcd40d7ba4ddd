//! Links, partitions and switches: what they are, and changing them while the lab runs.
//!
//! Values are texts, as in a lab file. Each change is a journalled command.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use netarium_base::chance::percent;
use netarium_lab::edit;
use netarium_world::edit::Directions;
use netarium_world::{
    Command, DirectionSpec, DirectionStats, Faults, LinkView as WorldLink, MirrorSpec, World,
};
use serde::{Deserialize, Serialize};

use super::Failure;
use super::edits::refused;
use super::routes::{Readable, Shared};

/// A link and its present settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// Its name.
    pub name: String,
    /// Whether it takes frames.
    pub state: String,
    /// From the host (or further switch) to the network.
    pub up: WireView,
    /// From the network to the host.
    pub down: WireView,
}

/// One direction of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireView {
    /// How long a bit travels: `50ms`.
    pub delay: String,
    /// Bits per second, `10Mbit`, or `none`: without limit.
    pub rate: String,
    /// Frames that may wait.
    pub queue: u32,
    /// Bytes that may wait, or `none`.
    pub queue_bytes: String,
    /// The probability of loss: `5%`.
    pub loss: String,
    /// Loss in bursts: `p 1% r 25%`, or `none`.
    pub loss_burst: String,
    /// The frames lost by number: `3,every 10`, or `none`.
    pub drop_nth: String,
    /// The frames lost by what they carry: `tcp port 80`, or `none`.
    pub drop_match: String,
    /// The probability of duplication.
    pub duplicate: String,
    /// Frames that are held back: `25% by 10ms`, or `none`.
    pub reorder: String,
    /// The probability of a flipped bit.
    pub corrupt: String,
    /// How the delay varies: `5ms normal`, or `none`.
    pub jitter: String,
    /// The largest packet, or `none`.
    pub mtu: String,
    /// Frames handed over and taken.
    pub sent: u64,
    /// Frames that arrived.
    pub delivered: u64,
    /// Frames lost on the way by `loss`.
    pub lost: u64,
    /// Frames dropped because the queue was full.
    pub dropped_full: u64,
    /// Frames dropped because the link was down.
    pub dropped_down: u64,
    /// Frames lost on the way in bursts.
    pub dropped_burst: u64,
    /// Frames lost because they were chosen.
    pub dropped_picked: u64,
    /// Frames larger than the MTU.
    pub dropped_big: u64,
    /// Frames that a partition kept off the wire, or took from it.
    pub dropped_partition: u64,
    /// Frames that were cut off with the link.
    pub dropped_cut: u64,
    /// Copies that were made.
    pub duplicated: u64,
    /// Frames that were held back.
    pub reordered: u64,
    /// Frames with a flipped bit.
    pub corrupted: u64,
}

impl WireView {
    fn new(spec: DirectionSpec, faults: &Faults, stats: DirectionStats) -> WireView {
        fn or_none<T: ToString>(value: Option<T>) -> String {
            value.map_or("none".to_owned(), |v| v.to_string())
        }
        WireView {
            delay: spec.delay.to_string(),
            rate: or_none(spec.rate.map(netarium_lab::Rate)),
            queue: spec.queue,
            queue_bytes: or_none(faults.queue_bytes),
            loss: percent(spec.loss),
            loss_burst: or_none(faults.burst),
            drop_nth: faults.nth.to_string(),
            drop_match: or_none(faults.matching.as_ref()),
            duplicate: percent(faults.duplicate),
            reorder: or_none(faults.reorder),
            corrupt: percent(faults.corrupt),
            jitter: or_none(faults.jitter),
            mtu: or_none(faults.mtu),
            sent: stats.sent_frames,
            delivered: stats.delivered_frames,
            lost: stats.dropped_loss,
            dropped_full: stats.dropped_full,
            dropped_down: stats.dropped_down,
            dropped_burst: stats.dropped_burst,
            dropped_picked: stats.dropped_picked,
            dropped_big: stats.dropped_big,
            dropped_partition: stats.dropped_partition,
            dropped_cut: stats.dropped_cut,
            duplicated: stats.duplicated,
            reordered: stats.reordered,
            corrupted: stats.corrupted,
        }
    }

    /// All frames that were dropped, for whatever reason.
    pub fn dropped(&self) -> u64 {
        let before = self.dropped_full + self.dropped_down + self.dropped_big;
        let on_the_way = self.lost + self.dropped_burst + self.dropped_picked;
        before + on_the_way + self.dropped_partition + self.dropped_cut
    }

    /// The settings beyond delay, rate, queue and loss that are not the default's, as options.
    pub fn faults(&self) -> String {
        let all = [
            ("queue-bytes", &self.queue_bytes),
            ("loss-burst", &self.loss_burst),
            ("drop-nth", &self.drop_nth),
            ("drop-match", &self.drop_match),
            ("duplicate", &self.duplicate),
            ("reorder", &self.reorder),
            ("corrupt", &self.corrupt),
            ("jitter", &self.jitter),
            ("mtu", &self.mtu),
        ];
        let set = all.into_iter().filter(|(_, v)| !matches!(v.as_str(), "none" | "0%" | ""));
        set.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ")
    }
}

fn link_view(link: WorldLink<'_>) -> LinkView {
    let wire = |i: usize| WireView::new(link.wires[i], &link.faults[i], link.stats[i]);
    LinkView {
        name: link.name.to_owned(),
        state: if link.up { "up" } else { "down" }.to_owned(),
        up: wire(0),
        down: wire(1),
    }
}

/// All links but hosts' loopback links.
pub(super) async fn links(State(world): State<Readable>) -> Result<Json<Vec<LinkView>>, Failure> {
    let real = |l: &WorldLink<'_>| l.ends[0] != l.ends[1];
    let all = world.query(move |world| world.links().filter(real).map(link_view).collect());
    Ok(Json(all.await?))
}

/// What to change of a link; what is not given stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkEdit {
    /// `up` or `down`: the link, in both directions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whether what is under way on the link is dropped, in both directions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_flight: bool,
    /// Which wire gets the settings: `both`, `up` or `down`; both when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// `50ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// `10Mbit` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// `1000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// `64000` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_bytes: Option<String>,
    /// `5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<String>,
    /// `p 1% r 25%` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_burst: Option<String>,
    /// `3,5,every 10` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_nth: Option<String>,
    /// `tcp port 80 and flags syn` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_match: Option<String>,
    /// `5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<String>,
    /// `25% by 10ms gap 5` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder: Option<String>,
    /// `5%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<String>,
    /// `5ms normal reorder` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
    /// `1400` or `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<String>,
}

impl LinkEdit {
    /// All commands for a link.
    ///
    /// # Errors
    /// The first mistake.
    fn commands(&self, link: &str) -> Result<Vec<Command>, edit::ValueError> {
        let bad = |message: String| edit::ValueError { message, hint: None };
        let directions = match self.direction.as_deref() {
            None | Some("both") => Directions::Both,
            Some("up") => Directions::Up,
            Some("down") => Directions::Down,
            Some(other) => return Err(bad(format!("`{other}` is not both, up or down"))),
        };
        let mut commands = Vec::new();
        match self.state.as_deref() {
            None => {}
            Some(state @ ("up" | "down")) => {
                commands.push(Command::LinkUp { link: link.to_owned(), up: state == "up" });
            }
            Some(other) => return Err(bad(format!("`{other}` is not up or down"))),
        }
        if self.in_flight {
            commands.push(Command::CutInFlight { link: link.to_owned() });
        }
        for (key, text) in self.settings() {
            let change = edit::link_setting(key, text)?;
            commands.push(Command::Link { link: link.to_owned(), directions, change });
        }
        if commands.is_empty() {
            let all = edit::SETTINGS.join(", ").replace('-', "_");
            return Err(bad(format!("give state, in_flight or a setting: {all}")));
        }
        Ok(commands)
    }

    /// The settings that are given.
    fn settings(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("delay", &self.delay),
            ("rate", &self.rate),
            ("queue", &self.queue),
            ("queue-bytes", &self.queue_bytes),
            ("loss", &self.loss),
            ("loss-burst", &self.loss_burst),
            ("drop-nth", &self.drop_nth),
            ("drop-match", &self.drop_match),
            ("duplicate", &self.duplicate),
            ("reorder", &self.reorder),
            ("corrupt", &self.corrupt),
            ("jitter", &self.jitter),
            ("mtu", &self.mtu),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)))
    }
}

/// Changes a link and shows it.
pub(super) async fn change_link(
    State(shared): State<Shared>,
    Path(link): Path<String>,
    Json(edit): Json<LinkEdit>,
) -> Result<Json<LinkView>, Failure> {
    let commands = edit.commands(&link)?;
    let changed = shared.world.query(move |world| {
        if world.link_id(&link).is_none() {
            let links: Vec<_> = world
                .links()
                .filter(|l| l.ends[0] != l.ends[1])
                .map(|l| l.name.to_owned())
                .collect();
            let why = format!("the lab has no link `{link}`; its links: {}", links.join(", "));
            return Err(Failure::new(StatusCode::NOT_FOUND, why));
        }
        for command in commands {
            world.command(command).map_err(refused)?;
        }
        let view = world.links().find(|l| l.name == link).map(link_view);
        view.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, link))
    });
    changed.await?.map(Json)
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionView {
    /// Its name.
    pub name: String,
    /// The hosts of each side; when a partition is made, one side means: from all others.
    pub sides: Vec<Vec<String>>,
    /// When a partition is made: whether frames under way between the sides are dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_flight: bool,
}

fn all_partitions(world: &World) -> Vec<PartitionView> {
    let view = |p: netarium_world::PartitionView| PartitionView {
        name: p.name,
        sides: p.sides,
        in_flight: false,
    };
    world.partitions().into_iter().map(view).collect()
}

pub(super) async fn partitions(
    State(world): State<Readable>,
) -> Result<Json<Vec<PartitionView>>, Failure> {
    Ok(Json(world.query(|world| all_partitions(world)).await?))
}

pub(super) async fn add_partition(
    State(shared): State<Shared>,
    Json(new): Json<PartitionView>,
) -> Result<Json<Vec<PartitionView>>, Failure> {
    let PartitionView { name, sides, in_flight } = new;
    let command = Command::Partition { name, sides, in_flight };
    let done = shared.world.query(move |world| {
        world.command(command).map_err(refused)?;
        Ok(Json(all_partitions(world)))
    });
    done.await?
}

/// Which partition; all when not given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichPartition {
    name: Option<String>,
}

pub(super) async fn heal(
    State(shared): State<Shared>,
    Query(which): Query<WhichPartition>,
) -> Result<StatusCode, Failure> {
    let command = Command::Heal { name: which.name };
    shared.world.query(move |world| world.command(command).map_err(refused)).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// A switch or hub: what it has learned and what passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchView {
    /// Its name.
    pub name: String,
    /// `switch` or `hub`.
    pub kind: String,
    /// How many addresses its table holds.
    pub limit: usize,
    /// How long it remembers an address: `300s`.
    pub ageing: String,
    /// The addresses that it knows, sorted.
    pub entries: Vec<SwitchEntryView>,
    /// Its ports, from 1.
    pub ports: Vec<PortView>,
    /// What it copies where.
    pub mirror: Option<MirrorView>,
    /// Frames whose source found no room in the table.
    pub full: u64,
    /// Addresses that appeared behind another port.
    pub moved: u64,
    /// Frames that it repeated to all ports.
    pub flooded: u64,
    /// Copies for the mirror port.
    pub mirrored: u64,
    /// Frames that came back to it, and were dropped: its cables form a loop.
    pub loops: u64,
}

/// A learned address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchEntryView {
    /// The address.
    pub mac: String,
    /// The port behind which it is.
    pub port: u16,
    /// The link that is plugged in there.
    pub link: String,
    /// How long ago a frame from it came in: `1.5s`.
    pub age: String,
}

/// A port of a switch or hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortView {
    /// Its number.
    pub port: u16,
    /// The link that is plugged in there.
    pub link: String,
    /// Frames that came in.
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames that went out.
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
}

/// What a switch copies where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorView {
    /// The link by which the copies leave.
    pub to: String,
    /// The links that are watched; all others when empty.
    #[serde(default)]
    pub from: Vec<String>,
}

fn switch_view(world: &World, name: &str) -> Result<SwitchView, Failure> {
    let none = || {
        let all: Vec<_> =
            world.nodes().filter(|n| world.switch(n.id).is_some()).map(|n| n.name).collect();
        let why = format!("the lab has no switch `{name}`; its switches: {}", all.join(", "));
        Failure::new(StatusCode::NOT_FOUND, why)
    };
    let id = world.node_id(name).ok_or_else(none)?;
    let switch = world.switch(id).ok_or_else(none)?;
    let names = world.name_table();
    let link = |port| {
        use netarium_base::trace::Names;
        world.plugged(id, port).map_or_else(String::new, |link| names.link(link).to_owned())
    };
    let now = world.now();
    let entry = |e: &netarium_world::switch::SwitchEntry| SwitchEntryView {
        mac: e.mac.to_string(),
        port: e.port.0,
        link: link(e.port),
        age: now.since(e.seen).to_string(),
    };
    let ports = (1..).zip(world.port_counters(id)).map(|(port, c)| PortView {
        port,
        link: link(netarium_base::IfIndex(port)),
        rx_frames: c.rx_frames,
        rx_bytes: c.rx_bytes,
        tx_frames: c.tx_frames,
        tx_bytes: c.tx_bytes,
    });
    let kind = if switch.limit == 0 { "hub" } else { "switch" };
    Ok(SwitchView {
        name: name.to_owned(),
        kind: kind.to_owned(),
        limit: switch.limit,
        ageing: switch.ageing.to_string(),
        entries: switch.entries.iter().map(entry).collect(),
        ports: ports.collect(),
        mirror: switch.mirror.map(|m| MirrorView { to: m.to, from: m.from }),
        full: switch.stats.full,
        moved: switch.stats.moved,
        flooded: switch.stats.flooded,
        mirrored: switch.stats.mirrored,
        loops: switch.loops,
    })
}

/// What a switch knows and did.
pub(super) async fn switch_table(
    State(world): State<Readable>,
    Path(name): Path<String>,
) -> Result<Json<SwitchView>, Failure> {
    world.query(move |world| switch_view(world, &name)).await?.map(Json)
}

/// Has a switch copy what passes its ports; with `null`, not any more.
pub(super) async fn set_mirror(
    State(shared): State<Shared>,
    Path(switch): Path<String>,
    Json(mirror): Json<Option<MirrorView>>,
) -> Result<Json<SwitchView>, Failure> {
    let done = shared.world.query(move |world| {
        switch_view(world, &switch)?;
        let mirror = mirror.map(|m| MirrorSpec { to: m.to, from: m.from });
        let command = Command::Mirror { switch: switch.clone(), mirror };
        world.command(command).map_err(|why| refused(format!("{switch}: {why}")))?;
        switch_view(world, &switch)
    });
    done.await?.map(Json)
}
