//! Which fields a predicate can name. Those of events come from the one schema of the trace
//! ([`SCHEMA`]); [`GENERAL`] are those that every record has.

use std::fmt::Write;

use netarium_base::trace::EventDoc;
use netarium_base::trace::event::{CONGESTION_REASONS, RETRANSMISSION_KINDS, SCHEMA};

/// What kind of value a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Number,
    /// A text.
    Text,
    /// A state of a TCP connection, by its name in RFC 9293; `_` and `-` are the same.
    State,
    /// A reason of a drop.
    Reason,
    /// One of these; blanks, `-` and `_` are the same.
    Word(&'static [&'static str]),
    /// The name of an event.
    Event,
    /// An address; `in` takes a network.
    Address,
    /// An address and a port.
    Endpoint,
    /// A link, by name.
    Link,
    /// A point in virtual time.
    Time,
    /// An event's id.
    Id,
    /// A conversation, 16 hexadecimal digits.
    Flow,
}

impl Kind {
    /// The kind in words.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Number => "number",
            Kind::Text => "text",
            Kind::State => "TCP state",
            Kind::Reason => "drop reason",
            Kind::Word(_) => "word of this field",
            Kind::Event => "event name",
            Kind::Address => "address",
            Kind::Endpoint => "address:port",
            Kind::Link => "link name",
            Kind::Time => "time",
            Kind::Id => "event id",
            Kind::Flow => "flow",
        }
    }

    /// Whether values can be said to be less or more.
    pub const fn is_ordered(self) -> bool {
        matches!(self, Kind::Number | Kind::Time | Kind::Id)
    }

    /// Whether a value is a text that may contain another.
    pub const fn is_textual(self) -> bool {
        let names = matches!(self, Kind::Reason | Kind::State | Kind::Event | Kind::Word(_));
        names || matches!(self, Kind::Text | Kind::Link)
    }
}

/// A field that every record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum General {
    /// The event's name.
    Event,
    /// The host, switch, hub or link.
    Place,
    /// The host, switch or hub.
    Host,
    /// The link that the event is at or about.
    Link,
    /// The interface of the host.
    Interface,
    /// The process.
    Process,
    /// The time.
    At,
    /// The conversation.
    Flow,
    /// The event's id.
    Id,
    /// What triggered it.
    Cause,
    /// The call whose data it carries.
    Origin,
    /// The first event of its chain.
    Root,
}

/// The fields that every record has: name, field, kind, meaning.
pub const GENERAL: &[(&str, General, Kind, &str)] = &[
    ("event", General::Event, Kind::Event, "The event's name."),
    ("host", General::Host, Kind::Text, "The host, switch or hub where it happened."),
    ("place", General::Place, Kind::Text, "The same, or the link; `world` for the world itself."),
    ("interface", General::Interface, Kind::Text, "The interface where it happened."),
    ("process", General::Process, Kind::Number, "The id of the process where it happened."),
    ("link", General::Link, Kind::Link, "The link that it happened at or is about."),
    ("at", General::At, Kind::Time, "When, from the lab's start."),
    ("flow", General::Flow, Kind::Flow, "The conversation that it belongs to."),
    ("id", General::Id, Kind::Id, "Its number."),
    ("cause", General::Cause, Kind::Id, "The event that triggered it."),
    ("origin", General::Origin, Kind::Id, "The call whose data or intent it carries."),
    ("root", General::Root, Kind::Id, "The first event of its chain."),
];

/// What a name in a predicate means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    General(General),
    /// The event itself; «is it this one».
    Event(&'static str),
    /// A field of one kind of event.
    Of(&'static str, &'static str),
    /// A field of whichever event has it.
    Any(&'static str),
}

/// The kind of a field of an event.
fn kind_of(event: &str, field: &str, ty: &str) -> Kind {
    match ty {
        _ if event == "tcp.state" && matches!(field, "from" | "to") => Kind::State,
        _ if (event, field) == ("tcp.congestion", "reason") => Kind::Word(CONGESTION_REASONS),
        _ if (event, field) == ("tcp.retransmission", "kind") => Kind::Word(RETRANSMISSION_KINDS),
        "IpAddr" | "Option<IpAddr>" => Kind::Address,
        "SocketAddr" => Kind::Endpoint,
        "LinkId" => Kind::Link,
        "Instant" => Kind::Time,
        "DropReason" => Kind::Reason,
        "&'static str" | "Text" | "LinkEnd" | "SocketId" => Kind::Text,
        _ => Kind::Number,
    }
}

/// What `name` means and what kind its values are of. A name that is an event's and a field's
/// (`command`, `call`, `rule`) is the field's when it is `compared`.
pub(crate) fn resolve(name: &str, compared: bool) -> Option<(Field, Kind)> {
    if let Some(&(_, field, kind, _)) = GENERAL.iter().find(|g| g.0 == name) {
        return Some((Field::General(field), kind));
    }
    let is_field = || SCHEMA.iter().any(|e| e.fields.iter().any(|f| f.name == name));
    if let Some(event) = SCHEMA.iter().find(|e| e.name == name)
        && !(compared && is_field())
    {
        return Some(alias(event).unwrap_or((Field::Event(event.name), Kind::Event)));
    }
    if let Some((event, field)) = name.rsplit_once('.')
        && let Some(event) = SCHEMA.iter().find(|e| e.name == event)
    {
        let doc = event.fields.iter().find(|f| f.name == field)?;
        return Some((Field::Of(event.name, doc.name), kind_of(event.name, doc.name, doc.ty)));
    }
    let mut found: Option<(Field, Kind)> = None;
    for event in SCHEMA {
        for doc in event.fields.iter().filter(|f| f.name == name) {
            let kind = kind_of(event.name, doc.name, doc.ty);
            // A field that is one thing here and another there is compared as a text.
            let kind = found.map_or(kind, |(_, k)| if k == kind { k } else { Kind::Text });
            found = Some((Field::Any(doc.name), kind));
        }
    }
    found
}

/// `tcp.state` is short for `tcp.state.to`.
fn alias(event: &EventDoc) -> Option<(Field, Kind)> {
    (event.name == "tcp.state").then_some((Field::Of(event.name, "to"), Kind::State))
}

/// Every name that a predicate can use.
pub(crate) fn all_names() -> impl Iterator<Item = String> {
    let general = GENERAL.iter().map(|g| g.0.to_owned());
    let events = SCHEMA.iter().flat_map(|e| {
        let fields =
            e.fields.iter().flat_map(|f| [format!("{}.{}", e.name, f.name), f.name.into()]);
        fields.chain([e.name.to_owned()])
    });
    general.chain(events)
}

/// The tables of `docs/predicates.md`.
pub fn markdown() -> String {
    let mut out = String::from("| field | type | meaning |\n|---|---|---|\n");
    for (name, _, kind, doc) in GENERAL {
        let _ = writeln!(out, "| `{name}` | {} | {doc} |", kind.name());
    }
    out.push_str("\n| event or field | type | meaning |\n|---|---|---|\n");
    for event in SCHEMA {
        let _ = writeln!(out, "| **`{}`** | event | {} |", event.name, event.doc.trim());
        for f in event.fields {
            let kind = kind_of(event.name, f.name, f.ty).name();
            let _ = writeln!(out, "| `{}.{}` | {kind} | {} |", event.name, f.name, f.doc.trim());
        }
    }
    out
}
