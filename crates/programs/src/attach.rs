//! `attach`: connections to a port of this host continue to a server on the real machine.
//!
//! The lab file's `[attach]` starts it. It is a relay of two connections: TCP ends here, so the real
//! server sees the lab's loss as delay. What one side ends or breaks off, the other side is told.
//! Whether there is such a server, and whether the lab may speak to it, is not decided here.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, OutsideStream, Process, TcpListener, TcpStream};

use crate::wait::within;

const USAGE: &str = "usage: attach [ADDR:]PORT REAL_ADDR:PORT\n";
/// Connections that may wait for `accept`.
const BACKLOG: u32 = 511;
/// How long the real machine may take to say whether there is a server.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that one direction of a connection holds.
const BUFFER: usize = 16 * 1024;

fn parse(args: &[String]) -> Option<(SocketAddr, SocketAddr)> {
    let [_, listen, to] = args else { return None };
    let any = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let listen = listen.parse().ok().or_else(|| listen.parse().ok().map(any))?;
    Some((listen, to.parse().ok()?))
}

/// `attach`.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(serve(process))
}

async fn serve(process: Process) -> i32 {
    let Some((listen, to)) = parse(&process.args()) else {
        process.eprint(USAGE).await;
        return 2;
    };
    let listener = match TcpListener::bind(&process, listen, BACKLOG) {
        Ok(listener) => listener,
        Err(e) => {
            process.eprint(&format!("attach: {listen}: {e}\n")).await;
            return 1;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => process.spawn(relay(process, stream, peer, to)),
            Err(_) => process.sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn relay(process: Process, mut stream: TcpStream, peer: SocketAddr, to: SocketAddr) {
    let mut server = match connect(&process, peer, to).await {
        Ok(server) => server,
        Err(why) => {
            process.eprint(&format!("attach: {peer}: {to}: {why}\n")).await;
            return stream.abort();
        }
    };
    // A relay must not hold back what both sides sent on their own terms.
    let _ = stream.set_nodelay(true);
    let copied =
        tokio::io::copy_bidirectional_with_sizes(&mut stream, &mut server, BUFFER, BUFFER).await;
    if copied.is_err() {
        // Whichever side broke: dropping the server's connection resets that one.
        stream.abort();
    }
}

async fn connect(
    process: &Process,
    peer: SocketAddr,
    to: SocketAddr,
) -> Result<OutsideStream, String> {
    let mut server = process.outside(&peer.to_string(), to).map_err(|e| e.to_string())?;
    let answer = within(process, Some(process.now() + PATIENCE), server.connected()).await;
    answer.unwrap_or_else(|| Err("the real machine does not answer".to_owned()))?;
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line() {
        let of =
            |line: &str| parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let (listen, to) = of("attach 80 127.0.0.1:8000").unwrap();
        assert_eq!(
            (listen.to_string(), to.to_string()),
            ("0.0.0.0:80".into(), "127.0.0.1:8000".into())
        );
        assert!(of("attach 10.0.0.1:80 [::1]:8000").is_some());
        for bad in
            ["attach", "attach 80", "attach x 127.0.0.1:1", "attach 80 web:1", "attach 1 2 3"]
        {
            assert!(of(bad).is_none(), "{bad}");
        }
    }
}
