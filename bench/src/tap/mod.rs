//! The kernel's TCP beside ours over a TAP: bulk throughput with smoltcp in the same run, and what a
//! lossy wire lets through with Linux at both ends.

mod bulk;
mod lossy;
mod smol;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use netarium_base::{IfIndex, NodeId, Seed};
use netarium_stack::{Stack, StackConfig};
use netarium_tap::{Netns, Tap, TapSpec};
use netarium_wire::Mac;

const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const PORT: u16 = 5001;
const OUR_MAC: Mac = Mac([2, 0, 0, 0, 9, 1]);

/// Bulk transfers, then the lossy wire.
pub(crate) fn run(megabytes: u64) -> Result<(), netarium_tap::TapError> {
    bulk::run(megabytes)?;
    lossy::run()
}

fn to_kernel() -> SocketAddr {
    (KERNEL, PORT).into()
}

fn kernel_tap(
    netns: &Netns,
    address: Ipv4Addr,
    offload: bool,
) -> Result<Tap, netarium_tap::TapError> {
    netns.tap(&TapSpec {
        address: format!("{address}/24").parse().ok(),
        offload,
        ..TapSpec::default()
    })
}

fn our_stack() -> (Stack, IfIndex) {
    let mut stack = Stack::new(StackConfig {
        node: NodeId(1),
        name: "ours".to_owned(),
        seed: Seed(1),
        forwarding: false,
    });
    let eth0 = stack.add_interface("eth0", OUR_MAC, 1500);
    stack.add_address(eth0, format!("{OURS}/24").parse().expect("an address"));
    (stack, eth0)
}

/// The kernel listens and gives each of `count` connections to `serve`, in a thread of its own.
fn kernel_serves<R: Send + 'static>(
    netns: &Netns,
    count: usize,
    serve: impl Fn(TcpStream) -> R + Clone + Send + 'static,
) -> JoinHandle<Vec<R>> {
    netns.run(move || {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("bound");
        std::thread::spawn(move || {
            let threads: Vec<_> = (0..count)
                .map(|_| {
                    let (stream, _) = listener.accept().expect("accepted");
                    let serve = serve.clone();
                    std::thread::spawn(move || serve(stream))
                })
                .collect();
            threads.into_iter().map(|t| t.join().expect("served")).collect()
        })
    })
}

/// Reads to the end or an error; how many bytes.
fn drain(mut stream: TcpStream) -> u64 {
    let (mut buffer, mut total) = (vec![0; 1 << 18], 0);
    while let Ok(n) = stream.read(&mut buffer) {
        if n == 0 {
            break;
        }
        total += n as u64;
    }
    total
}

/// Writes so many bytes.
fn fill(mut stream: TcpStream, bytes: u64) -> u64 {
    let block = vec![0x5a; 1 << 18];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(block.len() as u64) as usize;
        if stream.write_all(&block[..part]).is_err() {
            break;
        }
        left -= part as u64;
    }
    bytes - left
}
