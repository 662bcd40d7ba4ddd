//! The peer: smoltcp's two end points joined by two queues in memory. No router, no wire, no
//! events, no congestion control: an upper bound, not a competitor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use cpu_time::ProcessTime;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

struct Port {
    rx: Queue,
    tx: Queue,
}

struct Received(Vec<u8>);

struct Sending(Queue);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Sending {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.borrow_mut().push_back(frame);
        result
    }
}

impl Device for Port {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut c = DeviceCapabilities::default();
        c.max_transmission_unit = 1500;
        c.medium = Medium::Ip;
        c
    }

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending)> {
        let frame = self.rx.borrow_mut().pop_front()?;
        Some((Received(frame), Sending(Rc::clone(&self.tx))))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending> {
        (self.tx.borrow().len() < 4096).then(|| Sending(Rc::clone(&self.tx)))
    }
}

/// MB of payload per processor second.
pub(crate) fn smoltcp(bytes: u64) -> f64 {
    let queues: [Queue; 2] = Default::default();
    let mut ports = [(0, 1), (1, 0)]
        .map(|(rx, tx)| Port { rx: Rc::clone(&queues[rx]), tx: Rc::clone(&queues[tx]) });
    let mut ifaces: Vec<Interface> = ports.iter_mut().zip(1u8..).map(interface).collect();
    let mut sets = [SocketSet::new(vec![]), SocketSet::new(vec![])];
    let buffer = || SocketBuffer::new(vec![0; 1 << 20]);
    let client = sets[0].add(Socket::new(buffer(), buffer()));
    let server = sets[1].add(Socket::new(buffer(), buffer()));
    sets[1].get_mut::<Socket<'_>>(server).listen(80).expect("listens");
    let to = (IpAddress::v4(10, 0, 0, 2), 80);
    let socket = sets[0].get_mut::<Socket<'_>>(client);
    socket.connect(ifaces[0].context(), to, 50_000).expect("connects");
    let (block, mut out) = ([0x5au8; 65_536], vec![0u8; 65_536]);
    let (mut sent, mut got) = (0u64, 0u64);
    let start = ProcessTime::now();
    while got < bytes {
        let c = sets[0].get_mut::<Socket<'_>>(client);
        while c.can_send() && sent < bytes {
            let part = &block[..block.len().min((bytes - sent) as usize)];
            sent += c.send_slice(part).expect("sends") as u64;
        }
        for i in 0..2 {
            ifaces[i].poll(Instant::from_millis(0), &mut ports[i], &mut sets[i]);
        }
        let s = sets[1].get_mut::<Socket<'_>>(server);
        while s.can_recv() {
            got += s.recv_slice(&mut out).expect("receives") as u64;
        }
    }
    bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
}

fn interface((port, n): (&mut Port, u8)) -> Interface {
    let mut i = Interface::new(Config::new(HardwareAddress::Ip), port, Instant::from_millis(0));
    i.update_ip_addrs(|a| {
        a.push(IpCidr::new(IpAddress::v4(10, 0, 0, n), 24)).expect("room for an address");
    });
    i
}
