//! `nc`: OpenBSD's netcat, as Debian has it (1.219).

mod options;
mod relay;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io;

use netarium_base::Duration;
use netarium_stack::SocketOption;
use netarium_world::process::{LocalBoxFuture, Process, TcpListener, TcpStream, UdpSocket, errno};

use crate::services;
use crate::wait::within;
use options::{Options, USAGE, parse};

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
            process.eprint(&format!("OpenBSD netcat\n{USAGE}")).await;
            return 1;
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

async fn resolve(process: &Process, o: &Options, name: &str) -> Result<IpAddr, String> {
    let port = o.ports.first().copied().unwrap_or(0);
    let unknown = |why: &str| format!("getaddrinfo for host \"{name}\" port {port}: {why}");
    if o.numeric {
        return name.parse().map_err(|_| unknown("Name or service not known"));
    }
    let found = process.resolve(name).await.map_err(|_| unknown("Name or service not known"))?;
    found.first().copied().ok_or_else(|| unknown("No address associated with hostname"))
}

async fn listen(process: &Process, o: &Options) -> Result<i32, String> {
    let address = match &o.host {
        Some(name) => resolve(process, o, name).await?,
        None => o.source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    };
    let at = SocketAddr::new(address, o.ports.first().copied().unwrap_or(0));
    if o.udp {
        return listen_udp(process, o, at).await;
    }
    let listener = TcpListener::bind(process, at, BACKLOG).map_err(|e| words(&e))?;
    say(process, o, &format!("Listening on {} {}", at.ip(), at.port())).await;
    let mut listener = Some(listener);
    while let Some(open) = &listener {
        let (stream, peer) = open.accept().await.map_err(|e| words(&e))?;
        if !o.keep {
            listener = None;
        }
        say(process, o, &format!("Connection received on {} {}", peer.ip(), peer.port())).await;
        relay::stream(process, o, stream).await;
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
    let address = resolve(process, o, &name).await?;
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
        let done = if o.udp {
            connect_udp(process, o, to, &shown).await
        } else {
            connect_tcp(process, o, to, &shown).await
        };
        if done {
            code = 0;
        }
    }
    Ok(code)
}

fn source(o: &Options) -> Option<SocketAddr> {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let given = o.source.is_some() || o.source_port > 0;
    given.then(|| SocketAddr::new(o.source.unwrap_or(any), o.source_port))
}

fn succeeded(o: &Options, shown: &str, port: u16) -> String {
    let proto = if o.udp { "udp" } else { "tcp" };
    let service = services::name(port, o.udp).filter(|_| !o.numeric).unwrap_or("*");
    format!("Connection to {shown} {port} port [{proto}/{service}] succeeded!")
}

async fn connect_tcp(process: &Process, o: &Options, to: SocketAddr, shown: &str) -> bool {
    let deadline = o.timeout.map(|t| process.now() + t);
    let connected =
        within(process, deadline, TcpStream::connect_from(process, source(o), to)).await;
    let failed = match connected {
        Some(Ok(stream)) => {
            if o.verbose {
                say(process, o, &succeeded(o, shown, to.port())).await;
            }
            if let Some(ttl) = o.ttl {
                // A connection without the wished TTL is still one.
                let _ = stream.set_option(SocketOption::Ttl(ttl));
            }
            if !o.zero {
                relay::stream(process, o, stream).await;
            }
            return true;
        }
        Some(Err(e)) => format!("failed: {}", words(&e)),
        None => "timed out: Operation now in progress".to_owned(),
    };
    let text = format!("nc: connect to {shown} port {} (tcp) {failed}", to.port());
    say(process, o, &text).await;
    false
}

async fn connect_udp(process: &Process, o: &Options, to: SocketAddr, shown: &str) -> bool {
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let opened = UdpSocket::bind(process, source(o).unwrap_or(any))
        .and_then(|socket| socket.connect(to).map(|()| socket));
    let socket = match opened {
        Ok(socket) => socket,
        Err(e) => {
            let why = words(&e);
            let text = format!("nc: connect to {shown} port {} (udp) failed: {why}", to.port());
            say(process, o, &text).await;
            return false;
        }
    };
    if o.verbose || o.zero {
        // A port that nobody has shows by an ICMP error to one of these.
        for _ in 0..4 {
            if socket.send(b"X").await.is_err() {
                return false;
            }
            process.sleep(Duration::from_secs(1)).await;
        }
        say(process, o, &succeeded(o, shown, to.port())).await;
    }
    if !o.zero {
        relay::datagrams(process, o, &socket, to, Vec::new()).await;
    }
    true
}
