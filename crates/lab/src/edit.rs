//! What an operator writes to change a running lab, read with the same eyes as a lab file.

use core::net::SocketAddrV4;
use std::fmt;

use netarium_wire::{Cidr, protocol};
use netarium_world::edit::{Action, ForwardPort, InboundRule, LinkChange};

use crate::error::shown;
use crate::limits::MAX_QUEUE;
use crate::value::{
    Delay, Endpoint, EndpointHost, ForwardFrom, FromText, Ipv4Net, PortRange, Probability, Problem,
    Protocol, Rate, Traffic,
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

/// The loss of a wire: `5%`, `0.05`.
///
/// # Errors
/// When it is no probability.
pub fn loss(text: &str) -> Result<LinkChange, ValueError> {
    let text = text.trim();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let value = match text.strip_suffix('%') {
        Some(percent) => percent.trim_end().parse::<f64>().map(|p| p / 100.0),
        None if plain => text.parse(),
        None => Ok(f64::NAN),
    };
    let value = value.ok().and_then(Probability::new);
    let value = value.ok_or_else(|| {
        let problem = Problem::new("0 means never, 1 or 100% always");
        wrong(text, "a probability such as `5%` or `0.05`", problem)
    })?;
    Ok(LinkChange::Loss(value.threshold))
}

/// The delay of a wire: `50ms`.
///
/// # Errors
/// When it is no time from 1 ns to 1 h.
pub fn delay(text: &str) -> Result<LinkChange, ValueError> {
    read::<Delay>(text).map(|d| LinkChange::Delay(d.0))
}

/// The rate of a wire: `10Mbit`, or `none` for one without limit.
///
/// # Errors
/// When it is no rate.
pub fn rate(text: &str) -> Result<LinkChange, ValueError> {
    match text {
        "none" => Ok(LinkChange::Rate(None)),
        _ => read::<Rate>(text).map(|r| LinkChange::Rate(Some(r.0))),
    }
}

/// The queue of a wire, in frames.
///
/// # Errors
/// When it is no number from 1 to 1,000,000.
pub fn queue(text: &str) -> Result<LinkChange, ValueError> {
    let frames = text.parse().ok().filter(|n| (1..=MAX_QUEUE).contains(n));
    frames.map(LinkChange::Queue).ok_or_else(|| ValueError {
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
    Ok(ForwardPort { protocol, port: from.port })
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
            (loss("5%"), "loss 5%"),
            (loss("0.05"), "loss 5%"),
            (loss("100%"), "loss 100%"),
            (delay("50ms"), "delay 50ms"),
            (rate("10Mbit"), "rate 10000000bit"),
            (rate("none"), "rate none"),
            (queue("7"), "queue 7"),
        ] {
            assert_eq!(change.unwrap().to_string(), text);
        }
        assert_eq!(forward_port("udp/53").unwrap().to_string(), "udp/53");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told: Vec<String> = [
            loss("5").unwrap_err(),
            loss("-1%").unwrap_err(),
            loss("inf%").unwrap_err(),
            loss("").unwrap_err(),
            delay("50").unwrap_err(),
            delay("2h").unwrap_err(),
            rate("fast").unwrap_err(),
            queue("0").unwrap_err(),
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
