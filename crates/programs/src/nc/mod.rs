//! `nc`: OpenBSD's netcat, as Debian has it (1.219).

mod options;
mod relay;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::io;

use netarium_base::Duration;
use netarium_stack::{Errno, SocketOption};
use netarium_world::process::{LocalBoxFuture, Process, TcpListener, TcpStream, UdpSocket, errno};

use crate::services;
use crate::wait::within;
use options::{Family, Options, SUMMARY, USAGE, parse};

/// The backlog of a listener.
const BACKLOG: u32 = 1;
/// The largest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let options = match parse(args.get(1..).unwrap_or_default()) {
            Ok(options) => options,
            Err(why) => {
                process.eprint(&why).await;
                return 1;
            }
        };
        if options.help {
            let version = "OpenBSD netcat (Debian patchlevel 1.219-1)";
            process.eprint(&format!("{version}\n{USAGE}{SUMMARY}")).await;
            return 0;
        }
        let result = if options.listen {
            listen(&process, &options).await
        } else {
            connect(&process, &options).await
        };
        match result {
            Ok(code) => code,
            Err(why) => {
                process.eprint(&format!("nc: {why}\n")).await;
                1
            }
        }
    })
}

/// What went wrong, in words.
fn words(e: &io::Error) -> String {
    errno(e).map_or_else(|| e.to_string(), |e| e.text().to_owned())
}

/// An address of the family that is asked for; the error is what `getaddrinfo(3)` says.
async fn resolve(
    process: &Process,
    o: &Options,
    name: &str,
    family: Option<Family>,
) -> Result<IpAddr, &'static str> {
    let fits = |address: &IpAddr| family.is_none_or(|f| f.has(*address));
    if let Ok(address) = name.parse::<IpAddr>() {
        let other = "Address family for hostname not supported";
        return if fits(&address) { Ok(address) } else { Err(other) };
    }
    let unknown = "Name or service not known";
    if o.numeric {
        return Err(unknown);
    }
    let found = process.resolve(name).await.map_err(|_| unknown)?;
    found.into_iter().find(fits).ok_or("No address associated with hostname")
}

async fn listen(process: &Process, o: &Options) -> Result<i32, String> {
    let address = match o.host.as_ref().or(o.source.as_ref()) {
        Some(name) => {
            let found = resolve(process, o, name, o.family).await;
            found.map_err(|why| format!("getaddrinfo: {why}"))?
        }
        None => any(o.family == Some(Family::V6)),
    };
    let at = SocketAddr::new(address, o.ports.first().copied().unwrap_or(0));
    if o.udp {
        return listen_udp(process, o, at).await;
    }
    let listener = TcpListener::bind(process, at, BACKLOG).map_err(|e| words(&e))?;
    say(process, o, &format!("Listening on {} {}", at.ip(), at.port())).await;
    loop {
        let (stream, peer) = listener.accept().await.map_err(|e| words(&e))?;
        say(process, o, &format!("Connection received on {} {}", peer.ip(), peer.port())).await;
        relay::stream(process, o, stream).await;
        // Until here a second client could connect; it is reset now if nobody took it.
        if !o.keep {
            break;
        }
    }
    Ok(0)
}

async fn listen_udp(process: &Process, o: &Options, at: SocketAddr) -> Result<i32, String> {
    let socket = UdpSocket::bind(process, at).map_err(|e| words(&e))?;
    say(process, o, &format!("Bound on {} {}", at.ip(), at.port())).await;
    let mut buffer = vec![0; DATAGRAM_MAX];
    let (n, meta) = socket.recv_from(&mut buffer).await.map_err(|e| words(&e))?;
    say(process, o, &format!("Connection received on {} {}", meta.from.ip(), meta.from.port()))
        .await;
    if !o.keep {
        // From now on only this peer is heard.
        socket.connect(meta.from).map_err(|e| words(&e))?;
    }
    buffer.truncate(n);
    relay::datagrams(process, o, &socket, meta.from, buffer).await;
    Ok(0)
}

async fn say(process: &Process, o: &Options, text: &str) {
    if o.verbose {
        process.eprint(&format!("{text}\n")).await;
    }
}

async fn connect(process: &Process, o: &Options) -> Result<i32, String> {
    let name = o.host.clone().unwrap_or_default();
    let port = o.ports.first().copied().unwrap_or(0);
    let unknown = |why| format!("getaddrinfo for host \"{name}\" port {port}: {why}");
    let address = resolve(process, o, &name, o.family).await.map_err(unknown)?;
    let from = source(process, o, address).await?;
    // A name is told with its address.
    let shown = match name.parse::<IpAddr>() {
        Ok(_) => name,
        Err(_) => format!("{name} ({address})"),
    };
    let mut code = 1;
    for (n, &port) in o.ports.iter().enumerate() {
        if let Some(interval) = o.interval.filter(|_| n > 0) {
            process.sleep(interval).await;
        }
        let to = SocketAddr::new(address, port);
        if o.udp {
            // The last port counts.
            code = i32::from(!connect_udp(process, o, from, to, &shown).await?);
        } else if connect_tcp(process, o, from, to, &shown).await? {
            code = 0;
        }
    }
    Ok(code)
}

fn any(v6: bool) -> IpAddr {
    if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
}

/// Where `-s` and `-p` want to connect from, in the family of `to`.
async fn source(process: &Process, o: &Options, to: IpAddr) -> Result<Option<SocketAddr>, String> {
    let address = match &o.source {
        Some(name) => {
            let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
            let found = resolve(process, o, name, Some(family)).await;
            found.map_err(|why| format!("getaddrinfo: {why}"))?
        }
        None if o.source_port == 0 => return Ok(None),
        None => any(to.is_ipv6()),
    };
    Ok(Some(SocketAddr::new(address, o.source_port)))
}

/// What is said when the address or port of `-s` and `-p` cannot be had: that ends the program.
fn unbound(from: Option<SocketAddr>, e: &io::Error) -> Result<(), String> {
    let binding = matches!(errno(e), Some(Errno::EADDRNOTAVAIL | Errno::EADDRINUSE));
    if from.is_some() && binding { Err(format!("bind failed: {}", words(e))) } else { Ok(()) }
}

fn succeeded(o: &Options, shown: &str, port: u16) -> String {
    let proto = if o.udp { "udp" } else { "tcp" };
    let service = services::name(port, o.udp).filter(|_| !o.numeric).unwrap_or("*");
    format!("Connection to {shown} {port} port [{proto}/{service}] succeeded!")
}

/// False: nobody accepts. The error ends the program.
async fn connect_tcp(
    process: &Process,
    o: &Options,
    from: Option<SocketAddr>,
    to: SocketAddr,
    shown: &str,
) -> Result<bool, String> {
    let deadline = o.timeout.map(|t| process.now() + t);
    let connected = within(process, deadline, TcpStream::connect_from(process, from, to)).await;
    let failed = match connected {
        Some(Ok(stream)) => {
            if o.verbose {
                say(process, o, &succeeded(o, shown, to.port())).await;
            }
            let wishes = [
                o.ttl.map(SocketOption::Ttl),
                o.receive_buffer.map(SocketOption::RecvBuffer),
                o.send_buffer.map(SocketOption::SendBuffer),
            ];
            for wish in wishes.into_iter().flatten() {
                // A connection without what was wished is still one.
                let _ = stream.set_option(wish);
            }
            if !o.zero {
                relay::stream(process, o, stream).await;
            }
            return Ok(true);
        }
        Some(Err(e)) => {
            unbound(from, &e)?;
            format!("failed: {}", words(&e))
        }
        None => "timed out: Operation now in progress".to_owned(),
    };
    let text = format!("nc: connect to {shown} port {} (tcp) {failed}", to.port());
    say(process, o, &text).await;
    Ok(false)
}

/// False: nobody is there. The error ends the program.
async fn connect_udp(
    process: &Process,
    o: &Options,
    from: Option<SocketAddr>,
    to: SocketAddr,
    shown: &str,
) -> Result<bool, String> {
    let any = SocketAddr::new(any(to.is_ipv6()), 0);
    let opened = UdpSocket::bind(process, from.unwrap_or(any))
        .and_then(|socket| socket.connect(to).map(|()| socket));
    let socket = match opened {
        Ok(socket) => socket,
        Err(e) => {
            unbound(from, &e)?;
            let why = words(&e);
            let text = format!("nc: connect to {shown} port {} (udp) failed: {why}", to.port());
            say(process, o, &text).await;
            return Ok(false);
        }
    };
    // Without `-v` nobody wants to know whether the port is there.
    if o.verbose {
        // A port that nobody has shows by an ICMP error to one of these.
        for _ in 0..4 {
            if socket.send(b"X").await.is_err() {
                return Ok(false);
            }
            process.sleep(Duration::from_secs(1)).await;
        }
        say(process, o, &succeeded(o, shown, to.port())).await;
    }
    if !o.zero {
        relay::datagrams(process, o, &socket, to, Vec::new()).await;
    }
    Ok(true)
}
