//! What 1 % loss and 50 ms of delay let through: Linux at both ends of our wire, and ours at one.
//!
//! Both use CUBIC, whatever the machine's default is: with BBR, which does not take a loss for a sign
//! of congestion, Linux sends several times as much, and so would anything with it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Instant;

use netarium_base::chance::probability;
use netarium_base::{Duration, LinkEnd, Pid, Seed, SocketId};
use netarium_stack::{Errno, SocketKind};
use netarium_tap::{Driver, End, Netns, TapError};
use netarium_world::{DirectionSpec, Wire};
use socket2::SockRef;

use super::{OURS, PORT, fill, kernel_serves, kernel_tap, our_stack, to_kernel};

/// Flows at a time: each has its own luck, so that their sum is a matter of the ends.
const FLOWS: usize = 48;
const SECONDS: u64 = 20;

fn wire() -> Wire {
    let delay = Duration::from_millis(25);
    let spec = DirectionSpec { delay, loss: probability(0.01), ..DirectionSpec::default() };
    Wire::plain(Seed(11), "lossy", spec)
}

pub(super) fn run() -> Result<(), TapError> {
    println!("{FLOWS} flows for {SECONDS} s, 25 ms of delay and 1 % loss each way, CUBIC:");
    let linux = linux_to_linux()? as f64;
    let shown = |who: &str, bytes: f64| {
        let (rate, ratio) = (bytes / 1e3 / SECONDS as f64, bytes / linux);
        println!("  {who:22} {rate:9.0} kB/s   ratio {ratio:.2}");
    };
    shown("Linux to Linux", linux);
    shown("netarium to Linux", ours_to_linux()? as f64);
    shown("Linux to netarium", linux_to_ours()? as f64);
    Ok(())
}

/// Lets `driver` run for the time, calling `each` after each turn.
fn keep_on(driver: &mut Driver, mut each: impl FnMut(&mut Driver)) {
    let start = Instant::now();
    while start.elapsed().as_secs() < SECONDS {
        driver.turn(Duration::from_millis(5)).expect("the TAPs work");
        while driver.next_ready().is_some() {}
        each(driver);
    }
}

/// The kernel connects so often to `to`, and writes as much as it can.
fn kernel_sends(netns: &Netns, to: SocketAddr) {
    netns.run(move || {
        for _ in 0..FLOWS {
            std::thread::spawn(move || {
                // It ends when the namespace does.
                TcpStream::connect(to).map(|stream| {
                    SockRef::from(&stream).set_tcp_congestion(b"cubic").expect("CUBIC is there");
                    fill(stream, u64::MAX)
                })
            });
        }
    });
}

fn linux_to_linux() -> Result<u64, TapError> {
    let (here, there) = (Netns::new()?, Netns::new()?);
    let taps = (kernel_tap(&here, OURS, false)?, kernel_tap(&there, super::KERNEL, false)?);
    let [a, b] = [taps.0, taps.1].map(|tap| End::Tap(Box::new(tap)));
    let mut driver = Driver::new(a, b, Some(wire()));
    let got = counted(&there);
    kernel_sends(&here, to_kernel());
    keep_on(&mut driver, |_| ());
    Ok(got.load(std::sync::atomic::Ordering::Relaxed))
}

/// The kernel accepts and reads; how many bytes so far.
fn counted(netns: &Netns) -> std::sync::Arc<std::sync::atomic::AtomicU64> {
    use std::io::Read;
    use std::sync::atomic::{AtomicU64, Ordering};
    let total = std::sync::Arc::new(AtomicU64::new(0));
    let counter = total.clone();
    kernel_serves(netns, FLOWS, move |mut stream: TcpStream| {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            counter.fetch_add(n as u64, Ordering::Relaxed);
        }
    });
    total
}

fn with_stack() -> Result<(Netns, Driver), TapError> {
    let netns = Netns::new()?;
    let tap = kernel_tap(&netns, super::KERNEL, false)?;
    let (stack, eth0) = our_stack();
    let (a, b) = (End::Stack(Box::new(stack), eth0), End::Tap(Box::new(tap)));
    Ok((netns, Driver::new(a, b, Some(wire()))))
}

fn ours_to_linux() -> Result<u64, TapError> {
    let (netns, mut driver) = with_stack()?;
    let got = counted(&netns);
    let ids: Vec<SocketId> = driver.call(LinkEnd::A, |s, cx| {
        let connect = |_| {
            let id = s.socket(SocketKind::Tcp, Pid(1)).expect("a socket");
            assert_eq!(s.connect(cx, id, to_kernel()), Err(Errno::EINPROGRESS));
            id
        };
        (0..FLOWS).map(connect).collect()
    });
    let block = vec![0x5a; 1 << 16];
    keep_on(&mut driver, |driver| {
        for id in &ids {
            driver.call(LinkEnd::A, |s, cx| while s.send(cx, *id, &block).is_ok() {});
        }
    });
    Ok(got.load(std::sync::atomic::Ordering::Relaxed))
}

fn linux_to_ours() -> Result<u64, TapError> {
    let (netns, mut driver) = with_stack()?;
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let listener = driver.call(LinkEnd::A, |s, cx| {
        let id = s.socket(SocketKind::Tcp, Pid(1)).expect("a socket");
        s.bind(id, any).expect("bound");
        s.listen(cx, id, 128).expect("listens");
        id
    });
    kernel_sends(&netns, (OURS, PORT).into());
    let (mut ids, mut buffer, mut got) = (Vec::new(), vec![0; 1 << 16], 0u64);
    keep_on(&mut driver, |driver| {
        driver.call(LinkEnd::A, |s, cx| {
            while let Ok((id, _)) = s.accept(cx, listener) {
                ids.push(id);
            }
            for id in &ids {
                while let Ok(n @ 1..) = s.recv(cx, *id, &mut buffer) {
                    got += n as u64;
                }
            }
        });
    });
    Ok(got)
}
