//! An operator's changes of wires and rules in the binary form.

use netarium_wire::Cidr;

use super::changes::{read_change, write_change};
use super::inputs::{read_argv, write_argv};
use super::parts::{Cursor, Fault, address, bytes, number, option, present, socket_address};
use crate::edit::{Action, Directions, ForwardPort, InboundRule};
use crate::message::Command;
use crate::switch::MirrorSpec;

/// Writes the kind and fields of a command from kind 3 on.
pub(super) fn write_edit(out: &mut Vec<u8>, command: &Command) {
    let head = |out: &mut Vec<u8>, kind: u8, name: &str| {
        out.push(kind);
        bytes(out, name.as_bytes());
    };
    match command {
        Command::Start { .. } | Command::Kill { .. } | Command::LinkUp { .. } => {
            unreachable!("commands of kinds 0 to 2 are written by the caller")
        }
        Command::Link { link, directions, change } => {
            head(out, 3, link);
            out.push(match directions {
                Directions::Both => 0,
                Directions::Up => 1,
                Directions::Down => 2,
            });
            write_change(out, change);
        }
        Command::AddForward { host, from, to } => {
            head(out, 4, host);
            write_port(out, *from);
            socket_address(out, *to);
        }
        Command::RemoveForward { host, from } => {
            head(out, 5, host);
            write_port(out, *from);
        }
        Command::AddRule { host, rule, before } => {
            head(out, 6, host);
            write_rule(out, rule);
            present(out, *before, |out, n| number(out, u64::from(n)));
        }
        Command::RemoveRule { host, rule } => {
            head(out, 7, host);
            bytes(out, rule.as_bytes());
        }
        Command::InboundDefault { host, deny } => {
            head(out, 8, host);
            out.push(u8::from(*deny));
        }
        Command::CutInFlight { link } => head(out, 9, link),
        Command::Partition { name, sides, in_flight } => {
            head(out, 10, name);
            number(out, sides.len() as u64);
            sides.iter().for_each(|side| write_argv(out, side));
            out.push(u8::from(*in_flight));
        }
        Command::Heal { name } => {
            out.push(11);
            option(out, name.as_deref().map(str::as_bytes));
        }
        Command::Mirror { switch, mirror } => {
            head(out, 12, switch);
            present(out, mirror.as_ref(), |out, mirror| {
                bytes(out, mirror.to.as_bytes());
                write_argv(out, &mirror.from);
            });
        }
    }
}

fn write_port(out: &mut Vec<u8>, from: ForwardPort) {
    number(out, u64::from(from.protocol));
    number(out, u64::from(from.port));
    number(out, u64::from(from.last));
}

fn write_rule(out: &mut Vec<u8>, rule: &InboundRule) {
    out.push(match rule.action {
        Action::Allow => 0,
        Action::Drop => 1,
        Action::Reject => 2,
    });
    present(out, rule.protocol, |out, n| number(out, u64::from(n)));
    present(out, rule.ports, |out, (first, last)| {
        number(out, u64::from(first));
        number(out, u64::from(last));
    });
    present(out, rule.from, |out, net: Cidr| {
        address(out, net.address());
        number(out, u64::from(net.prefix()));
    });
    option(out, rule.name.as_deref().map(str::as_bytes));
}

pub(super) fn read_edit(kind: u8, c: &mut Cursor<'_>) -> Result<Command, Fault> {
    if !(3..=12).contains(&kind) {
        return Err(Fault::Unknown("a command", kind));
    }
    if kind == 11 {
        let name = c.option()?.map(super::parts::utf8).transpose()?;
        return Ok(Command::Heal { name });
    }
    let name = c.text()?;
    Ok(match kind {
        3 => Command::Link { link: name, directions: read_directions(c)?, change: read_change(c)? },
        4 => Command::AddForward { host: name, from: read_port(c)?, to: c.socket_address()? },
        5 => Command::RemoveForward { host: name, from: read_port(c)? },
        6 => {
            let rule = read_rule(c)?;
            let before = if c.flag()? { Some(c.small()?) } else { None };
            Command::AddRule { host: name, rule, before }
        }
        7 => Command::RemoveRule { host: name, rule: c.text()? },
        8 => Command::InboundDefault { host: name, deny: c.flag()? },
        9 => Command::CutInFlight { link: name },
        10 => {
            let count = c.number()?;
            if count > c.0.len() as u64 {
                return Err(Fault::Bad("more sides of a partition than bytes"));
            }
            let sides = (0..count).map(|_| read_argv(c)).collect::<Result<_, _>>()?;
            Command::Partition { name, sides, in_flight: c.flag()? }
        }
        _ => {
            let mirror = match c.flag()? {
                true => Some(MirrorSpec { to: c.text()?, from: read_argv(c)? }),
                false => None,
            };
            Command::Mirror { switch: name, mirror }
        }
    })
}

fn read_directions(c: &mut Cursor<'_>) -> Result<Directions, Fault> {
    match c.byte()? {
        0 => Ok(Directions::Both),
        1 => Ok(Directions::Up),
        2 => Ok(Directions::Down),
        kind => Err(Fault::Unknown("a direction", kind)),
    }
}

fn read_port(c: &mut Cursor<'_>) -> Result<ForwardPort, Fault> {
    Ok(ForwardPort { protocol: c.small()?, port: c.small()?, last: c.small()? })
}

fn read_rule(c: &mut Cursor<'_>) -> Result<InboundRule, Fault> {
    let action = match c.byte()? {
        0 => Action::Allow,
        1 => Action::Drop,
        2 => Action::Reject,
        kind => return Err(Fault::Unknown("an action", kind)),
    };
    let protocol = if c.flag()? { Some(c.small()?) } else { None };
    let ports = if c.flag()? { Some((c.small()?, c.small()?)) } else { None };
    let from = if c.flag()? {
        let (address, prefix) = (c.address()?, c.small()?);
        let net = Cidr::new(address, prefix);
        Some(net.ok_or(Fault::Bad("a prefix is longer than its address"))?)
    } else {
        None
    };
    let name = c.option()?.map(super::parts::utf8).transpose()?;
    Ok(InboundRule { action, protocol, ports, from, name })
}
