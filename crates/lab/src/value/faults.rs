//! What a wire does to its frames: settings whose text form the world defines, or `none`.

use netarium_base::Duration;
use netarium_world::link::faults::{MTU_MAX, MTU_MIN, QUEUE_BYTES_MAX};
use netarium_world::link::{Burst, Jitter, Nth, PacketMatch, Reorder};

use super::{FromText, Problem, Rate, text_value};
use crate::decode::{Decode, wrong_type};
use crate::error::Errors;
use crate::tree::{Kind, Node};

/// A setting, or `none` for a wire without it, whatever its network says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

/// Reads `none` or the world's own text form.
macro_rules! or_none {
    ($($ty:ty, $schema:literal, $expected:literal, $example:literal;)*) => {$(
        impl FromText for OrNone<$ty> {
            const EXPECTED: &'static str = $expected;
            fn from_text(text: &str) -> Result<Self, Problem> {
                match text.trim() {
                    "none" => Ok(OrNone(None)),
                    text => text.parse().map(|v| OrNone(Some(v))).map_err(Problem::new),
                }
            }
        }
        text_value!(OrNone<$ty>, $schema, $example);
    )*};
}

or_none! {
    Jitter, "Jitter", "a jitter such as `5ms`, `5ms normal` or `5ms reorder`, or `none`", "5ms normal";
    Burst, "Burst", "loss in bursts such as `p 1% r 25%`, or `none`", "p 1% r 25%";
    PacketMatch, "Match", "packets to match such as `tcp port 80 and flags syn`, or `none`",
        "tcp port 80";
    Reorder, "Reorder", "a reordering such as `25% by 10ms`, or `none`", "25% by 10ms";
}

impl FromText for OrNone<Rate> {
    const EXPECTED: &'static str = "a rate such as `10Mbit`, or `none`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        match text.trim() {
            "none" => Ok(OrNone(None)),
            _ => Rate::from_text(text).map(|r| OrNone(Some(r))),
        }
    }
}
text_value!(OrNone<Rate>, "Rate", "10Mbit");

/// The numbers of frames to lose: a number, a list of numbers, or a text with `every`.
impl FromText for OrNone<Nth> {
    const EXPECTED: &'static str =
        "numbers of frames such as `3`, `[3, 5]` or `every 10`, or `none`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        match text.trim() {
            "none" => Ok(OrNone(None)),
            text => text.parse().map(|v| OrNone(Some(v))).map_err(Problem::new),
        }
    }
}

impl Decode for OrNone<Nth> {
    const EXPECTED: &'static str = <Self as FromText>::EXPECTED;
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        let number = |node: &Node| match node.kind {
            Kind::Int(n) => Some(n.to_string()),
            _ => None,
        };
        let text = match &node.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::List(items) => {
                items.iter().map(number).collect::<Option<Vec<_>>>().map(|all| all.join(","))
            }
            _ => number(node),
        };
        let Some(text) = text else {
            wrong_type(node, <Self as FromText>::EXPECTED, errors);
            return None;
        };
        match Self::from_text(&text) {
            Ok(nth) => Some(nth),
            Err(problem) => {
                problem.report(&text, <Self as FromText>::EXPECTED, node.spot, errors);
                None
            }
        }
    }
}

impl schemars::JsonSchema for OrNone<Nth> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Nth".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": <Self as FromText>::EXPECTED,
            "anyOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "array", "items": { "type": "integer", "minimum": 1 } },
                { "type": "string" },
            ],
        })
    }
}

/// The largest packet of an interface, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IfMtu(pub(crate) u16);

impl Decode for IfMtu {
    const EXPECTED: &'static str = "bytes, 68 to 65535";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        let Kind::Int(n) = node.kind else {
            wrong_type(node, Self::EXPECTED, errors);
            return None;
        };
        let mtu = u16::try_from(n).ok().filter(|n| u32::from(*n) >= MTU_MIN);
        if mtu.is_none() {
            let problem = Problem::new("every IPv4 link takes 68 bytes, and none more than 65535");
            problem.report(&n.to_string(), "an MTU such as 1500", node.spot, errors);
        }
        mtu.map(IfMtu)
    }
}

impl schemars::JsonSchema for IfMtu {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InterfaceMtu".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 68, "maximum": 65535 })
    }
}

/// An integer in a range, or `none`.
macro_rules! bytes_or_none {
    ($(#[$doc:meta])* $name:ident($ty:ty), $schema:literal, $expected:literal, $min:expr, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) Option<$ty>);

        impl FromText for $name {
            const EXPECTED: &'static str = $expected;
            fn from_text(text: &str) -> Result<Self, Problem> {
                if text.trim() == "none" {
                    return Ok($name(None));
                }
                let n = text.trim().parse().ok().filter(|n| ($min..=$max).contains(n));
                n.map(|n| $name(Some(n))).ok_or_else(|| {
                    let digits = text.trim().bytes().all(|b| b.is_ascii_digit());
                    let why = if digits && !text.trim().is_empty() {
                        "out of range"
                    } else {
                        "digits alone are taken, without a unit"
                    };
                    Problem::new(why)
                })
            }
        }

        impl Decode for $name {
            const EXPECTED: &'static str = $expected;
            fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
                let text = match &node.kind {
                    Kind::Text(text) => text.clone(),
                    Kind::Int(n) => n.to_string(),
                    _ => {
                        wrong_type(node, $expected, errors);
                        return None;
                    }
                };
                match Self::from_text(&text) {
                    Ok(value) => Some(value),
                    Err(problem) => {
                        problem.report(&text, $expected, node.spot, errors);
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "description": $expected,
                    "anyOf": [
                        { "type": "integer", "minimum": $min, "maximum": $max },
                        { "const": "none" },
                    ],
                })
            }
        }
    };
}

bytes_or_none!(
    /// The largest packet of a wire.
    Mtu(u32), "Mtu", "a number of bytes from 68 to 65535, or `none`", MTU_MIN, MTU_MAX
);
bytes_or_none!(
    /// The queue of a wire in bytes.
    QueueBytes(u64), "QueueBytes", "a number of bytes from 1 to 1000000000000, or `none`",
    1, QUEUE_BYTES_MAX
);

/// A time of at least 1 ns and at most 365 days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub(crate) Duration);

impl FromText for Span {
    const EXPECTED: &'static str = "a time such as `30s`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        match super::RunAt::from_text(text)?.0 {
            Duration::ZERO => Err(Problem::new("this is at least 1ns")),
            span => Ok(Span(span)),
        }
    }
}
text_value!(Span, "Span", "30s");
