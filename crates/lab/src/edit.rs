//! What an operator writes to change a running lab, read with the same eyes as a lab file.

use core::net::SocketAddrV4;
use std::fmt;

use netarium_wire::{Cidr, protocol};
use netarium_world::edit::{Action, ForwardPort, InboundRule, LinkChange};
use netarium_world::link::faults::read_probability;
use netarium_world::link::{Burst, Jitter, Nth, PacketMatch, Reorder};

use crate::error::shown;
use crate::limits::MAX_QUEUE;
use crate::value::{
    Delay, Endpoint, EndpointHost, ForwardFrom, FromText, Ipv4Net, Mtu, OrNone, PortRange, Problem,
    Protocol, QueueBytes, Rate, Traffic,
};

/// Why a text is not the value that it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ValueError {
    /// What is wrong.
    pub message: String,
    /// What a right one looks like, or which was meant.
    pub hint: Option<String>,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Reads a value; what is wrong is said as for a lab file, without a picture.
fn read<T: FromText>(text: &str) -> Result<T, ValueError> {
    T::from_text(text).map_err(|problem| wrong(text, T::EXPECTED, problem))
}

fn wrong(text: &str, expected: &str, problem: Problem) -> ValueError {
    let (what, example) = match expected.split_once(" such as ") {
        Some((what, example)) => (what, Some(format!("such as {example}"))),
        None => (expected, None),
    };
    let message = format!("`{}` is not {what}: {}", shown(text), problem.label);
    ValueError { message, hint: problem.hint.or(example) }
}

/// The settings of a wire that a command can change, as its options are called.
pub const SETTINGS: [&str; 13] = [
    "delay",
    "rate",
    "queue",
    "queue-bytes",
    "loss",
    "loss-burst",
    "drop-nth",
    "drop-match",
    "duplicate",
    "reorder",
    "corrupt",
    "jitter",
    "mtu",
];

/// A setting of a wire: one of [`SETTINGS`] and its value as in a lab file.
///
/// # Errors
/// When there is no such setting, or the value is none of it.
pub fn link_setting(key: &str, text: &str) -> Result<LinkChange, ValueError> {
    Ok(match key {
        "delay" => LinkChange::Delay(read::<Delay>(text)?.0),
        "rate" => LinkChange::Rate(read::<OrNone<Rate>>(text)?.0.map(|r| r.0)),
        "queue" => LinkChange::Queue(queue(text)?),
        "queue-bytes" => LinkChange::QueueBytes(read::<QueueBytes>(text)?.0),
        "loss" => LinkChange::Loss(probability(text)?),
        "loss-burst" => LinkChange::Burst(read::<OrNone<Burst>>(text)?.0),
        "drop-nth" => LinkChange::Nth(read::<OrNone<Nth>>(text)?.0.unwrap_or_default()),
        "drop-match" => LinkChange::Matching(read::<OrNone<PacketMatch>>(text)?.0),
        "duplicate" => LinkChange::Duplicate(probability(text)?),
        "reorder" => LinkChange::Reorder(read::<OrNone<Reorder>>(text)?.0),
        "corrupt" => LinkChange::Corrupt(probability(text)?),
        "jitter" => LinkChange::Jitter(read::<OrNone<Jitter>>(text)?.0),
        "mtu" => LinkChange::Mtu(read::<Mtu>(text)?.0),
        other => {
            let message = format!("`{}` is not a setting of a link", shown(other));
            return Err(ValueError { message, hint: Some(SETTINGS.join(", ")) });
        }
    })
}

/// A probability: `5%`, `0.05`; `none` for 0.
fn probability(text: &str) -> Result<u32, ValueError> {
    if text.trim() == "none" {
        return Ok(0);
    }
    read_probability(text.trim()).ok_or_else(|| {
        let problem = Problem::new("0 means never, 1 or 100% always");
        wrong(text, "a probability such as `5%` or `0.05`", problem)
    })
}

fn queue(text: &str) -> Result<u32, ValueError> {
    let frames = text.parse().ok().filter(|n| (1..=MAX_QUEUE).contains(n));
    frames.ok_or_else(|| ValueError {
        message: format!("`{}` is not a number of frames from 1 to {MAX_QUEUE}", shown(text)),
        hint: None,
    })
}

/// The outside port of a forward: `tcp/65535`.
///
/// # Errors
/// When it is none.
pub fn forward_port(text: &str) -> Result<ForwardPort, ValueError> {
    let from: ForwardFrom = read(text)?;
    let protocol = match from.protocol {
        Protocol::Tcp => protocol::TCP,
        Protocol::Udp => protocol::UDP,
    };
    Ok(ForwardPort { protocol, port: from.ports.first, last: from.ports.last })
}

/// Where a forward leads: `192.168.17.17:80`.
///
/// # Errors
/// When it is no IPv4 address with a port.
pub fn forward_target(text: &str) -> Result<SocketAddrV4, ValueError> {
    let to: Endpoint = read(text)?;
    match to.host {
        EndpointHost::Address(address) => Ok(SocketAddrV4::new(address, to.port)),
        EndpointHost::Name(name) => Err(ValueError {
            message: format!("a forward leads to an address, not to the name `{}`", shown(&name)),
            hint: Some("such as `192.168.17.17:80`".to_owned()),
        }),
    }
}

/// An inbound rule: `allow tcp/80`, `drop icmp from 10.0.0.0/24`, with a name if it has one.
///
/// # Errors
/// When it is none.
pub fn inbound_rule(words: &str, name: Option<&str>) -> Result<InboundRule, ValueError> {
    let parts: Vec<_> = words.split_whitespace().collect();
    let (action, traffic, from) = match parts[..] {
        [action, traffic] => (action, traffic, None),
        [action, traffic, "from", net] => (action, traffic, Some(net)),
        _ => return Err(not_a_rule(words, "an action and traffic are needed")),
    };
    let action = match action {
        "allow" => Action::Allow,
        "drop" => Action::Drop,
        "reject" => Action::Reject,
        _ => return Err(not_a_rule(words, "the action is `allow`, `drop` or `reject`")),
    };
    let (protocol, ports) = match read(traffic)? {
        Traffic::Any => (None, None),
        Traffic::Icmp => (Some(protocol::ICMP), None),
        Traffic::Tcp(range) => (Some(protocol::TCP), ports(range)),
        Traffic::Udp(range) => (Some(protocol::UDP), ports(range)),
    };
    let from = from.map(read::<Ipv4Net>).transpose()?;
    let from = from.and_then(|net| Cidr::new(net.subnet().address.into(), net.prefix));
    Ok(InboundRule { action, protocol, ports, from, name: name.map(str::to_owned) })
}

fn not_a_rule(words: &str, why: &str) -> ValueError {
    let hint = Some("such as `allow tcp/80` or `drop icmp from 10.0.0.0/24`".to_owned());
    ValueError { message: format!("`{}` is not an inbound rule: {why}", shown(words)), hint }
}

pub(crate) fn ports(range: PortRange) -> Option<(u16, u16)> {
    (range != PortRange::ALL).then_some((range.first, range.last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_says_the_same() {
        for words in [
            "allow tcp/80",
            "drop icmp from 10.0.0.0/24",
            "reject any",
            "allow udp/5000-5010 from 10.0.0.7/32",
            "drop tcp",
        ] {
            assert_eq!(inbound_rule(words, None).unwrap().to_string(), words);
        }
        for (change, text) in [
            (link_setting("loss", "5%"), "loss 5%"),
            (link_setting("loss", "0.05"), "loss 5%"),
            (link_setting("loss", "100%"), "loss 100%"),
            (link_setting("loss", "none"), "loss 0%"),
            (link_setting("corrupt", "none"), "corrupt 0%"),
            (link_setting("delay", "50ms"), "delay 50ms"),
            (link_setting("rate", "10Mbit"), "rate 10000000bit"),
            (link_setting("rate", "none"), "rate none"),
            (link_setting("queue", "7"), "queue 7"),
            (link_setting("queue-bytes", "64000"), "queue-bytes 64000"),
            (link_setting("loss-burst", "p 1% r 25%"), "loss-burst p 1% r 25%"),
            (link_setting("drop-nth", "3,every 9"), "drop-nth 3,every 9"),
            (link_setting("drop-nth", "none"), "drop-nth none"),
            (link_setting("drop-match", "tcp  port 80"), "drop-match tcp port 80"),
            (link_setting("duplicate", "1%"), "duplicate 1%"),
            (link_setting("reorder", "5% by 1ms gap 2"), "reorder 5% by 1ms gap 2"),
            (link_setting("corrupt", "0.1%"), "corrupt 0.1%"),
            (link_setting("jitter", "1ms reorder"), "jitter 1ms reorder"),
            (link_setting("mtu", "1400"), "mtu 1400"),
            (link_setting("mtu", "none"), "mtu none"),
        ] {
            assert_eq!(change.unwrap().to_string(), text);
        }
        assert_eq!(forward_port("udp/53").unwrap().to_string(), "udp/53");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told: Vec<String> = [
            link_setting("loss", "5").unwrap_err(),
            link_setting("loss", "-1%").unwrap_err(),
            link_setting("loss", "inf%").unwrap_err(),
            link_setting("loss", "").unwrap_err(),
            link_setting("delay", "50").unwrap_err(),
            link_setting("delay", "2h").unwrap_err(),
            link_setting("rate", "fast").unwrap_err(),
            link_setting("queue", "0").unwrap_err(),
            link_setting("queue-bytes", "0").unwrap_err(),
            link_setting("queue-bytes", "10k").unwrap_err(),
            link_setting("loss-burst", "1% 5%").unwrap_err(),
            link_setting("drop-nth", "first").unwrap_err(),
            link_setting("drop-match", "tcp prot 80").unwrap_err(),
            link_setting("duplicate", "twice").unwrap_err(),
            link_setting("reorder", "5%").unwrap_err(),
            link_setting("jitter", "5").unwrap_err(),
            link_setting("mtu", "67").unwrap_err(),
            link_setting("speed", "1").unwrap_err(),
            forward_port("80").unwrap_err(),
            forward_target("web:80").unwrap_err(),
            forward_target("10.0.0.1").unwrap_err(),
            inbound_rule("tcp/80", None).unwrap_err(),
            inbound_rule("permit tcp/80", None).unwrap_err(),
            inbound_rule("allow tpc/80", None).unwrap_err(),
            inbound_rule("allow tcp/80 from here", None).unwrap_err(),
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
