//! `source` and `sink`: Netarium's own measuring tools.
//!
//! `source` listens, sends a known pattern of N bytes to whoever connects, and closes; with `--http`
//! it answers one GET per connection with them. `sink` reads whatever comes until the peer closes.
//! Both print nothing while they work. The byte at offset `n` of the pattern is `(n * 31 + n / 256)
//! mod 256`, so that a copy can be compared without keeping the original.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use netarium_world::process::{LocalBoxFuture, Process, TcpListener, TcpStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::getopt::{Item, Spec, Takes};
use crate::wait::within;
use netarium_base::Duration;

const SPEC: Spec = Spec {
    short: "l:b:h",
    long: &[
        ("listen", Takes::Value, 'l'),
        ("bytes", Takes::Value, 'b'),
        ("http", Takes::Nothing, 'H'),
        ("help", Takes::Nothing, 'h'),
    ],
};

const USAGE: &str = "\
usage: source --listen [ADDR:]PORT --bytes N [--http]   sends N bytes to each connection
       sink --listen [ADDR:]PORT                        reads and forgets
";

/// Bytes written or read at a time. The pattern repeats after as many.
const PIECE: usize = 64 * 1024;
/// The longest request head that `--http` reads.
const HEAD_MAX: usize = 16 * 1024;
/// How long a connection may take to ask.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections that may wait for `accept`.
const BACKLOG: u32 = 511;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Config {
    listen: SocketAddr,
    bytes: u64,
    http: bool,
}

fn parse(args: &[String]) -> Result<Config, String> {
    let (mut listen, mut bytes, mut http) = (None, 0, false);
    for item in SPEC.parse(args).map_err(|e| e.gnu())? {
        match item {
            Item::Option('l', text) => {
                let any = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
                let address = text.parse().ok().or_else(|| text.parse().ok().map(any));
                listen = Some(address.ok_or_else(|| format!("not an address or port: {text}"))?);
            }
            Item::Option('b', text) => {
                bytes = text.parse().map_err(|_| format!("not a number of bytes: {text}"))?;
            }
            Item::Option('H', _) => http = true,
            Item::Option(..) => return Err("how it is used:".to_owned()),
            Item::Operand(word) => return Err(format!("did not expect '{word}'")),
        }
    }
    let listen = listen.ok_or("--listen is needed")?;
    Ok(Config { listen, bytes, http })
}

/// `source`.
pub(crate) fn source(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(serve(process, |process, stream, config| Box::pin(send(process, stream, config))))
}

/// `sink`.
pub(crate) fn sink(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(serve(process, |_, stream, _| Box::pin(receive(stream))))
}

type Handler = fn(Process, TcpStream, Config) -> LocalBoxFuture<()>;

async fn serve(process: Process, handler: Handler) -> i32 {
    let args = process.args();
    let name = args.first().cloned().unwrap_or_default();
    let config = match parse(args.get(1..).unwrap_or_default()) {
        Ok(config) => config,
        Err(why) => {
            process.eprint(&format!("{name}: {why}\n{USAGE}")).await;
            return 2;
        }
    };
    let listener = match TcpListener::bind(&process, config.listen, BACKLOG) {
        Ok(listener) => listener,
        Err(e) => {
            process.eprint(&format!("{name}: {}: {e}\n", config.listen)).await;
            return 1;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => process.spawn(handler(process, stream, config)),
            Err(_) => process.sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One period of the pattern.
fn pattern() -> Vec<u8> {
    (0..PIECE).map(|n| (n * 31 + n / 256) as u8).collect()
}

async fn send(process: Process, mut stream: TcpStream, config: Config) {
    if config.http {
        let asked = within(&process, Some(process.now() + PATIENCE), read_head(&mut stream)).await;
        if asked != Some(true) {
            return;
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            config.bytes
        );
        if stream.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
    let pattern = pattern();
    let mut left = config.bytes;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        if stream.write_all(&pattern[..n]).await.is_err() {
            return;
        }
        left -= n as u64;
    }
    // The peer may be gone already: then nobody waits for the end either.
    if stream.shutdown().await.is_ok() {
        within(&process, Some(process.now() + PATIENCE), receive(stream)).await;
    }
}

/// Reads up to the empty line; false when there is none.
async fn read_head(stream: &mut TcpStream) -> bool {
    let (mut seen, mut buffer) = (Vec::new(), [0u8; 2048]);
    while seen.len() < HEAD_MAX {
        match stream.read(&mut buffer).await {
            Ok(n @ 1..) => seen.extend_from_slice(&buffer[..n]),
            _ => return false,
        }
        if seen.windows(4).any(|w| w == b"\r\n\r\n") {
            return true;
        }
    }
    false
}

async fn receive(mut stream: TcpStream) {
    let mut buffer = vec![0u8; PIECE];
    while let Ok(1..) = stream.read(&mut buffer).await {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_and_the_pattern() {
        let of =
            |line: &str| parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let c = of("--listen 9000 --bytes 5 --http").unwrap();
        assert_eq!((c.listen.to_string().as_str(), c.bytes, c.http), ("0.0.0.0:9000", 5, true));
        for bad in ["", "--listen x", "--listen 1 --bytes -1", "--listen 1 x"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        let p = pattern();
        assert!((0..PIECE).all(|n| p[n] == ((n as u64 * 31 + n as u64 / 256) % 256) as u8));
    }
}
