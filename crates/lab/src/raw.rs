//! The lab file as written: what [`validate`](crate::validate) turns into a [`Lab`](crate::Lab).
//! The JSON Schema is made from these types; their comments are its descriptions.

use std::borrow::Cow;

use netarium_world::link::{Burst, Jitter, Nth, PacketMatch, Reorder};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::decode::{At, Decode, Named, OneOrMany, Tried, either, table, wrong_type};
use crate::error::Errors;
use crate::tree::{Kind, Node};
use crate::value::{
    Delay, Endpoint, HostAddress, Ipv4Net, Listen, Mac, Mtu, OrNone, Probability, Protocol, Queue,
    QueueBytes, Rate, RunAt, Span,
};

mod host;

pub(crate) use host::*;

/// The JSON Schema (draft 2020-12) of lab files, for editors.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(RawLab).to_value();
    tidy_schema(&mut schema);
    schema["title"] = "Netarium lab".into();
    // A schema is plain JSON data: this cannot fail, and an empty text would say so if it did.
    serde_json::to_string_pretty(&schema).unwrap_or_default()
}

/// Takes out what the raw types say about Rust and not about TOML: a key that may be left out cannot
/// be `null`, which TOML does not have, and definitions need no prefix.
fn tidy_schema(value: &mut Value) {
    let is_null = |v: &Value| v.get("type").is_some_and(|t| t == "null");
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy_schema),
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    map.insert("type".to_owned(), one);
                }
            }
            if let Some(Value::Array(forms)) = map.get_mut("anyOf") {
                forms.retain(|f| !is_null(f));
                if let [Value::Object(one)] = forms.as_slice() {
                    let one = one.clone();
                    map.remove("anyOf");
                    map.extend(one.into_iter().filter(|(key, _)| key != "description"));
                }
            }
            if let Some(Value::String(target)) = map.get_mut("$ref") {
                *target = target.replace("/Raw", "/");
            }
            if let Some(Value::Object(defs)) = map.get_mut("$defs") {
                let all = std::mem::take(defs).into_iter();
                defs.extend(all.map(|(k, v)| (k.trim_start_matches("Raw").to_owned(), v)));
            }
            map.values_mut().for_each(tidy_schema);
        }
        _ => {}
    }
}

table! {
    /// A Netarium lab.
    RawLab: "a lab file" {
        required {
            /// The version of the format: 1.
            #[allow(dead_code, reason = "its value is checked when it is read")]
            version: Version,
        }
        optional {
            /// The lab itself.
            lab: RawAbout,
            /// Networks by name. Each is a switch, or a hub.
            networks: Named<RawNetwork>,
            /// Further switches, chained to a network's switch or to each other.
            switches: Named<RawSwitch>,
            /// Hosts by name.
            hosts: Named<RawHost>,
            /// Groups of hosts by name, for whoever looks at the lab.
            groups: Named<RawGroup>,
            /// The real machine, as the lab sees it.
            gateway: RawGateway,
            /// Ports of the real machine that lead into the lab: `"127.0.0.1:8080" = "10.0.0.2:65535"`.
            publish: Named<RawPublish>,
            /// Ports of lab hosts behind which a real server stands: `"web:80" = "127.0.0.1:8000"`.
            attach: Named<At<String>>,
            /// The proxy by which real programs see the lab.
            proxy: RawProxy,
            /// What happens by itself when the lab runs headless.
            run: Vec<RawRun>,
            /// Commands that change the lab while it runs, at their times.
            schedule: Vec<RawSchedule>,
        }
    }
}

/// The version of the format; any number but 1 has been refused before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version;

impl Decode for Version {
    const EXPECTED: &'static str = "the version of the format, `1`";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        match node.kind {
            Kind::Int(_) => Some(Version),
            _ => {
                wrong_type(node, Self::EXPECTED, errors);
                None
            }
        }
    }
}

impl JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "const": 1 })
    }
}

table! {
    /// The lab itself.
    RawAbout: "[lab]" {
        required {}
        optional {
            /// The lab's name; by convention that of its folder or file.
            name: At<String>,
            /// What people read.
            title: RawTitle,
            /// The seed of everything random, when the command line gives none.
            seed: At<i64>,
        }
    }
}

table! {
    /// A title in two languages.
    RawTitleTable: "a title" {
        required {}
        optional {
            /// English.
            en: At<String>,
            /// Korean.
            ko: At<String>,
        }
    }
}

/// One text for every language, or `{ en = "…", ko = "…" }`.
#[derive(Debug, Default)]
pub(crate) struct RawTitle(pub(crate) RawTitleTable);

impl Decode for RawTitle {
    const EXPECTED: &'static str = "a title: a string, or a table with `en` and `ko`";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        match &node.kind {
            Kind::Text(_) => {
                let en = At::decode(node, errors);
                Some(RawTitle(RawTitleTable { en, ko: None }))
            }
            Kind::Table(_) => RawTitleTable::decode(node, errors).map(RawTitle),
            _ => {
                wrong_type(node, Self::EXPECTED, errors);
                None
            }
        }
    }
}

impl JsonSchema for RawTitle {
    fn schema_name() -> Cow<'static, str> {
        "Title".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        either::<String, RawTitleTable>(generator)
    }
}

table! {
    /// A network: one broadcast domain with one subnet.
    RawNetwork: "a network" {
        required {
            /// The IPv4 subnet, such as `192.168.17.0/24`.
            subnet: At<Ipv4Net>,
        }
        optional {
            /// `switch` (the default) or `hub`.
            kind: At<String>,
            /// What people read.
            title: RawTitle,
            /// The name servers that its hosts ask: addresses, names of hosts, or "none".
            resolver: OneOrMany<At<String>>,
            /// Settings of each wire of this network that its host does not set.
            link: RawLink,
            /// How many addresses the switch remembers: 1 to 1000000; 8192 by default.
            table: Queue,
            /// How long the switch remembers an address after its last frame; 300s by default.
            ageing: Span,
            /// What the switch copies to one of its ports.
            mirror: At<RawMirror>,
        }
    }
}

table! {
    /// A further switch of a network.
    RawSwitch: "a switch" {
        required {
            /// The network or switch that it is plugged into.
            uplink: At<String>,
        }
        optional {
            /// `switch` (the default) or `hub`.
            kind: At<String>,
            /// What people read.
            title: RawTitle,
            /// Settings of the wire to `uplink`; `up` leads towards it.
            link: RawLink,
            /// How many addresses the switch remembers: 1 to 1000000; 8192 by default.
            table: Queue,
            /// How long the switch remembers an address after its last frame; 300s by default.
            ageing: Span,
            /// What the switch copies to one of its ports.
            mirror: At<RawMirror>,
            /// Further switches or networks of the same network to which a cable leads, besides
            /// `uplink`: loops.
            cables: Vec<At<String>>,
        }
    }
}

table! {
    /// A mirror port: it gets a copy of what passes other ports of its switch.
    RawMirror: "a mirror" {
        required {
            /// The host or switch at the port that gets the copies.
            to: At<String>,
        }
        optional {
            /// The hosts or switches whose ports are watched; all when left out.
            from: OneOrMany<At<String>>,
        }
    }
}

table! {
    /// A wire. What stands here holds for both directions, what stands in `up` or `down` for one.
    RawLink: "a link" {
        required {}
        optional {
            /// How long a bit travels: 1ns to 1h; 10us by default.
            delay: Delay,
            /// Bits per second; unlimited by default.
            rate: OrNone<Rate>,
            /// Frames that may wait to be sent: 1 to 1000000; 1000 by default.
            queue: Queue,
            /// Bytes that may wait to be sent, besides the limit of frames; none by default.
            queue_bytes: QueueBytes,
            /// The probability that a frame is lost: 0 to 1, or "1%"; 0 by default.
            loss: Probability,
            /// Loss in bursts (Gilbert–Elliott): "p 1% r 25% bad 100% good 0%".
            loss_burst: OrNone<Burst>,
            /// The frames that are lost by number: 3, [3, 5], "every 10". With `drop_match`, of
            /// those that match.
            drop_nth: OrNone<Nth>,
            /// The frames that are lost by what they carry: "tcp port 80 and flags syn".
            drop_match: OrNone<PacketMatch>,
            /// The probability that a frame arrives twice.
            duplicate: Probability,
            /// Frames that are held back, so that later ones overtake them: "25% by 10ms gap 5".
            reorder: OrNone<Reorder>,
            /// The probability that a bit of a frame is turned over.
            corrupt: Probability,
            /// How the delay varies: "5ms", "5ms normal", "5ms reorder".
            jitter: OrNone<Jitter>,
            /// The largest packet in bytes; larger ones are dropped without a word.
            mtu: Mtu,
            /// From the host to the network.
            up: RawWire,
            /// From the network to the host.
            down: RawWire,
        }
    }
}

table! {
    /// One direction of a wire.
    RawWire: "one direction of a link" {
        required {}
        optional {
            /// How long a bit travels.
            delay: Delay,
            /// Bits per second.
            rate: OrNone<Rate>,
            /// Frames that may wait to be sent.
            queue: Queue,
            /// Bytes that may wait to be sent.
            queue_bytes: QueueBytes,
            /// The probability that a frame is lost.
            loss: Probability,
            /// Loss in bursts.
            loss_burst: OrNone<Burst>,
            /// The frames that are lost by number.
            drop_nth: OrNone<Nth>,
            /// The frames that are lost by what they carry.
            drop_match: OrNone<PacketMatch>,
            /// The probability that a frame arrives twice.
            duplicate: Probability,
            /// Frames that are held back.
            reorder: OrNone<Reorder>,
            /// The probability that a bit of a frame is turned over.
            corrupt: Probability,
            /// How the delay varies.
            jitter: OrNone<Jitter>,
            /// The largest packet in bytes.
            mtu: Mtu,
        }
    }
}

table! {
    /// A group of hosts that a view may fold into one.
    RawGroup: "a group" {
        required {}
        optional {
            /// What people read.
            title: RawTitle,
        }
    }
}

table! {
    /// The real machine, as the lab sees it.
    RawGateway: "the gateway" {
        required {
            /// The network it is on.
            network: At<String>,
        }
        optional {
            /// Its address. Left out, the next free one of the subnet is taken.
            address: At<HostAddress>,
            /// Its Ethernet address.
            mac: At<Mac>,
            /// What people read.
            title: RawTitle,
            /// The name servers that it asks: addresses, names of hosts, or "none".
            resolver: OneOrMany<At<String>>,
            /// Its wire.
            link: RawLink,
        }
    }
}

table! {
    /// The proxy by which real programs see the lab.
    RawProxy: "[proxy]" {
        required {
            /// The host that its connections come from, and whose names it knows.
            from: At<String>,
        }
        optional {}
    }
}

table! {
    /// Where a published port leads.
    RawPublishTable: "a published port" {
        required {
            /// An address and port in the lab.
            to: At<Endpoint>,
        }
        optional {
            /// `tcp` (the default) or `udp`.
            proto: At<Protocol>,
            /// The host that the connections come from, instead of the gateway.
            from: At<String>,
        }
    }
}

/// An address and port, or a table.
#[derive(Debug, Default)]
pub(crate) struct RawPublish(pub(crate) RawPublishTable);

impl Decode for RawPublish {
    const EXPECTED: &'static str = "an address and port in the lab, or a table";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        match &node.kind {
            Kind::Text(_) => {
                let to = At::decode(node, errors);
                Some(RawPublish(RawPublishTable { to, ..Default::default() }))
            }
            Kind::Table(_) => RawPublishTable::decode(node, errors).map(RawPublish),
            _ => {
                wrong_type(node, Self::EXPECTED, errors);
                None
            }
        }
    }
}

impl JsonSchema for RawPublish {
    fn schema_name() -> Cow<'static, str> {
        "Publish".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        either::<Endpoint, RawPublishTable>(generator)
    }
}

table! {
    /// A command that runs by itself when the lab runs headless.
    RawRun: "a [[run]]" {
        required {
            /// The host.
            host: At<String>,
            /// The command, as typed in a shell.
            command: At<String>,
        }
        optional {
            /// When, from the lab's start; 0 by default.
            at: RunAt,
        }
    }
}

table! {
    /// A command that changes the lab while it runs.
    RawSchedule: "a [[schedule]]" {
        required {
            /// When, from the lab's start.
            at: RunAt,
            /// The command, as `netarium` takes it for a running lab: `link web.home down`.
            command: At<String>,
        }
        optional {
            /// After how long it is given again.
            every: Tried<Span>,
            /// How often it is given in all; needed with `every`.
            times: At<i64>,
        }
    }
}

/// Reads the key of a `[publish]` entry.
pub(crate) fn listen_key(key: &At<String>, errors: &mut Errors) -> Option<Listen> {
    key_value(key, errors)
}

/// Reads the key of an `[attach]` entry.
pub(crate) fn attach_key(key: &At<String>, errors: &mut Errors) -> Option<Endpoint> {
    key_value(key, errors)
}

fn key_value<T: crate::value::FromText>(key: &At<String>, errors: &mut Errors) -> Option<T> {
    match T::from_text(key) {
        Ok(value) => Some(value),
        Err(problem) => {
            problem.report(key, T::EXPECTED, key.spot, errors);
            None
        }
    }
}
