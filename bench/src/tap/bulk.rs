//! As many bytes as fit, out to the kernel and in from it.

use std::time::Instant;

use cpu_time::ProcessTime;
use netarium_base::{Duration, LinkEnd, Pid};
use netarium_stack::{Errno, SocketKind};
use netarium_tap::{Driver, End, Netns, TapError};

use super::{drain, fill, kernel_serves, kernel_tap, our_stack, smol, to_kernel};
use crate::median;

const RUNS: usize = 3;

/// Which way the bytes go, as we see it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Out,
    In,
}

/// Seconds on the wall and of all processors, ours and the kernel's.
pub(super) struct Cost {
    wall: f64,
    cpu: f64,
}

pub(super) fn run(megabytes: u64) -> Result<(), TapError> {
    let bytes = megabytes * 1_000_000;
    println!(
        "one connection over a TAP to the kernel, MTU 1500, {megabytes} MB, median of {RUNS}:"
    );
    println!("                                     Gbit/s   processor s per GB, both ends");
    for (way, name) in [(Way::Out, "out"), (Way::In, "in")] {
        let mut all: [Vec<Cost>; 3] = Default::default();
        // In turn, so that the machine's moods meet all.
        for _ in 0..RUNS {
            all[0].push(ours(way, bytes, false)?);
            all[1].push(ours(way, bytes, true)?);
            all[2].push(smol::transfer(way, bytes)?);
        }
        let figures = all.map(|costs| {
            let wall = median(costs.iter().map(|c| c.wall).collect());
            let cpu = median(costs.iter().map(|c| c.cpu).collect());
            (bytes as f64 * 8.0 / 1e9 / wall, cpu * 1e9 / bytes as f64)
        });
        let names = ["netarium, frame by frame", "netarium, in bunches", "smoltcp"];
        for (who, (rate, cpu)) in names.into_iter().zip(figures) {
            let (rates, cpus) = (rate / figures[2].0, cpu / figures[2].1);
            println!(
                "  {name:4}{who:27} {rate:9.2} {cpu:9.2}   beside smoltcp {rates:.2} and {cpus:.2}"
            );
        }
    }
    Ok(())
}

/// Measures what `body` takes.
pub(super) fn measured(body: impl FnOnce()) -> Cost {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    body();
    Cost { wall: wall.elapsed().as_secs_f64(), cpu: cpu.elapsed().as_secs_f64() }
}

fn ours(way: Way, bytes: u64, offload: bool) -> Result<Cost, TapError> {
    let netns = Netns::new()?;
    let tap = kernel_tap(&netns, super::KERNEL, offload)?;
    let (stack, eth0) = our_stack();
    let mut driver = Driver::new(End::Stack(Box::new(stack), eth0), End::Tap(Box::new(tap)), None);
    let kernel = kernel_serves(&netns, 1, move |stream| match way {
        Way::Out => drain(stream),
        Way::In => fill(stream, bytes),
    });
    let cost = measured(|| {
        let id = driver.call(LinkEnd::A, |s, cx| {
            let id = s.socket(SocketKind::Tcp, Pid(1)).expect("a socket");
            assert_eq!(s.connect(cx, id, to_kernel()), Err(Errno::EINPROGRESS));
            id
        });
        let (block, mut buffer, mut done) = (vec![0x5a; 1 << 18], vec![0; 1 << 18], 0u64);
        let mut closed = false;
        while !kernel.is_finished() || done < bytes {
            driver.turn(Duration::from_millis(10)).expect("the TAP works");
            while driver.next_ready().is_some() {}
            loop {
                let left = (bytes - done).min(block.len() as u64) as usize;
                let moved = driver.call(LinkEnd::A, |s, cx| match way {
                    Way::Out if left == 0 => Err(Errno::EAGAIN),
                    Way::Out => s.send(cx, id, &block[..left]),
                    Way::In => s.recv(cx, id, &mut buffer),
                });
                match moved {
                    Ok(n) if n > 0 => done += n as u64,
                    _ => break,
                }
            }
            if done == bytes && !closed {
                closed = true;
                driver.call(LinkEnd::A, |s, cx| s.close(cx, id)).expect("closed");
            }
        }
    });
    let there = kernel.join().expect("the kernel's side");
    assert_eq!(there, [bytes]);
    Ok(cost)
}
