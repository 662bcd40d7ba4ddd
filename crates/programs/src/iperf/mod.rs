//! `iperf`: throughput of TCP and UDP, in the layout of iperf 2.1. Times are virtual.

mod meter;
mod options;
mod report;
mod tcp;
mod udp;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use netarium_stack::{OptionName, SocketKind, SocketOption};
use netarium_world::process::{LocalBoxFuture, Process, errno};

use options::{Options, parse};

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        let options = match parse(args.get(1..).unwrap_or_default()) {
            Ok(options) => options,
            Err((code, text)) => {
                process.eprint(&text).await;
                return code;
            }
        };
        process.eprint(&options.warnings).await;
        match run(&process, options).await {
            Ok(code) => code,
            Err(host) => {
                process.eprint(&format!("{host}: Unknown host\n")).await;
                1
            }
        }
    })
}

/// Client or server; the error is a host that nobody knows.
async fn run(process: &Process, o: Options) -> Result<i32, String> {
    let from = match &o.bind {
        Some(name) => Some(SocketAddr::new(address(process, name).await?, o.bind_port)),
        None => None,
    };
    Ok(match &o.client {
        Some(host) => {
            let to = SocketAddr::new(address(process, host).await?, o.port);
            match o.udp {
                true => udp::client(*process, o, from, to).await,
                false => tcp::client(*process, o, from, to).await,
            }
        }
        None => {
            let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let at = SocketAddr::new(from.map_or(any, |f| f.ip()), o.port);
            match o.udp {
                true => udp::server(*process, o, at).await,
                false => tcp::server(*process, o, at).await,
            }
        }
    })
}

async fn address(process: &Process, host: &str) -> Result<IpAddr, String> {
    let found = process.resolve(host).await.unwrap_or_default();
    found.first().copied().ok_or_else(|| host.to_owned())
}

/// What is said when a server cannot have its port: it ends well, in the original, too.
async fn not_bound(process: &Process, e: &std::io::Error) -> i32 {
    process.eprint(&format!("listener bind failed: {}\n", words(e))).await;
    0
}

/// An error in the system's words.
fn words(e: &std::io::Error) -> String {
    errno(e).map_or_else(|| e.to_string(), |e| e.text().to_owned())
}

/// The line about the socket's buffer: what was asked for, or the system's default. A client's is
/// the one for sending.
fn window(process: &Process, o: &Options) -> String {
    let words = if o.udp { "UDP buffer size" } else { "TCP window size" };
    if let Some(w) = o.window {
        return format!("{words}: {}\n", report::buffer(w));
    }
    if o.udp {
        return format!("{words}: {} (default)\n", report::buffer(UDP_BUFFER));
    }
    let send = o.client.is_some();
    let default = process.with_stack(|stack, cx| {
        let name = if send { OptionName::SendBuffer } else { OptionName::RecvBuffer };
        let id = stack.socket(SocketKind::Tcp, process.pid()).ok()?;
        let size = stack.get_option(id, name).ok();
        // It was made a moment ago.
        let _ = stack.close(cx, id);
        match size? {
            SocketOption::SendBuffer(n) | SocketOption::RecvBuffer(n) => Some(n),
            _ => None,
        }
    });
    format!("{words}: {} (default)\n", report::buffer(default.unwrap_or(16_384)))
}

/// What a UDP socket holds, bytes: Linux' `rmem_default`, and the lab's.
const UDP_BUFFER: u32 = 212_992;

const RULE: &str = "------------------------------------------------------------\n";

/// Waits for all, polling them in order.
async fn all<F: Future + Unpin>(mut tasks: Vec<F>) -> Vec<F::Output> {
    let mut results: Vec<Option<F::Output>> = tasks.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (task, result) in tasks.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(value) = std::pin::Pin::new(task).poll(cx)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}
