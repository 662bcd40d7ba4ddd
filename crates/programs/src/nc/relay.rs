//! Standard input to the network, the network to standard output.

use core::net::SocketAddr;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use netarium_base::Instant;
use netarium_world::process::{Process, TcpStream, UdpSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::options::Options;

const PIECE: usize = 16 * 1024;

/// When the conversation ends although both sides are open.
struct Clock<'a> {
    process: &'a Process,
    options: &'a Options,
    /// When something last passed.
    last: Cell<Instant>,
    /// Input is at its end since then.
    ended: Cell<Option<Instant>>,
}

impl Clock<'_> {
    fn touch(&self) {
        self.last.set(self.process.now());
    }

    /// Ends with `-w` seconds without a byte, or `-q` seconds behind the end of input.
    async fn run(&self) {
        loop {
            let idle = self.options.timeout.map(|t| self.last.get() + t);
            let quit = self.ended.get().and_then(|at| Some(at + self.options.quit?));
            let due = [idle, quit].into_iter().flatten().min();
            match due {
                Some(due) if due <= self.process.now() => return,
                Some(due) => self.process.sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// Runs both directions until both have ended, the network's has (`stop`), or the clock says so.
async fn both(
    clock: &Clock<'_>,
    up: impl Future<Output = bool>,
    down: impl Future<Output = ()>,
    listens: bool,
) {
    let (mut up, mut down, mut time) = (pin!(up), pin!(down), pin!(clock.run()));
    let (mut up_done, mut down_done) = (false, false);
    poll_fn(|cx| {
        if !down_done && down.as_mut().poll(cx).is_ready() {
            down_done = true;
        }
        if !up_done && let Poll::Ready(network_gone) = up.as_mut().poll(cx) {
            up_done = true;
            clock.ended.set(Some(clock.process.now()));
            // The clock may wait for something later than `-q`.
            cx.waker().wake_by_ref();
            if network_gone {
                return Poll::Ready(());
            }
            if clock.options.quit.is_some() {
                time.set(clock.run());
            }
        }
        if down_done && (up_done || listens) {
            return Poll::Ready(());
        }
        time.as_mut().poll(cx)
    })
    .await;
}

/// A connection.
pub(super) async fn stream(process: &Process, o: &Options, stream: TcpStream) {
    let clock = Clock { process, options: o, last: process.now().into(), ended: Cell::new(None) };
    let (mut from, mut to) = tokio::io::split(stream);
    let up = async {
        let (mut input, mut bytes) = (process.stdin(), vec![0; PIECE]);
        loop {
            // With -d the input is not read at all.
            let n = if o.deaf { 0 } else { input.read(&mut bytes).await.unwrap_or(0) };
            if n == 0 {
                break;
            }
            clock.touch();
            if to.write_all(&line_ends(&bytes[..n], o.crlf)).await.is_err() {
                return true;
            }
            if let Some(interval) = o.interval {
                process.sleep(interval).await;
            }
        }
        o.shutdown && to.shutdown().await.is_err()
    };
    let down = async {
        let (mut output, mut bytes) = (process.stdout(), vec![0; PIECE]);
        let mut left = o.receive_limit;
        while let Ok(n @ 1..) = from.read(&mut bytes).await {
            clock.touch();
            if output.write_all(&bytes[..n]).await.is_err() {
                return;
            }
            left = left.map(|left| left.saturating_sub(1));
            if left == Some(0) {
                return;
            }
        }
    };
    both(&clock, up, down, o.listen).await;
}

/// Datagrams to and from one peer; `first` came already.
pub(super) async fn datagrams(
    process: &Process,
    o: &Options,
    socket: &UdpSocket,
    peer: SocketAddr,
    first: Vec<u8>,
) {
    let clock = Clock { process, options: o, last: process.now().into(), ended: Cell::new(None) };
    let up = async {
        let (mut input, mut bytes) = (process.stdin(), vec![0; PIECE]);
        loop {
            // With -d the input is not read at all.
            let n = if o.deaf { 0 } else { input.read(&mut bytes).await.unwrap_or(0) };
            if n == 0 {
                break;
            }
            clock.touch();
            let data = line_ends(&bytes[..n], o.crlf);
            let sent =
                if o.keep { socket.send_to(&data, peer).await } else { socket.send(&data).await };
            if sent.is_err() {
                return true;
            }
        }
        false
    };
    let down = async {
        let (mut output, mut bytes) = (process.stdout(), vec![0; super::DATAGRAM_MAX]);
        if output.write_all(&first).await.is_err() {
            return;
        }
        // An ICMP error is an end, as in the original.
        while let Ok((n, _)) = socket.recv_from(&mut bytes).await {
            clock.touch();
            if output.write_all(&bytes[..n]).await.is_err() {
                return;
            }
        }
    };
    both(&clock, up, down, false).await;
}

/// `-C`: lines end in CR LF.
fn line_ends(bytes: &[u8], crlf: bool) -> Vec<u8> {
    if !crlf {
        return bytes.to_vec();
    }
    let mut out = Vec::with_capacity(bytes.len() + 16);
    for &b in bytes {
        if b == b'\n' {
            out.push(b'\r');
        }
        out.push(b);
    }
    out
}
