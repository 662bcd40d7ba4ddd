//! SOCKS version 5 (RFC 1928) with user names (RFC 1929). CONNECT only: BIND and UDP ASSOCIATE are
//! answered as not supported.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use netarium_world::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::{Door, Failure, Kind, PATIENCE, target};
use crate::clients::Client;
use crate::publish::pump;

/// The first byte of every message.
pub(super) const VERSION: u8 = 5;
/// The version of the negotiation of user name and password.
const AUTH_VERSION: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const USER_NAME: u8 = 2;
const NO_METHOD: u8 = 0xff;

const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Replies (RFC 1928 §6).
mod reply {
    pub(super) const SUCCEEDED: u8 = 0;
    pub(super) const GENERAL: u8 = 1;
    pub(super) const NOT_ALLOWED: u8 = 2;
    pub(super) const NETWORK_UNREACHABLE: u8 = 3;
    pub(super) const HOST_UNREACHABLE: u8 = 4;
    pub(super) const REFUSED: u8 = 5;
    pub(super) const TTL_EXPIRED: u8 = 6;
    pub(super) const COMMAND: u8 = 7;
    pub(super) const ADDRESS_TYPE: u8 = 8;
}

/// How a request ends before a connection was tried.
enum Stop {
    /// The client is gone, or speaks something else.
    Silent,
    /// With this reply.
    Reply(u8),
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Stop {
        Stop::Silent
    }
}

/// Serves one connection.
pub(super) async fn serve(
    door: &Door,
    mut stream: TcpStream,
    client: &Client,
    slot: OwnedSemaphorePermit,
) {
    let asked = tokio::time::timeout(PATIENCE, ask(door, &mut stream)).await;
    let (host, to) = match asked {
        Ok(Ok(asked)) => asked,
        Ok(Err(Stop::Reply(code))) => return finish(stream, code).await,
        Ok(Err(Stop::Silent)) | Err(_) => return,
    };
    let opened = tokio::select! {
        biased;
        opened = door.open(client, &host, &to) => opened,
        // A client that hangs up does not wait for the answer.
        () = hung_up(&stream) => return,
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(failure) => return finish(stream, code(&failure)).await,
    };
    if stream.write_all(&message(reply::SUCCEEDED)).await.is_err() {
        return;
    }
    let started = Instant::now();
    let moved = pump::relay_accepted(stream, opened.port, opened.credit).await;
    drop(slot);
    door.inside.reporter.tell(moved.notice(client.caller.clone(), to.to_string(), started));
}

/// Waits until the client is gone. One that has sent early what is meant for its target is still
/// there.
async fn hung_up(stream: &TcpStream) {
    let mut byte = [0];
    match stream.peek(&mut byte).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

fn code(failure: &Failure) -> u8 {
    match failure.kind {
        Kind::Refused => reply::REFUSED,
        Kind::HostUnreachable => reply::HOST_UNREACHABLE,
        Kind::NetworkUnreachable => reply::NETWORK_UNREACHABLE,
        Kind::TimedOut => reply::TTL_EXPIRED,
        Kind::NotAllowed => reply::NOT_ALLOWED,
        Kind::General => reply::GENERAL,
    }
}

/// A reply. The address that a connection has in the lab is of no use out here: it is left zero.
fn message(code: u8) -> [u8; 10] {
    [VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0]
}

async fn finish(mut stream: TcpStream, code: u8) {
    // Whoever is gone needs no answer.
    let _ = stream.write_all(&message(code)).await;
    let _ = stream.shutdown().await;
}

/// The negotiation and the request: from which host to where.
async fn ask(door: &Door, stream: &mut TcpStream) -> Result<(String, Target), Stop> {
    let user = greet(stream).await?;
    let host = match door.host(user.as_deref()) {
        Ok(host) => host.to_owned(),
        Err(_) => {
            // RFC 1929 §2: anything but 0 is a failure, and the connection is closed.
            stream.write_all(&[AUTH_VERSION, 1]).await?;
            stream.shutdown().await?;
            return Err(Stop::Silent);
        }
    };
    if user.is_some() {
        stream.write_all(&[AUTH_VERSION, 0]).await?;
    }
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, _, kind] = head;
    if version != VERSION {
        return Err(Stop::Silent);
    }
    let name = match kind {
        IPV4 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).await?;
            Ok(Ipv4Addr::from(address).into())
        }
        IPV6 => {
            let mut address = [0; 16];
            stream.read_exact(&mut address).await?;
            Ok(Ipv6Addr::from(address).into())
        }
        NAME => Err(counted(stream).await?),
        _ => return Err(Stop::Reply(reply::ADDRESS_TYPE)),
    };
    let port = stream.read_u16().await?;
    if command != CONNECT {
        return Err(Stop::Reply(reply::COMMAND));
    }
    let to = match name {
        Ok(ip) => Target::Addr(SocketAddr::new(ip, port)),
        // A name that is no text is nobody's.
        Err(name) => match String::from_utf8(name) {
            Ok(name) if !name.is_empty() => target(&name, port),
            _ => return Err(Stop::Reply(reply::HOST_UNREACHABLE)),
        },
    };
    Ok((host, to))
}

/// Agrees on a method: a user name when the client has one. Its password is of no importance.
async fn greet(stream: &mut TcpStream) -> Result<Option<String>, Stop> {
    let version = stream.read_u8().await?;
    let methods = counted(stream).await?;
    if version != VERSION {
        return Err(Stop::Silent);
    }
    if methods.contains(&USER_NAME) {
        stream.write_all(&[VERSION, USER_NAME]).await?;
        let version = stream.read_u8().await?;
        let (user, _password) = (counted(stream).await?, counted(stream).await?);
        if version != AUTH_VERSION {
            return Err(Stop::Silent);
        }
        return Ok(Some(String::from_utf8_lossy(&user).into_owned()));
    }
    if methods.contains(&NO_AUTHENTICATION) {
        stream.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
        return Ok(None);
    }
    stream.write_all(&[VERSION, NO_METHOD]).await?;
    stream.shutdown().await?;
    Err(Stop::Silent)
}

/// A byte string behind its length, at most 255 bytes.
async fn counted(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
