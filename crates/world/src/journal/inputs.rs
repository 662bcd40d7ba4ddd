//! Inputs in the binary form.

use super::edits::{read_edit, write_edit};
use super::parts::{Cursor, Fault, address, bytes, number, option, present, socket_address, utf8};
use crate::message::{Command, Input, Target};

pub(super) fn write_input(out: &mut Vec<u8>, input: &Input) {
    let head = |out: &mut Vec<u8>, kind: u8, port: u64| {
        out.push(kind);
        number(out, port);
    };
    match input {
        Input::Open { port, client, from, source, to } => {
            head(out, 1, *port);
            bytes(out, client.as_bytes());
            option(out, from.as_deref().map(str::as_bytes));
            present(out, source.as_ref(), |out, ip| address(out, *ip));
            write_target(out, to);
        }
        Input::OpenUdp { port, client, from, source, to } => {
            head(out, 20, *port);
            bytes(out, client.as_bytes());
            option(out, from.as_deref().map(str::as_bytes));
            present(out, source.as_ref(), |out, ip| address(out, *ip));
            write_target(out, to);
        }
        Input::Datagram { port, bytes: data } => {
            head(out, 10, *port);
            bytes(out, data);
        }
        Input::Accepted { port, credit } => {
            head(out, 21, *port);
            number(out, u64::from(*credit));
        }
        Input::Refused { port, reason } => {
            head(out, 22, *port);
            bytes(out, reason.as_bytes());
        }
        Input::Client { address: ip, label } => {
            out.push(23);
            address(out, *ip);
            bytes(out, label.as_bytes());
        }
        Input::Data { port, bytes: data } => {
            write_data_head(out, *port, data.len());
            out.extend_from_slice(data);
        }
        Input::Eof { port } => head(out, 3, *port),
        Input::Reset { port } => head(out, 4, *port),
        Input::Credit { port, bytes } => {
            head(out, 5, *port);
            number(out, u64::from(*bytes));
        }
        Input::Exec { port, host, argv, stdin, credit } => {
            head(out, 6, *port);
            bytes(out, host.as_bytes());
            write_argv(out, argv);
            out.push(u8::from(*stdin));
            number(out, u64::from(*credit));
        }
        Input::Signal { port, signal } => {
            head(out, 7, *port);
            number(out, u64::from(*signal));
        }
        Input::FileWrite { path, bytes: contents } => {
            out.push(8);
            bytes(out, path.as_bytes());
            option(out, contents.as_deref());
        }
        Input::Command(command) => {
            out.push(9);
            write_command(out, command);
        }
    }
}

/// What stands before the bytes of a connection.
pub(super) fn write_data_head(out: &mut Vec<u8>, port: u64, len: usize) {
    out.push(2);
    number(out, port);
    number(out, len as u64);
}

fn write_target(out: &mut Vec<u8>, to: &Target) {
    match to {
        Target::Addr(to) => {
            out.push(0);
            socket_address(out, *to);
        }
        Target::Name { host, port } => {
            out.push(1);
            bytes(out, host.as_bytes());
            number(out, u64::from(*port));
        }
    }
}

pub(super) fn write_argv(out: &mut Vec<u8>, argv: &[String]) {
    number(out, argv.len() as u64);
    argv.iter().for_each(|a| bytes(out, a.as_bytes()));
}

fn write_command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::Start { host, argv } => {
            out.push(0);
            bytes(out, host.as_bytes());
            write_argv(out, argv);
        }
        Command::Kill { host, pid, signal } => {
            out.push(1);
            bytes(out, host.as_bytes());
            number(out, u64::from(*pid));
            number(out, u64::from(*signal));
        }
        Command::LinkUp { link, up } => {
            out.push(2);
            bytes(out, link.as_bytes());
            out.push(u8::from(*up));
        }
        edit => write_edit(out, edit),
    }
}

pub(super) fn read_input(kind: u8, c: &mut Cursor<'_>) -> Result<Input, Fault> {
    match kind {
        1..=7 | 10 | 20..=22 => {}
        23 => return Ok(Input::Client { address: c.address()?, label: c.text()? }),
        8 => {
            let path = c.text()?;
            return Ok(Input::FileWrite { path, bytes: c.option()?.map(<[u8]>::to_vec) });
        }
        9 => return read_command(c).map(Input::Command),
        _ => return Err(Fault::Unknown("an entry", kind)),
    }
    let port = c.number()?;
    Ok(match kind {
        1 | 20 => {
            let client = c.text()?;
            let from = c.option()?.map(utf8).transpose()?;
            let source = if c.flag()? { Some(c.address()?) } else { None };
            let to = read_target(c)?;
            match kind {
                1 => Input::Open { port, client, from, source, to },
                _ => Input::OpenUdp { port, client, from, source, to },
            }
        }
        10 => Input::Datagram { port, bytes: c.bytes()?.to_vec() },
        21 => Input::Accepted { port, credit: c.small()? },
        22 => Input::Refused { port, reason: c.text()? },
        2 => Input::Data { port, bytes: c.bytes()?.to_vec() },
        3 => Input::Eof { port },
        4 => Input::Reset { port },
        5 => Input::Credit { port, bytes: c.small()? },
        6 => {
            let host = c.text()?;
            let argv = read_argv(c)?;
            Input::Exec { port, host, argv, stdin: c.flag()?, credit: c.small()? }
        }
        _ => Input::Signal { port, signal: c.small()? },
    })
}

fn read_target(c: &mut Cursor<'_>) -> Result<Target, Fault> {
    match c.byte()? {
        0 => Ok(Target::Addr(c.socket_address()?)),
        1 => Ok(Target::Name { host: c.text()?, port: c.small()? }),
        kind => Err(Fault::Unknown("a target", kind)),
    }
}

pub(super) fn read_argv(c: &mut Cursor<'_>) -> Result<Vec<String>, Fault> {
    let count = c.number()?;
    if count > c.0.len() as u64 {
        return Err(Fault::Bad("more arguments than bytes"));
    }
    (0..count).map(|_| c.text()).collect()
}

fn read_command(c: &mut Cursor<'_>) -> Result<Command, Fault> {
    match c.byte()? {
        0 => Ok(Command::Start { host: c.text()?, argv: read_argv(c)? }),
        1 => Ok(Command::Kill { host: c.text()?, pid: c.small()?, signal: c.small()? }),
        2 => Ok(Command::LinkUp { link: c.text()?, up: c.flag()? }),
        kind => read_edit(kind, c),
    }
}
