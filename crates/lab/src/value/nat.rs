//! The words for kinds of NAT.

use netarium_filter::{Dependence, Preset};

use super::{FromText, Problem, text_value};
use crate::value::PortRange;

/// A kind of NAT by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PresetWord(pub(crate) Preset);

impl FromText for PresetWord {
    const EXPECTED: &'static str =
        "`linux`, `home`, `corporate`, `full-cone`, `symmetric` or `cgnat`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let known = Preset::from_name(text).map(PresetWord);
        known.ok_or_else(|| Problem::new("an unknown kind of NAT"))
    }
}
text_value!(PresetWord, "NatPreset", "home");

/// What a mapping or a filter depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DependenceWord(pub(crate) Dependence);

impl FromText for DependenceWord {
    const EXPECTED: &'static str =
        "`endpoint-independent`, `address-dependent` or `address-and-port-dependent`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let known = Dependence::from_name(text).map(DependenceWord);
        known.ok_or_else(|| Problem::new("an unknown behaviour"))
    }
}
text_value!(DependenceWord, "NatBehaviour", "endpoint-independent");

/// The outside ports of a NAT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NatPorts(pub(crate) PortRange);

impl FromText for NatPorts {
    const EXPECTED: &'static str = "a range of ports such as `1024-65535`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        super::port::port_range(text).map(NatPorts)
    }
}
text_value!(NatPorts, "NatPorts", "1024-65535");
