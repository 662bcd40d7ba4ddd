//! `dhcpd`: the server as a program.
//!
//! `dhcpd [-cf FILE] [-lf FILE] [-t] [-q] [-d] [-f] [-4] [INTERFACE…]`. Without interfaces it serves
//! those whose network the configuration has. The leases are in the lease file, which is read at the
//! start: a server that is started again knows them.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::cell::RefCell;
use std::rc::Rc;

use netarium_base::{Duration, Event, FlowId, IfIndex};
use netarium_wire::{Cidr, Mac};
use netarium_world::process::{LocalBoxFuture, Process, UdpSocket};

use super::conf::Config;
use super::leases::Leases;
use super::server::{Outcome, Port, Server, To};
use super::wire::{LEN_MAX, decode, encode};
use super::{CLIENT_PORT, SERVER_PORT};

/// Where the configuration is.
const CONF: &str = "/etc/dhcp/dhcpd.conf";
/// Where the leases are.
const LEASES: &str = "/var/lib/dhcp/dhcpd.leases";
/// Up to how many leases the file is written at each change; beyond, at most once in a second.
const WRITTEN_AT_ONCE: usize = 256;

/// A command line, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    conf: Option<String>,
    leases: Option<String>,
    test: bool,
    quiet: bool,
    interfaces: Vec<String>,
}

impl Options {
    /// Reads the words behind the program's name.
    ///
    /// # Errors
    /// What to say about a wrong one.
    pub(super) fn parse(args: &[String]) -> Result<Options, String> {
        let mut options = Options::default();
        let mut words = args.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-cf" => options.conf = Some(words.next().ok_or(USAGE)?.clone()),
                "-lf" => options.leases = Some(words.next().ok_or(USAGE)?.clone()),
                "-pf" => drop(words.next().ok_or(USAGE)?),
                "-t" => options.test = true,
                "-q" => options.quiet = true,
                "-4" | "-d" | "-f" | "--no-pid" => {}
                word if word.starts_with('-') => {
                    return Err(format!("Unknown command: {word}\n{USAGE}"));
                }
                _ => options.interfaces.push(word.clone()),
            }
        }
        Ok(options)
    }
}

const USAGE: &str = "\
Usage: dhcpd [-cf config-file] [-lf lease-file] [-t] [-q] [-d] [-f] [-4] [if0 [...ifN]]
";

/// What all interfaces of a server share.
struct Shared {
    server: Server,
    leases: String,
    quiet: bool,
    /// Leases have changed that are not in the file yet.
    dirty: bool,
}

/// An interface that is served.
struct Served {
    name: String,
    index: IfIndex,
    address: Ipv4Addr,
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match run(&process, args.get(1..).unwrap_or_default()).await {
            Ok(()) => 0,
            Err(text) => {
                process.eprint(&text).await;
                1
            }
        }
    })
}

async fn run(process: &Process, args: &[String]) -> Result<(), String> {
    let options = Options::parse(args)?;
    let path = options.conf.clone().unwrap_or_else(|| CONF.to_owned());
    let text = process.read_file(&path).map_err(|e| format!("Can't open {path}: {e}\n"))?;
    let config = Config::read(&String::from_utf8_lossy(&text)).map_err(|e| {
        format!(
            "{path} line {}: {}\nConfiguration file errors encountered -- exiting\n",
            e.line, e.what
        )
    })?;
    if options.test {
        return Ok(());
    }
    let served = served(process, &config, &options.interfaces)?;
    let leases = options.leases.unwrap_or_else(|| LEASES.to_owned());
    let known = process
        .read_file(&leases)
        .map_or_else(|_| Leases::default(), |file| Leases::read(&String::from_utf8_lossy(&file)));
    let count = known.len();
    let server = Server::new(config, known);
    let shared = Shared { server, leases, quiet: options.quiet, dirty: false };
    let shared = Rc::new(RefCell::new(shared));
    let say = |line: String| say(process, options.quiet, line);
    say(format!("Wrote {count} leases to leases file.")).await;
    let mut sockets = Vec::new();
    for iface in served {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), SERVER_PORT);
        let socket = UdpSocket::bind_on(process, iface.index, any).map_err(|_| {
            "Can't bind to dhcp address: Address already in use\nPlease make sure there is no other \
             dhcp server running.\n"
                .to_owned()
        })?;
        say(format!("Listening on {}/{}", iface.name, iface.address)).await;
        sockets.push((iface, socket));
    }
    say("Server starting service.".to_owned()).await;
    let last = sockets.pop();
    for (iface, socket) in sockets {
        let (process, shared) = (*process, Rc::clone(&shared));
        process.spawn(async move { serve(&process, &iface, &socket, &shared).await });
    }
    if let Some((iface, socket)) = last {
        serve(process, &iface, &socket, &shared).await;
    }
    Ok(())
}

async fn say(process: &Process, quiet: bool, line: String) {
    if !quiet {
        process.eprint(&format!("{line}\n")).await;
    }
}

/// The interfaces that have an address in a subnet of the configuration.
fn served(process: &Process, config: &Config, names: &[String]) -> Result<Vec<Served>, String> {
    let all = process.with_stack(|stack, _| stack.interfaces().to_vec());
    for name in names {
        if !all.iter().any(|i| i.name == *name) {
            return Err(format!("{name}: interface not found\n"));
        }
    }
    let mut served = Vec::new();
    for i in &all {
        let wanted = names.is_empty() || names.contains(&i.name);
        let mut own = i.addresses.iter().filter_map(|a| match a.address() {
            IpAddr::V4(a) if !a.is_loopback() => Some(a),
            _ => None,
        });
        match own.find(|a| config.subnet_of(*a).is_some()) {
            Some(address) if wanted => {
                served.push(Served { name: i.name.clone(), index: i.index, address });
            }
            None if wanted && !names.is_empty() => {
                let address = i.addresses.first().map(Cidr::address);
                let address = address.map_or("no address".to_owned(), |a| a.to_string());
                return Err(format!(
                    "No subnet declaration for {} ({address}).\nNot configured to listen on any \
                     interfaces!\n",
                    i.name
                ));
            }
            _ => {}
        }
    }
    if served.is_empty() {
        return Err("Not configured to listen on any interfaces!\n".to_owned());
    }
    Ok(served)
}

async fn serve(
    process: &Process,
    iface: &Served,
    socket: &UdpSocket,
    shared: &Rc<RefCell<Shared>>,
) {
    let mut buf = vec![0; LEN_MAX];
    loop {
        // What went wrong with an earlier answer is no news of this one's.
        let Ok((n, _)) = socket.recv_from(&mut buf).await else { continue };
        let Some(message) = decode(&buf[..n]) else { continue };
        let now = process.unix_time() / 1_000_000_000;
        let port = Port { name: &iface.name, address: iface.address };
        let outcome = shared.borrow_mut().server.handle(now, port, &message);
        carry_out(process, iface, socket, shared, outcome).await;
    }
}

async fn carry_out(
    process: &Process,
    iface: &Served,
    socket: &UdpSocket,
    shared: &Rc<RefCell<Shared>>,
    outcome: Outcome,
) {
    if let Some(text) = outcome.note {
        process.emit(FlowId::NONE, || Event::Note { text: text.into() });
    }
    if outcome.changed {
        write_leases(process, shared);
    }
    if let Some((message, to)) = outcome.answer {
        let to = match to {
            To::Everybody => Ipv4Addr::BROADCAST,
            To::Address(address) => address,
            To::Station(address, mac) => {
                introduce(process, iface.index, address, mac);
                address
            }
        };
        let to = SocketAddr::new(IpAddr::V4(to), CLIENT_PORT);
        if let Err(e) = socket.send_to(&encode(&message), to).await {
            process.eprint(&format!("send_packet: {e}\n")).await;
        }
    }
    let quiet = shared.borrow().quiet;
    if !quiet && !outcome.log.is_empty() {
        process.eprint(&(outcome.log.join("\n") + "\n")).await;
    }
}

/// RFC 2131 §4.1: the client cannot answer ARP for an address that it does not have yet.
fn introduce(process: &Process, iface: IfIndex, address: Ipv4Addr, mac: Mac) {
    process.with_stack(|stack, cx| stack.set_neighbour(cx, iface, IpAddr::V4(address), mac));
}

/// Puts the leases into their file: at once, or when there are many, with all that change within a
/// second.
fn write_leases(process: &Process, shared: &Rc<RefCell<Shared>>) {
    let mut now = shared.borrow_mut();
    if now.server.leases.len() <= WRITTEN_AT_ONCE {
        return write_now(process, &now);
    }
    if std::mem::replace(&mut now.dirty, true) {
        return;
    }
    let (process, shared) = (*process, Rc::clone(shared));
    process.spawn(async move {
        process.sleep(Duration::from_secs(1)).await;
        let mut now = shared.borrow_mut();
        now.dirty = false;
        write_now(&process, &now);
    });
}

fn write_now(process: &Process, shared: &Shared) {
    let text = shared.server.leases.file();
    if let Err(e) = process.write_file(&shared.leases, text.into_bytes()) {
        let text = format!("dhcpd: {}: {e}", shared.leases);
        process.emit(FlowId::NONE, || Event::Note { text: text.into() });
    }
}
