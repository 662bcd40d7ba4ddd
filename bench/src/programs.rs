//! Two plain programs: `source TO:PORT BYTES` connects and sends, `sink PORT` accepts and reads;
//! `serve PORT BYTES` sends bytes to whoever connects, `fetch TO:PORT` reads them.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;

use netarium_world::process::{LocalBoxFuture, Process, Program, Programs, TcpListener, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The programs of the benchmarks.
pub(crate) struct Plain;

impl Programs for Plain {
    fn names(&self) -> Vec<&'static str> {
        vec!["fetch", "serve", "sink", "source"]
    }

    fn start(&self, name: &str) -> Option<Program> {
        Some(match name {
            "source" => source,
            "sink" => sink,
            "serve" => serve,
            "fetch" => fetch,
            _ => return None,
        })
    }
}

fn source(p: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = p.args();
        let to: SocketAddr = args[1].parse().expect("an address");
        let Ok(mut stream) = TcpStream::connect(&p, to).await else { return 1 };
        send(&mut stream, args[2].parse().expect("a number")).await;
        0
    })
}

fn sink(p: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let port: u16 = p.args()[1].parse().expect("a port");
        let listener = TcpListener::bind(&p, ([0, 0, 0, 0], port).into(), 128).expect("bind");
        while let Ok((mut stream, _)) = listener.accept().await {
            receive(&mut stream).await;
        }
        0
    })
}

fn serve(p: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = p.args();
        let port: u16 = args[1].parse().expect("a port");
        let bytes: u64 = args[2].parse().expect("a number");
        let listener = TcpListener::bind(&p, ([0, 0, 0, 0], port).into(), 4096).expect("bind");
        while let Ok((mut stream, _)) = listener.accept().await {
            p.spawn(async move { send(&mut stream, bytes).await });
        }
        0
    })
}

fn fetch(p: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let to: SocketAddr = p.args()[1].parse().expect("an address");
        let Ok(mut stream) = TcpStream::connect(&p, to).await else { return 1 };
        i32::from(receive(&mut stream).await == 0)
    })
}

async fn send(stream: &mut TcpStream, mut left: u64) {
    let block = [0x5au8; 64 * 1024];
    while left > 0 {
        let part = &block[..left.min(block.len() as u64) as usize];
        match poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, part)).await {
            Ok(n) => left -= n as u64,
            Err(_) => return,
        }
    }
}

async fn receive(stream: &mut TcpStream) -> u64 {
    let mut block = vec![0u8; 64 * 1024];
    let mut total = 0;
    loop {
        let mut buf = ReadBuf::new(&mut block);
        let read = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buf)).await;
        match (read, buf.filled().len()) {
            (Ok(()), n) if n > 0 => total += n as u64,
            _ => return total,
        }
    }
}
