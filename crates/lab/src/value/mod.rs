//! The values that are written as text: addresses, rates, times, probabilities, ports.
//!
//! Each is a type that is read once, here, with an error that says what a right one looks like.

mod amount;
mod faults;
mod nat;
mod net;
mod port;

pub use amount::{Probability, Rate};
pub use net::{Ipv4Net, Mac};
pub use port::{PortRange, Protocol, Traffic};

pub(crate) use amount::{At as RunAt, Delay, Queue};
pub(crate) use faults::{IfMtu, Mtu, OrNone, QueueBytes, Span};
pub(crate) use nat::{DependenceWord, NatPorts, PresetWord};
pub(crate) use net::{
    AddressRange, HostAddress, Inside, PlaceAddress, ReversePathWord, RouteTarget,
};
pub(crate) use port::{Endpoint, EndpointHost, ForwardFrom, Listen};

use crate::error::{Code, Errors, Spot, shown};

/// Why a text is not a value.
pub(crate) struct Problem {
    /// What is wrong with it.
    pub(crate) label: String,
    /// What a right one looks like, or which was meant.
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(label: impl Into<String>) -> Self {
        Problem { label: label.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Reports that `text` is not `expected`, whose «such as» becomes the hint when there is no
    /// better one.
    pub(crate) fn report(self, text: &str, expected: &str, spot: Spot, errors: &mut Errors) {
        let (what, example) = match expected.split_once(" such as ") {
            Some((what, example)) => (what, Some(format!("such as {example}"))),
            None => (expected, None),
        };
        let message = format!("`{}` is not {what}", shown(text));
        let hint = self.hint.or(example);
        errors.report(Code::BadValue, spot, message, self.label).maybe_hint(hint);
    }
}

/// A value that is written as a string.
pub(crate) trait FromText: Sized {
    const EXPECTED: &'static str;
    fn from_text(text: &str) -> Result<Self, Problem>;
}

/// Makes a [`FromText`] type readable from a node and gives it its schema.
macro_rules! text_value {
    ($ty:ty, $schema_name:literal, $example:literal) => {
        impl $crate::decode::Decode for $ty {
            const EXPECTED: &'static str = <$ty as $crate::value::FromText>::EXPECTED;
            fn decode(
                node: &$crate::tree::Node,
                errors: &mut $crate::error::Errors,
            ) -> Option<Self> {
                let $crate::tree::Kind::Text(text) = &node.kind else {
                    let expected = <$ty as $crate::value::FromText>::EXPECTED;
                    $crate::decode::wrong_type(node, expected, errors);
                    return None;
                };
                match <$ty as $crate::value::FromText>::from_text(text) {
                    Ok(value) => Some(value),
                    Err(problem) => {
                        let expected = <$ty as $crate::value::FromText>::EXPECTED;
                        problem.report(text, expected, node.spot, errors);
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $ty {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema_name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": <$ty as $crate::value::FromText>::EXPECTED,
                    "examples": [$example],
                })
            }
        }
    };
}
pub(crate) use text_value;
