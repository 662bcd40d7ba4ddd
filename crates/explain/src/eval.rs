//! Whether an event fulfils a predicate. Nothing is allocated.

use core::cmp::Ordering;
use core::net::IpAddr;

use netarium_base::trace::{FieldRef, Names, Place, Record};
use netarium_base::{EventId, FlowId, Instant};

use crate::lexer::Op;
use crate::predicate::{Expr, Predicate, Value};
use crate::schema::{Field, General};

impl Predicate {
    /// Whether the event is one that is meant.
    pub fn matches(&self, record: &Record, names: &dyn Names) -> bool {
        Look { record, names }.holds(&self.expr)
    }
}

struct Look<'a> {
    record: &'a Record,
    names: &'a dyn Names,
}

/// A field's value.
#[derive(Clone, Copy)]
enum Found<'a> {
    Plain(FieldRef<'a>),
    Id(EventId),
    Flow(FlowId),
}

impl<'a> Look<'a> {
    fn holds(&self, expr: &Expr) -> bool {
        match expr {
            Expr::All(parts) => parts.iter().all(|p| self.holds(p)),
            Expr::Any(parts) => parts.iter().any(|p| self.holds(p)),
            Expr::Not(inner) => !self.holds(inner),
            Expr::Has(Field::Event(name)) => self.record.event.name() == *name,
            Expr::Has(field) => self.find(field).is_some(),
            Expr::Compare(field, op, value) => {
                self.find(field).is_some_and(|found| self.compare(found, *op, value))
            }
            Expr::In(field, values) => self
                .find(field)
                .is_some_and(|found| values.iter().any(|v| self.compare(found, Op::Eq, v))),
            Expr::Contains(field, part) => {
                self.find(field).is_some_and(|found| self.contains(found, part))
            }
        }
    }

    fn find(&self, field: &Field) -> Option<Found<'a>> {
        let found = match field {
            Field::General(general) => return self.general(*general),
            Field::Event(_) => return None,
            Field::Of(event, field) => {
                (self.record.event.name() == *event).then(|| self.record.event.field(field))?
            }
            Field::Any(field) => self.record.event.field(field),
        };
        found.filter(|f| *f != FieldRef::None).map(Found::Plain)
    }

    fn general(&self, general: General) -> Option<Found<'a>> {
        let (r, names) = (self.record, self.names);
        let text = |t: &'a str| Some(Found::Plain(FieldRef::Text(t)));
        let id = |id: EventId| (id != EventId::NONE).then_some(Found::Id(id));
        match (general, r.place) {
            (General::Event, _) => text(r.event.name()),
            (General::At, _) => Some(Found::Plain(FieldRef::Time(r.at))),
            (General::Flow, _) => (r.flow != FlowId::NONE).then_some(Found::Flow(r.flow)),
            (General::Id, _) => id(r.id),
            (General::Cause, _) => id(r.cause),
            (General::Origin, _) => id(r.origin),
            (General::Root, _) => id(r.root),
            (
                General::Host | General::Place,
                Place::Node(n) | Place::Iface(n, _) | Place::Process(n, _),
            ) => text(names.node(n)),
            (General::Place, Place::World) => text("world"),
            (General::Place | General::Link, Place::Link(l, _)) => text(names.link(l)),
            (General::Link, _) => r.event.field("link").map(Found::Plain),
            (General::Interface, Place::Iface(n, i)) => text(names.iface(n, i)),
            (General::Process, Place::Process(_, p)) => {
                Some(Found::Plain(FieldRef::Number(p.0.into())))
            }
            (General::Host | General::Interface | General::Process, _) => None,
        }
    }

    fn compare(&self, found: Found<'_>, op: Op, value: &Value) -> bool {
        let order = match (found, value) {
            (Found::Id(a), Value::Id(b)) => a.cmp(b),
            (Found::Flow(a), Value::Flow(b)) => equal(a == *b),
            (Found::Plain(FieldRef::Number(a)), Value::Number(b)) => a.cmp(b),
            (Found::Plain(FieldRef::Time(a)), Value::Time(b)) => Instant::cmp(&a, b),
            (Found::Plain(FieldRef::Address(a)), Value::Address(b)) => equal(a == *b),
            (Found::Plain(FieldRef::Address(a)), Value::Network(net, bits)) => {
                equal(is_within(a, *net, *bits))
            }
            (Found::Plain(FieldRef::Endpoint(a)), Value::Endpoint(b)) => equal(a == *b),
            (Found::Plain(FieldRef::Endpoint(a)), Value::Address(b)) => equal(a.ip() == *b),
            (Found::Plain(FieldRef::Endpoint(a)), Value::Network(net, bits)) => {
                equal(is_within(a.ip(), *net, *bits))
            }
            (Found::Plain(FieldRef::Socket(s)), Value::Text(b)) => equal(is_socket(s, b)),
            (Found::Plain(plain), Value::Text(b)) => equal(self.text(plain) == Some(b)),
            _ => return false,
        };
        match op {
            Op::Eq => order.is_eq(),
            Op::Ne => order.is_ne(),
            Op::Lt => order.is_lt(),
            Op::Le => order.is_le(),
            Op::Gt => order.is_gt(),
            Op::Ge => order.is_ge(),
        }
    }

    fn contains(&self, found: Found<'_>, part: &str) -> bool {
        match found {
            Found::Plain(plain) => self.text(plain).is_some_and(|t| t.contains(part)),
            Found::Id(_) | Found::Flow(_) => false,
        }
    }

    fn text<'b>(&self, plain: FieldRef<'b>) -> Option<&'b str>
    where
        'a: 'b,
    {
        match plain {
            FieldRef::Text(text) => Some(text),
            FieldRef::Link(link) => Some(self.names.link(link)),
            _ => None,
        }
    }
}

/// Where only «the same» is asked.
fn equal(same: bool) -> Ordering {
    if same { Ordering::Equal } else { Ordering::Less }
}

fn is_socket(socket: netarium_base::SocketId, text: &str) -> bool {
    let numbers = text.split_once('.').and_then(|(i, g)| Some((i.parse().ok()?, g.parse().ok()?)));
    numbers == Some((socket.index, socket.generation))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (a, b, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let differing: u128 = a ^ b;
    differing.checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
}
