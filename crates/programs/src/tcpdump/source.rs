//! Where packets come from: the host's interfaces, and how their frames look in a capture.

use core::net::IpAddr;

use netarium_base::IfIndex;
use netarium_stack::{Captured, Interface, PacketKind};
use netarium_wire::dissect::{LinkType, Names};
use netarium_world::process::Process;
use tokio::io::AsyncReadExt;

use super::LO;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;
/// The most bytes that are read from standard input.
const INPUT_MAX: u64 = 64 * 1024 * 1024;

/// A capture file that comes by standard input, whole.
pub(super) async fn standard_input(process: &Process) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut input = process.stdin().take(INPUT_MAX);
    input.read_to_end(&mut bytes).await.map_err(|e| e.to_string())?;
    Ok(bytes)
}

/// The host's interfaces.
#[derive(Clone, Debug)]
pub(super) struct Interfaces(Vec<Interface>);

/// What is listened to.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: String,
    /// None: any.
    pub(super) iface: Option<IfIndex>,
    pub(super) netmask: Option<u32>,
}

/// How frames look in the capture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Ethernet,
    Cooked,
}

impl Interfaces {
    pub(super) fn of(process: &Process) -> Interfaces {
        Interfaces(process.with_stack(|stack, _| stack.interfaces().to_vec()))
    }

    /// In tcpdump's order: what is up and no loopback first, then `any`, then the rest.
    fn ordered(&self) -> Vec<Option<&Interface>> {
        let usual = |i: &&Interface| i.index != LO && i.up;
        let first = self.0.iter().filter(usual).map(Some);
        let rest = self.0.iter().filter(|i| !usual(i)).map(Some);
        first.chain([None]).chain(rest).collect()
    }

    /// `-D`
    pub(super) fn list(&self) -> String {
        let mut out = String::new();
        for (n, interface) in self.ordered().into_iter().enumerate() {
            let line = match interface {
                None => {
                    "any (Pseudo-device that captures on all interfaces) [Up, Running]".to_owned()
                }
                Some(i) => {
                    let flags = match (i.up, i.index == LO) {
                        (true, true) => "Up, Running, Loopback",
                        (true, false) => "Up, Running, Connected",
                        (false, true) => "Loopback",
                        (false, false) => "Disconnected",
                    };
                    format!("{} [{flags}]", i.name)
                }
            };
            out.push_str(&format!("{}.{line}\n", n + 1));
        }
        out
    }

    /// The interface of a name or a number of `-D`; without either the first.
    pub(super) fn find(&self, name: Option<&str>) -> Result<Source, String> {
        let ordered = self.ordered();
        let interface = match name {
            None => ordered.first().copied().flatten(),
            Some("any") => None,
            Some(name) => match self.0.iter().find(|i| i.name == name) {
                Some(found) => Some(found),
                None => match name.parse::<usize>() {
                    Ok(n) => *n
                        .checked_sub(1)
                        .and_then(|n| ordered.get(n))
                        .ok_or_else(|| "Invalid adapter index".to_owned())?,
                    Err(_) => {
                        return Err(format!(
                            "{name}: No such device exists\n(No such device exists)"
                        ));
                    }
                },
            },
        };
        let Some(i) = interface else {
            return Ok(Source { name: "any".to_owned(), iface: None, netmask: None });
        };
        let netmask = i
            .addresses
            .iter()
            .find(|a| a.address().is_ipv4())
            .map(|a| u32::MAX.checked_shl(32 - u32::from(a.prefix())).unwrap_or(0));
        Ok(Source { name: i.name.clone(), iface: Some(i.index), netmask })
    }
}

impl Names for Interfaces {
    /// Addresses have no names here.
    fn host(&self, _: IpAddr) -> Option<String> {
        None
    }

    fn interface(&self, index: u32) -> Option<String> {
        let found = self.0.iter().find(|i| u32::from(i.index.0) == index);
        found.map(|i| i.name.clone())
    }
}

impl Source {
    pub(super) fn link(&self) -> LinkType {
        match self.iface {
            Some(_) => LinkType::Ethernet,
            None => LinkType::Cooked2,
        }
    }

    pub(super) fn shape(&self) -> Shape {
        if self.iface.is_some() { Shape::Ethernet } else { Shape::Cooked }
    }

    /// A frame as it stands in the capture, cut, and its length; `None` for the first sight of what
    /// goes over loopback, as in libpcap.
    pub(super) fn record(&self, frame: &Captured, snaplen: u32) -> Option<(Vec<u8>, usize)> {
        if frame.iface == LO && frame.kind == PacketKind::Outgoing {
            return None;
        }
        let (bytes, len) = self.shape().of(frame);
        let kept = bytes.len().min(snaplen as usize);
        Some((bytes[..kept].to_vec(), len))
    }

    /// Nanoseconds since 1970 of virtual time zero.
    pub(super) fn epoch(&self, process: &Process) -> u64 {
        process.unix_time().saturating_sub(process.now().as_nanos())
    }
}

impl Shape {
    /// A frame as it stands in the capture.
    pub(super) fn of(self, frame: &Captured) -> (std::borrow::Cow<'_, [u8]>, usize) {
        match self {
            Shape::Ethernet => (frame.bytes.as_slice().into(), frame.len),
            Shape::Cooked => {
                let cooked = LinkType::Cooked2.header();
                (cooked_bytes(frame).into(), frame.len.saturating_sub(ETHERNET) + cooked)
            }
        }
    }
}

/// The header of a cooked capture (LINKTYPE_LINUX_SLL2) and what follows the Ethernet header.
fn cooked_bytes(frame: &Captured) -> Vec<u8> {
    let mut header = [0; ETHERNET];
    let have = frame.bytes.len().min(ETHERNET);
    header[..have].copy_from_slice(&frame.bytes[..have]);
    // ARPHRD_LOOPBACK, ARPHRD_ETHER.
    let hardware: u16 = if frame.iface == LO { 772 } else { 1 };
    let mut out = Vec::with_capacity(frame.bytes.len() + 6);
    out.extend(&header[12..14]);
    out.extend([0, 0]);
    out.extend(u32::from(frame.iface.0).to_be_bytes());
    out.extend(hardware.to_be_bytes());
    out.extend([frame.kind.number(), 6]);
    out.extend(&header[6..12]);
    out.extend([0, 0]);
    out.extend(frame.bytes.get(ETHERNET..).unwrap_or(&[]));
    out
}
