//! Amounts: rates, times, queue lengths, probabilities.

use std::fmt;

use netarium_base::Duration;
use netarium_base::chance::probability;

use super::{FromText, Problem, text_value};
use crate::decode::{Decode, wrong_type};
use crate::error::{Errors, shown};
use crate::limits::{MAX_AT_NS, MAX_DELAY_NS, MAX_QUEUE, MAX_RATE, MIN_RATE};
use crate::tree::{Kind, Node};

/// A rate in bits per second: 1 to 10¹⁴.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

const RATE_UNITS: [(&str, u64); 5] = [
    ("Tbit", 1_000_000_000_000),
    ("Gbit", 1_000_000_000),
    ("Mbit", 1_000_000),
    ("kbit", 1_000),
    ("bit", 1),
];

impl fmt::Display for Rate {
    /// The largest unit that shows the rate exactly: `10Mbit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |&&(_, factor): &&(&str, u64)| self.0 >= factor && self.0.is_multiple_of(factor);
        let (unit, factor) = RATE_UNITS.iter().find(fits).copied().unwrap_or(("bit", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl FromText for Rate {
    const EXPECTED: &'static str = "a rate such as `10Mbit`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let text = text.trim();
        let text = text.strip_suffix("/s").or(text.strip_suffix("ps")).unwrap_or(text);
        let unit_at = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| Problem::new("the unit is missing").hint(RATE_HINT))?;
        let (number, unit) = text.split_at(unit_at);
        let unit = unit.trim();
        let factor = RATE_UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name));
        let &(_, factor) = factor.ok_or_else(|| {
            Problem::new(format!("`{}` is not a unit of rate", shown(unit))).hint(RATE_HINT)
        })?;
        let rate = scaled(number, factor)
            .ok_or_else(|| Problem::new("this is not a number of bits per second"))?;
        if !(MIN_RATE..=MAX_RATE).contains(&rate) {
            return Err(Problem::new("a rate is 1bit to 100Tbit per second")
                .hint("leave `rate` out for a wire without limit"));
        }
        Ok(Rate(rate))
    }
}
text_value!(Rate, "Rate", "10Mbit");

const RATE_HINT: &str = "units are bit, kbit, Mbit, Gbit and Tbit (per second, powers of 1000)";

/// `number` (digits, at most one dot, at most nine decimals) times `factor`, rounded down.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    let mut out = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if !fraction.is_empty() {
        let part = fraction.parse::<u128>().ok()? * u128::from(factor);
        let part = part / 10u128.pow(u32::try_from(fraction.len()).ok()?);
        out = out.checked_add(u64::try_from(part).ok()?)?;
    }
    Some(out)
}

fn time(text: &str) -> Result<Duration, Problem> {
    text.parse().map_err(|_| {
        let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let label = if bare { "the unit is missing" } else { "this is not a time" };
        Problem::new(label).hint("units are ns, us, ms, s, m, h and d")
    })
}

/// The delay of a wire: 1 ns to 1 h.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delay(pub(crate) Duration);

impl FromText for Delay {
    const EXPECTED: &'static str = "a delay such as `2ms`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        match time(text)? {
            Duration::ZERO => Err(Problem::new("a delay is at least 1ns")
                .hint("nothing arrives in the instant in which it is sent")),
            d if d.as_nanos() > MAX_DELAY_NS => Err(Problem::new("a delay is at most 1h")),
            d => Ok(Delay(d)),
        }
    }
}
text_value!(Delay, "Delay", "2ms");

/// When something happens, counted from the lab's start: 0 to 365 days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(pub(crate) Duration);

impl FromText for At {
    const EXPECTED: &'static str = "a time since the lab's start such as `100ms`";
    fn from_text(text: &str) -> Result<Self, Problem> {
        let t = time(text)?;
        if t.as_nanos() > MAX_AT_NS {
            return Err(Problem::new("this is at most 365d"));
        }
        Ok(At(t))
    }
}
text_value!(At, "At", "100ms");

/// The length of a wire's queue in frames, or of a switch's table in addresses: 1 to 1,000,000.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue(pub(crate) u32);

impl Decode for Queue {
    const EXPECTED: &'static str = "a number from 1 to 1000000";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        let Kind::Int(n) = node.kind else {
            wrong_type(node, Self::EXPECTED, errors);
            return None;
        };
        let queue = u32::try_from(n).ok().filter(|q| (1..=MAX_QUEUE).contains(q));
        if queue.is_none() {
            Problem::new("out of range").report(&n.to_string(), Self::EXPECTED, node.spot, errors);
        }
        queue.map(Queue)
    }
}

impl schemars::JsonSchema for Queue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Queue".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "integer", "minimum": 1, "maximum": MAX_QUEUE, "description": Self::EXPECTED,
        })
    }
}

/// A probability as written and as a threshold for draws.
#[derive(Clone, Copy, PartialEq)]
pub struct Probability {
    /// As written, 0 to 1.
    pub value: f64,
    /// For [`Luck::happens`](netarium_base::Luck::happens): steps of 2⁻³².
    pub threshold: u32,
}

impl Probability {
    /// Never.
    pub const ZERO: Probability = Probability { value: 0.0, threshold: 0 };

    /// `None` unless `value` is 0 to 1.
    pub fn new(value: f64) -> Option<Self> {
        // `+ 0.0` makes a written `-0.0` the same as `0.0`.
        let threshold = probability(value);
        (0.0..=1.0).contains(&value).then_some(Probability { value: value + 0.0, threshold })
    }
}

impl Default for Probability {
    fn default() -> Self {
        Self::ZERO
    }
}

impl fmt::Debug for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.value)
    }
}

impl Decode for Probability {
    const EXPECTED: &'static str = "a probability from 0 to 1 such as `0.01`, or `\"1%\"`";
    fn decode(node: &Node, errors: &mut Errors) -> Option<Self> {
        let (value, text) = match &node.kind {
            Kind::Int(n) => (*n as f64, n.to_string()),
            Kind::Float(x) => (*x, x.to_string()),
            // As for every other setting of a wire: none of it.
            Kind::Text(text) if text.trim() == "none" => (0.0, text.clone()),
            Kind::Text(text) => (percent(text).unwrap_or(f64::NAN), text.clone()),
            _ => {
                wrong_type(node, Self::EXPECTED, errors);
                return None;
            }
        };
        let read = Probability::new(value);
        if read.is_none() {
            let problem = Problem::new("0 means never, 1 always");
            let problem = if value > 1.0 && value <= 100.0 && !text.contains('%') {
                problem.hint(format!("for percent write \"{text}%\""))
            } else {
                problem
            };
            problem.report(&text, Self::EXPECTED, node.spot, errors);
        }
        read
    }
}

fn percent(text: &str) -> Option<f64> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    number.parse::<f64>().ok().filter(|_| plain).map(|p| p / 100.0)
}

impl schemars::JsonSchema for Probability {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Probability".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": Self::EXPECTED,
            "anyOf": [
                { "type": "number", "minimum": 0, "maximum": 1 },
                { "type": "string", "pattern": "^([0-9.]+ *%|none)$" },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_and_print() {
        for (text, bits, printed) in [
            ("1Gbit", 1_000_000_000, "1Gbit"),
            ("10Mbit", 10_000_000, "10Mbit"),
            ("512kbit", 512_000, "512kbit"),
            ("100Mbit/s", 100_000_000, "100Mbit"),
            ("1.5 mbit", 1_500_000, "1500kbit"),
            ("56kbps", 0, ""),
            ("9600bit", 9_600, "9600bit"),
            ("10 Mbitps", 10_000_000, "10Mbit"),
        ] {
            match Rate::from_text(text) {
                Ok(rate) => assert_eq!((rate.0, rate.to_string()), (bits, printed.to_owned())),
                Err(_) => assert_eq!(bits, 0, "{text}"),
            }
        }
        for bad in ["", "10", "fast", "Mbit", "0bit", "1.2.3Mbit", "101Tbit", "-1Mbit", "1.5é"] {
            assert!(Rate::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn percent_is_a_hundredth() {
        assert_eq!(percent("1%"), Some(0.01));
        assert_eq!(percent(" 12.5 %"), Some(0.125));
        for bad in ["", "%", "1", "-1%", "inf%", "1e2%"] {
            assert_eq!(percent(bad), None, "{bad}");
        }
        assert!(Probability::new(f64::NAN).is_none() && Probability::new(-0.1).is_none());
    }
}
