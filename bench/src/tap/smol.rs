//! smoltcp at our end of the TAP.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use netarium_tap::{Netns, TapError};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use super::bulk::{Cost, Way, measured};
use super::{KERNEL, OUR_MAC, PORT, drain, fill, kernel_serves, kernel_tap};

/// A TAP as smoltcp wants it, as its own `TunTapInterface` does it.
struct Port(File);

struct Received(Vec<u8>);

/// Writes to the TAP.
struct Writer<'a>(&'a File);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Writer<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        // What the kernel does not take is lost, as on a wire.
        let _ = self.0.write(&frame);
        result
    }
}

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Writer<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut c = DeviceCapabilities::default();
        c.max_transmission_unit = 1514;
        c.medium = Medium::Ethernet;
        c
    }

    fn receive(&mut self, _: Instant) -> Option<(Received, Writer<'_>)> {
        let mut frame = vec![0; 1514];
        let n = self.0.read(&mut frame).ok()?;
        frame.truncate(n);
        Some((Received(frame), Writer(&self.0)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Writer<'_>> {
        Some(Writer(&self.0))
    }
}

pub(super) fn transfer(way: Way, bytes: u64) -> Result<Cost, TapError> {
    let netns = Netns::new()?;
    let tap = kernel_tap(&netns, KERNEL, false)?;
    let fd = tap.as_fd().try_clone_to_owned().expect("a descriptor");
    let kernel = kernel_serves(&netns, 1, move |stream| match way {
        Way::Out => drain(stream),
        Way::In => fill(stream, bytes),
    });
    let mut port = Port(File::from(fd));
    let start = std::time::Instant::now();
    let now = || Instant::from_micros(start.elapsed().as_micros() as i64);
    let hardware = HardwareAddress::Ethernet(EthernetAddress(OUR_MAC.0));
    let mut iface = Interface::new(Config::new(hardware), &mut port, now());
    iface.update_ip_addrs(|a| {
        a.push(IpCidr::new(IpAddress::v4(10, 9, 0, 1), 24)).expect("room for an address");
    });
    let mut set = SocketSet::new(vec![]);
    // As large as our buffers grow.
    let buffer = || SocketBuffer::new(vec![0; 4 << 20]);
    let handle = set.add(Socket::new(buffer(), buffer()));
    let [a, b, c, d] = KERNEL.octets();
    let to = (IpAddress::v4(a, b, c, d), PORT);
    set.get_mut::<Socket<'_>>(handle).connect(iface.context(), to, 50_000).expect("connects");
    let cost = measured(|| {
        let (block, mut out, mut done) = (vec![0x5a; 1 << 18], vec![0; 1 << 18], 0u64);
        while !kernel.is_finished() || done < bytes {
            let moment = now();
            iface.poll(moment, &mut port, &mut set);
            let socket = set.get_mut::<Socket<'_>>(handle);
            let mut busy = false;
            while way == Way::Out && socket.can_send() && done < bytes {
                let part = (bytes - done).min(block.len() as u64) as usize;
                done += socket.send_slice(&block[..part]).expect("sends") as u64;
                busy = true;
            }
            while way == Way::In && socket.can_recv() {
                done += socket.recv_slice(&mut out).expect("receives") as u64;
                busy = true;
            }
            if done == bytes && socket.state() == State::Established {
                socket.close();
            }
            if !busy {
                wait(&port.0, iface.poll_delay(now(), &set));
            }
        }
    });
    assert_eq!(kernel.join().expect("the kernel's side"), [bytes]);
    Ok(cost)
}

/// Sleeps until the TAP can be read, or smoltcp wants to do something: 10 ms at most.
fn wait(tap: &File, delay: Option<smoltcp::time::Duration>) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let micros = delay.map_or(10_000, |d| d.total_micros().min(10_000));
    let timeout = Timespec { tv_sec: 0, tv_nsec: micros as i64 * 1_000 };
    let mut fds = [PollFd::new(tap, PollFlags::IN)];
    // Interrupted or not: the loop looks again.
    let _ = poll(&mut fds, Some(&timeout));
}
