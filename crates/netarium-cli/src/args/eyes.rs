//! The commands that look at events and change the pace.

use clap::{Args, ValueEnum, ValueHint};
use netarium_explain::Predicate;
use netarium_server::Pace;

/// Reads a speed.
pub(super) fn pace(text: &str) -> Result<Pace, String> {
    if text == "max" {
        return Ok(Pace::Max);
    }
    let speed = text.parse::<f64>().ok().filter(|x| (0.001..=1000.0).contains(x));
    speed.map(Pace::Times).ok_or_else(|| "a speed is 0.001 to 1000, or max".to_owned())
}

fn condition(text: &str) -> Result<Predicate, String> {
    text.parse().map_err(|e: netarium_explain::PredicateError| e.to_string())
}

/// A running lab.
#[derive(Clone, Debug, Args)]
pub(crate) struct OnLab {
    /// The running lab of this name [default: the only one that runs]
    #[arg(long, value_name = "NAME")]
    pub(crate) on: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium trace --follow --filter 'tcp.state && host == web'
  netarium trace --filter drop                       what the running lab has dropped
  netarium trace --lab course --filter 'tcp.state == TIME_WAIT'

docs/predicates.md describes conditions. A line {\"lost\": N} tells that N events are missing.")]
pub(crate) struct Trace {
    /// Events from now on, until Ctrl-C, instead of those that the lab keeps
    #[arg(short, long, conflicts_with = "lab")]
    pub(crate) follow: bool,
    /// Only events that fulfil this condition
    #[arg(long, value_name = "EXPR", value_parser = condition)]
    pub(crate) filter: Option<Predicate>,
    /// The running lab of this name [default: the only one that runs]
    #[arg(long, value_name = "NAME", conflicts_with = "lab")]
    pub(crate) on: Option<String>,
    /// A fresh lab at full speed, until nothing more happens
    #[arg(long, value_name = "LAB", value_hint = ValueHint::AnyPath)]
    pub(crate) lab: Option<String>,
    /// The seed of all chance in a fresh lab [default: the lab's own, or 0]
    #[arg(long, value_name = "N", requires = "lab")]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium why 4711                  an event of the running lab, by the id in its trace
  netarium why 4711 --lab course     the same event of a fresh run

A running lab keeps its latest 200,000 events.")]
pub(crate) struct Why {
    /// The event's id, as `netarium trace` shows it
    #[arg(value_name = "ID")]
    pub(crate) id: u64,
    /// The running lab of this name [default: the only one that runs]
    #[arg(long, value_name = "NAME", conflicts_with = "lab")]
    pub(crate) on: Option<String>,
    /// A fresh lab at full speed, until nothing more happens
    #[arg(long, value_name = "LAB", value_hint = ValueHint::AnyPath)]
    pub(crate) lab: Option<String>,
    /// The seed of all chance in a fresh lab [default: the lab's own, or 0]
    #[arg(long, value_name = "N", requires = "lab")]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Speed {
    /// Virtual seconds per second, 0.001 to 1000, or max; a paused lab goes on
    #[arg(value_name = "X", value_parser = pace)]
    pub(crate) speed: Pace,
    #[command(flatten)]
    pub(crate) lab: OnLab,
}

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unit {
    /// One thing that is due, with all that follows from it at once
    Event,
    /// Until a frame arrives at the far end of a wire
    Packet,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium step                      one event
  netarium step packet 10            until ten frames have arrived
  netarium step --until 'tcp.state == TIME_WAIT && host == pc'

The lab is paused afterwards. Steps take no time; --until runs the lab at its speed.")]
pub(crate) struct Step {
    /// What one step is
    #[arg(value_enum, default_value_t = Unit::Event)]
    pub(crate) unit: Unit,
    /// How many steps, 1 to 100,000
    #[arg(default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) count: u64,
    /// Run until an event fulfils this condition
    #[arg(long, value_name = "EXPR", value_parser = condition, conflicts_with_all = ["unit", "count"])]
    pub(crate) until: Option<Predicate>,
    #[command(flatten)]
    pub(crate) lab: OnLab,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium break 'drop.reason == filter-drop'
  netarium break --list
  netarium break --clear

The terminal of `netarium up` tells at which event the lab was paused; `netarium resume` goes on.")]
pub(crate) struct Break {
    /// The condition on which the lab pauses
    #[arg(value_name = "EXPR", value_parser = condition, required_unless_present_any = ["list", "clear"])]
    pub(crate) when: Option<Predicate>,
    /// List the breakpoints
    #[arg(long, conflicts_with_all = ["when", "clear"])]
    pub(crate) list: bool,
    /// Remove all breakpoints, or the one with this number
    #[arg(long, value_name = "ID", num_args = 0..=1, conflicts_with = "when")]
    pub(crate) clear: Option<Option<u32>>,
    #[command(flatten)]
    pub(crate) lab: OnLab,
}
