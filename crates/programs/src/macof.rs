//! `macof`: frames with made-up MAC addresses, which fill the tables of switches, in the words of
//! dsniff 2.4.

use core::net::Ipv4Addr;

use netarium_base::{Duration, Rng};
use netarium_stack::PacketConfig;
use netarium_wire::{IpHeader, Mac, Payload, TcpFlags, TcpHeader, TcpOptions};
use netarium_world::process::{LocalBoxFuture, PacketSocket, Process};

use crate::getopt::{Item, Spec};

const USAGE: &str = "Version: 2.4\nUsage: macof [-s src] [-d dst] [-e tha] [-x sport] [-y dport]\n             [-i interface] [-n times]\n";

/// Between two frames; the original sends as fast as it can.
const PAUSE: Duration = Duration::from_micros(100);

#[derive(Clone, Debug, Default)]
struct Options {
    source: Option<Ipv4Addr>,
    destination: Option<Ipv4Addr>,
    target: Option<Mac>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
    interface: Option<String>,
    times: Option<u64>,
}

impl Options {
    /// `None`: the usage is told.
    fn parse(args: &[String]) -> Option<Options> {
        let spec = Spec { short: "vs:d:e:x:y:i:n:h?", long: &[] };
        let mut o = Options::default();
        for item in spec.parse(args).ok()? {
            let Item::Option(letter, value) = item else { return None };
            match letter {
                's' => o.source = Some(value.parse().ok()?),
                'd' => o.destination = Some(value.parse().ok()?),
                'e' => o.target = Some(value.parse().ok()?),
                'x' => o.source_port = Some(value.parse().ok()?),
                'y' => o.destination_port = Some(value.parse().ok()?),
                'i' => o.interface = Some(value),
                'n' => o.times = Some(value.parse().ok()?),
                'v' => {}
                _ => return None,
            }
        }
        Some(o)
    }
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let Some(options) = Options::parse(args.get(1..).unwrap_or_default()) else {
            process.eprint(USAGE).await;
            return 1;
        };
        match flood(&process, &options).await {
            Ok(()) => 0,
            Err(text) => {
                process.eprint(&format!("macof: {text}\n")).await;
                1
            }
        }
    })
}

async fn flood(process: &Process, options: &Options) -> Result<(), String> {
    let interfaces = process.with_stack(|stack, _| stack.interfaces().to_vec());
    let wanted = options.interface.as_deref();
    let found = interfaces.iter().skip(1).find(|i| wanted.is_none_or(|w| w == i.name));
    let Some(interface) = found else {
        return Err(format!("{}: No such device exists", wanted.unwrap_or("no interface")));
    };
    // It only sends: nothing is to wait in its ring.
    let deaf = PacketConfig { iface: Some(interface.index), ring: 0, ..PacketConfig::default() };
    let socket = PacketSocket::open(process, deaf).map_err(|e| e.to_string())?;
    let mut rng = process.rng("macof");
    let mut sent = 0;
    while options.times.is_none_or(|n| sent < n) {
        sent += 1;
        let (frame, text) = made_up(&mut rng, options);
        socket.send(interface.index, &frame).map_err(|e| format!("write: {e}"))?;
        process.print(&text).await;
        process.sleep(PAUSE).await;
    }
    Ok(())
}

fn made_up(rng: &mut Rng, options: &Options) -> (Vec<u8>, String) {
    let mut mac = || {
        let bytes = rng.next_u64().to_be_bytes();
        // A sender's address is never a group's.
        Mac([bytes[0] & 0xfe, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]])
    };
    let (from_mac, to_mac) = (mac(), mac());
    let to_mac = options.target.unwrap_or(to_mac);
    let source = options.source.unwrap_or_else(|| Ipv4Addr::from(rng.next_u32()));
    let destination = options.destination.unwrap_or_else(|| Ipv4Addr::from(rng.next_u32()));
    let src_port = options.source_port.unwrap_or_else(|| rng.next_u32() as u16);
    let dst_port = options.destination_port.unwrap_or_else(|| rng.next_u32() as u16);
    let seq = rng.next_u32();
    let mut ip = IpHeader::new(source.into(), destination.into());
    ip.id = rng.next_u32() as u16;
    let flags = TcpFlags::SYN;
    let header = TcpHeader { src_port, dst_port, seq, ack: 0, flags, window: 512, urgent: 0 };
    let mut frame = header.frame(&ip, &TcpOptions::new(), Payload::new());
    frame.set_macs(to_mac, from_mac);
    let text = format!(
        "{from_mac} {to_mac} {source}.{src_port} > {destination}.{dst_port}: S {seq}:{seq}(0) win 512\n"
    );
    (frame.to_vec(), text)
}
