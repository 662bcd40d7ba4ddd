//! What an operator changes of a lab's wires and rules while it runs: the parts of a
//! [`Command`](crate::Command), and how they stand in a host's filter.
//!
//! There is one source of truth: the links and filters of the world. What a host lets in is read
//! back from its input chain ([`Inbound::of`]), so that a list, and a lab file that is written from
//! it, show what really decides.

use core::fmt;
use core::net::SocketAddr;

use netarium_base::chance::percent;
use netarium_base::trace::Text;
use netarium_base::{Duration, IfIndex};
use netarium_filter::{
    Chain, Counters, Filter, LOOPBACK, Match, Policy, PortForward, PortRange, Reject, Rule,
    RuleError, States, Target,
};
use netarium_wire::{Cidr, protocol};

use crate::link::faults::{LATE_MAX, MTU_MAX, MTU_MIN, NTH_MAX, QUEUE_BYTES_MAX};
use crate::link::{Burst, Jitter, Nth, PacketMatch, Reorder};

/// The longest delay that a command may give a link: an hour, as in a lab file.
pub const DELAY_MAX: Duration = Duration::from_secs(3_600);
/// What the policy of a host that lets everything else in is called.
const DEFAULT_ALLOW: &str = "default allow inbound";
/// ICMP «destination unreachable, port unreachable».
const PORT_UNREACHABLE: Reject = Reject::Icmp { kind: 3, code: 3 };

/// Which wires of a link are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directions {
    /// Both.
    #[default]
    Both,
    /// From the end that the link is named after.
    Up,
    /// To the end that the link is named after.
    Down,
}

impl Directions {
    /// The indices of the directions: `up` is 0.
    pub(crate) fn indices(self) -> core::ops::Range<usize> {
        match self {
            Directions::Both => 0..2,
            Directions::Up => 0..1,
            Directions::Down => 1..2,
        }
    }
}

/// What becomes another of a link. What was handed to the link before arrives as it would have:
/// the change is about frames that are handed over from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// The probability of loss, in steps of 2⁻³².
    Loss(u32),
    /// How long a bit travels, 1 ns to [`DELAY_MAX`]. No frame overtakes another: with a shorter
    /// delay the first frames arrive together with the last one before them.
    Delay(Duration),
    /// Bits per second, at least 1; `None`: without limit.
    Rate(Option<u64>),
    /// How many frames may wait, at least 1. A shorter queue throws none away that waits already.
    Queue(u32),
    /// How many bytes may wait, 1 to [`QUEUE_BYTES_MAX`]; `None`: only the frames are counted.
    QueueBytes(Option<u64>),
    /// How the delay varies.
    Jitter(Option<Jitter>),
    /// Loss in bursts; each flow begins in the good state.
    Burst(Option<Burst>),
    /// The frames to lose by number. Counting begins again.
    Nth(Nth),
    /// The frames to lose by what they carry. Counting begins again.
    Matching(Option<PacketMatch>),
    /// The probability of duplication, in steps of 2⁻³².
    Duplicate(u32),
    /// Frames that others overtake.
    Reorder(Option<Reorder>),
    /// The probability of a flipped bit, in steps of 2⁻³².
    Corrupt(u32),
    /// The largest packet, [`MTU_MIN`] to [`MTU_MAX`] bytes; `None`: without limit.
    Mtu(Option<u32>),
}

impl LinkChange {
    /// Why it makes no sense, when it does not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let late = |d: Duration| d > Duration::ZERO && d <= LATE_MAX;
        match *self {
            LinkChange::Delay(d) if d == Duration::ZERO || d > DELAY_MAX => {
                Err(format!("a delay is 1ns to {DELAY_MAX}, not {d}"))
            }
            LinkChange::Rate(Some(0)) => Err("a rate is at least 1 bit per second".to_owned()),
            LinkChange::Queue(0) => Err("a queue has room for at least one frame".to_owned()),
            LinkChange::QueueBytes(Some(n)) if n == 0 || n > QUEUE_BYTES_MAX => {
                Err(format!("a queue holds 1 to {QUEUE_BYTES_MAX} bytes, not {n}"))
            }
            LinkChange::Jitter(Some(Jitter { spread, .. })) if !late(spread) => {
                Err(format!("a jitter is 1ns to {LATE_MAX}, not {spread}"))
            }
            LinkChange::Reorder(Some(Reorder { late: by, .. })) if !late(by) => {
                Err(format!("a frame is held back by 1ns to {LATE_MAX}, not {by}"))
            }
            LinkChange::Nth(ref nth) if nth.list.len() > NTH_MAX => {
                Err(format!("at most {NTH_MAX} frames can be named"))
            }
            LinkChange::Nth(ref nth) if !nth.list.is_sorted() || nth.every == Some(0) => {
                Err("frames are named by ascending numbers from 1".to_owned())
            }
            LinkChange::Mtu(Some(n)) if !(MTU_MIN..=MTU_MAX).contains(&n) => {
                Err(format!("an MTU is {MTU_MIN} to {MTU_MAX} bytes, not {n}"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for LinkChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or_none<T: fmt::Display>(value: Option<&T>) -> String {
            value.map_or("none".to_owned(), T::to_string)
        }
        match self {
            LinkChange::Loss(p) => write!(f, "loss {}", percent(*p)),
            LinkChange::Delay(d) => write!(f, "delay {d}"),
            LinkChange::Rate(Some(rate)) => write!(f, "rate {rate}bit"),
            LinkChange::Rate(None) => f.write_str("rate none"),
            LinkChange::Queue(n) => write!(f, "queue {n}"),
            LinkChange::QueueBytes(n) => write!(f, "queue-bytes {}", or_none(n.as_ref())),
            LinkChange::Jitter(jitter) => write!(f, "jitter {}", or_none(jitter.as_ref())),
            LinkChange::Burst(burst) => write!(f, "loss-burst {}", or_none(burst.as_ref())),
            LinkChange::Nth(nth) => write!(f, "drop-nth {nth}"),
            LinkChange::Matching(m) => write!(f, "drop-match {}", or_none(m.as_ref())),
            LinkChange::Duplicate(p) => write!(f, "duplicate {}", percent(*p)),
            LinkChange::Reorder(reorder) => write!(f, "reorder {}", or_none(reorder.as_ref())),
            LinkChange::Corrupt(p) => write!(f, "corrupt {}", percent(*p)),
            LinkChange::Mtu(mtu) => write!(f, "mtu {}", or_none(mtu.as_ref())),
        }
    }
}

/// The outside port of a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardPort {
    /// IP protocol number: 6 TCP or 17 UDP.
    pub protocol: u8,
    /// The port, at least 1; of several the first.
    pub port: u16,
    /// The last port; the same as the first for one.
    pub last: u16,
}

impl ForwardPort {
    /// The forward from this port, as a filter has it.
    pub fn to(self, to: SocketAddr) -> PortForward {
        let text = format!("{self} -> {to}").into();
        let ports = self.ports();
        PortForward { protocol: self.protocol, input: None, destination: None, ports, to, text }
    }

    /// Whether a forward is from this port.
    pub(crate) fn is_of(self, forward: &PortForward) -> bool {
        forward.protocol == self.protocol && forward.ports == self.ports()
    }

    /// Whether a forward has one of these ports.
    pub(crate) fn overlaps(self, forward: &PortForward) -> bool {
        let (ours, theirs) = (self.ports(), forward.ports);
        forward.protocol == self.protocol
            && ours.first() <= theirs.last()
            && theirs.first() <= ours.last()
    }

    fn ports(self) -> PortRange {
        PortRange::new(self.port, self.last).unwrap_or(PortRange::one(self.port))
    }
}

impl fmt::Display for ForwardPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_protocol(f, self.protocol)?;
        match self.last > self.port {
            true => write!(f, "/{}-{}", self.port, self.last),
            false => write!(f, "/{}", self.port),
        }
    }
}

/// What an inbound rule does with a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets it in.
    Allow,
    /// Throws it away without a word.
    Drop,
    /// Refuses it: a TCP reset, or an ICMP error.
    Reject,
}

impl Action {
    /// The word in a lab file.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Drop => "drop",
            Action::Reject => "reject",
        }
    }
}

/// An inbound rule of a host, as lab files have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundRule {
    /// What it does.
    pub action: Action,
    /// IP protocol number; any when absent.
    pub protocol: Option<u8>,
    /// The first and the last local port, of TCP or UDP; any when absent.
    pub ports: Option<(u16, u16)>,
    /// Only from this network.
    pub from: Option<Cidr>,
    /// Its name.
    pub name: Option<String>,
}

impl fmt::Display for InboundRule {
    /// What it says, whatever its name: `allow tcp/80 from 10.0.0.0/8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.action.as_str())?;
        match self.protocol {
            None => f.write_str("any")?,
            Some(protocol) => write_protocol(f, protocol)?,
        }
        match self.ports {
            Some((first, last)) if first == last => write!(f, "/{first}")?,
            Some((first, last)) => write!(f, "/{first}-{last}")?,
            None => {}
        }
        self.from.map_or(Ok(()), |from| write!(f, " from {from}"))
    }
}

fn write_protocol(f: &mut fmt::Formatter<'_>, number: u8) -> fmt::Result {
    match number {
        protocol::TCP => f.write_str("tcp"),
        protocol::UDP => f.write_str("udp"),
        protocol::ICMP => f.write_str("icmp"),
        other => write!(f, "protocol-{other}"),
    }
}

impl InboundRule {
    /// Its name, or what it says.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.to_string())
    }

    /// The rules of an input chain that it is: refusing everything answers TCP with a reset and the
    /// rest with an ICMP error, which are two.
    ///
    /// # Errors
    /// When its parts do not fit together.
    pub fn rules(&self) -> Result<Vec<Rule>, RuleError> {
        let text: Text = self.label().into();
        let range = self.ports.map(|(first, last)| {
            PortRange::new(first, last).ok_or(RuleError::NoSuchRule { index: 0, len: 0 })
        });
        let matches = Match {
            protocol: self.protocol.map(Into::into),
            destination_ports: range.transpose()?.map(Into::into),
            source: self.from.map(Into::into),
            ..Match::default()
        };
        let reset = Target::Reject(Reject::TcpReset);
        let tcp = Match { protocol: Some(protocol::TCP.into()), ..matches.clone() };
        let targets = match (self.action, self.protocol) {
            (Action::Allow, _) => vec![(Target::Accept, matches)],
            (Action::Drop, _) => vec![(Target::Drop, matches)],
            (Action::Reject, Some(protocol::TCP)) => vec![(reset, tcp)],
            (Action::Reject, None) => {
                vec![(reset, tcp), (Target::Reject(PORT_UNREACHABLE), matches)]
            }
            (Action::Reject, _) => vec![(Target::Reject(PORT_UNREACHABLE), matches)],
        };
        let rule = |(target, matches)| Rule::new(matches, target, Text::clone(&text));
        targets.into_iter().map(rule).collect()
    }
}

/// What a host lets in, read from its input chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inbound {
    /// Whether what no rule names is dropped.
    pub deny: bool,
    /// The rules, in order; the first that fits decides.
    pub rules: Vec<InboundView>,
}

/// An inbound rule as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundView {
    /// How it is shown in traces: its name, or what it says.
    pub label: String,
    /// The rule; `None` for one that a lab file has no words for.
    pub rule: Option<InboundRule>,
    /// What it matched.
    pub counters: Counters,
    /// Its first rule in the chain, and how many it is.
    pub(crate) at: (usize, usize),
}

impl Inbound {
    /// Reads the input chain; `None` when there is no firewall: no rule, and everything comes in.
    pub fn of(filter: &Filter) -> Option<Inbound> {
        let deny = filter.policy(Chain::Input).0 == Policy::Drop;
        let chain: Vec<_> = filter.rules(Chain::Input).collect();
        if chain.is_empty() && !deny {
            return None;
        }
        let mut rules = Vec::new();
        let mut at = 0;
        while let Some(&(rule, mut counters)) = chain.get(at) {
            let mut read = read_rule(rule);
            let mut count = 1;
            let pair = InboundRule {
                action: Action::Reject,
                protocol: None,
                ..read.clone().unwrap_or(ANY)
            };
            if let (Some(_), Some(&(next, more))) = (&read, chain.get(at + 1))
                && is_pair(&pair, rule, next)
            {
                (read, count) = (Some(pair), 2);
                counters.packets += more.packets;
                counters.bytes += more.bytes;
            }
            if !is_standing(rule) {
                let read = read.map(|r| named(r, rule.text()));
                let label = rule.text().to_string();
                rules.push(InboundView { label, rule: read, counters, at: (at, count) });
            }
            at += count;
        }
        Some(Inbound { deny, rules })
    }

    /// The rule of this name, or that says this.
    pub(crate) fn find(&self, words: &str) -> Option<&InboundView> {
        let says = |r: &InboundView| r.rule.as_ref().is_some_and(|r| r.to_string() == words);
        let named = self.rules.iter().find(|r| r.label == words);
        named.or_else(|| self.rules.iter().find(|r| says(r)))
    }
}

const ANY: InboundRule =
    InboundRule { action: Action::Allow, protocol: None, ports: None, from: None, name: None };

/// Whether two rules of a chain are the two of one that refuses everything.
fn is_pair(pair: &InboundRule, first: &Rule, second: &Rule) -> bool {
    let pair = InboundRule { name: Some(first.text().to_string()), ..pair.clone() };
    pair.rules().is_ok_and(|rules| rules.iter().eq([first, second]))
}

/// The rules that a host firewall always begins with: loopback and answers come in.
fn is_standing(rule: &Rule) -> bool {
    let lo: IfIndex = LOOPBACK;
    let loopback = Match { input: Some(lo.into()), ..Match::default() };
    let answers = (States::ESTABLISHED | States::RELATED).into();
    let answers = Match { states: Some(answers), ..Match::default() };
    let matches = rule.matches();
    *rule.target() == Target::Accept && (*matches == loopback || *matches == answers)
}

/// The rule without its name, when it is one of the kind that lab files have.
fn read_rule(rule: &Rule) -> Option<InboundRule> {
    let action = match rule.target() {
        Target::Accept => Action::Allow,
        Target::Drop => Action::Drop,
        Target::Reject(_) => Action::Reject,
        _ => return None,
    };
    let matches = rule.matches();
    let ports = matches.destination_ports.map(|p| (p.value.first(), p.value.last()));
    let read = InboundRule {
        action,
        protocol: matches.protocol.map(|p| p.value),
        ports,
        from: matches.source.map(|net| net.value),
        name: Some(rule.text().to_string()),
    };
    // Whatever else the rule compares, or denies with `not`, would not come out the same.
    let same = read.rules().ok()?;
    same.contains(rule).then_some(read)
}

fn named(rule: InboundRule, text: &Text) -> InboundRule {
    let name = (rule.to_string() != **text).then(|| text.to_string());
    InboundRule { name, ..rule }
}

/// Makes a host deny, or let in, what no inbound rule names. A host without a firewall gets one:
/// loopback and answers to its own traffic come in by their own rules.
pub(crate) fn set_default(filter: &mut Filter, deny: bool) -> Result<(), RuleError> {
    if Inbound::of(filter).is_none() {
        filter.host_firewall(Vec::new())?;
    }
    let (policy, text) = match deny {
        true => (Policy::Drop, netarium_filter::firewall::DEFAULT_DENY),
        false => (Policy::Accept, DEFAULT_ALLOW),
    };
    filter.set_policy(Chain::Input, policy, text.into())
}

/// Puts a rule before the rule number `before` (from 1), or behind all others. A host without a
/// firewall gets one that lets everything else in.
pub(crate) fn add_rule(
    filter: &mut Filter,
    rule: &InboundRule,
    before: Option<u32>,
) -> Result<(), String> {
    let rules = rule.rules().map_err(|e| e.to_string())?;
    if Inbound::of(filter).is_none() {
        set_default(filter, false).map_err(|e| e.to_string())?;
    }
    let inbound = Inbound::of(filter).unwrap_or_default();
    let end = filter.rules(Chain::Input).count();
    let at = match before {
        None => end,
        Some(n) if n as usize == inbound.rules.len() + 1 => end,
        Some(n) => {
            let index = (n as usize).checked_sub(1);
            let there = index.and_then(|i| inbound.rules.get(i));
            let count = inbound.rules.len();
            there.ok_or_else(|| format!("there is no rule {n}; the host has {count}"))?.at.0
        }
    };
    for (i, rule) in rules.into_iter().enumerate() {
        filter.insert_rule(Chain::Input, at + i, rule).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Takes a rule away: the first of this name, or that says this.
pub(crate) fn remove_rule(filter: &mut Filter, words: &str) -> Result<(), String> {
    let inbound = Inbound::of(filter).unwrap_or_default();
    let Some(view) = inbound.find(words) else {
        let labels: Vec<_> = inbound.rules.iter().map(|r| format!("`{}`", r.label)).collect();
        let there = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
        return Err(format!("it has no inbound rule `{words}`; its rules: {there}"));
    };
    let (at, count) = view.at;
    for _ in 0..count {
        filter.delete_rule(Chain::Input, at).map_err(|e| e.to_string())?;
    }
    Ok(())
}
