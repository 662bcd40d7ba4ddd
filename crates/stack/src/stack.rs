//! The stack.
#![allow(unused_variables, missing_docs, reason = "skeleton; replaced by the real one")]
use crate::*;
use core::net::{IpAddr, SocketAddr};
use netarium_base::{Ctx, IfIndex, Instant, Pid, SocketId};
use netarium_filter as _;
use netarium_wire::{Cidr, Frame, Mac};

/// One host.
#[derive(Debug)]
pub struct Stack {
    interfaces: Vec<Interface>,
    routes: Vec<Route>,
    stats: StackStats,
}

#[rustfmt::skip]
impl Stack {
    pub fn new(config: StackConfig) -> Stack { Stack { interfaces: vec![], routes: vec![], stats: StackStats::default() } }
    pub fn add_interface(&mut self, name: &str, mac: Mac, mtu: u16) -> IfIndex { IfIndex(2) }
    pub fn add_address(&mut self, iface: IfIndex, address: Cidr) {}
    pub fn add_route(&mut self, route: Route) {}
    pub fn set_interface_up(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, up: bool) {}
    pub fn interfaces(&self) -> &[Interface] { &self.interfaces }
    pub fn routes(&self) -> &[Route] { &self.routes }
    pub fn neighbours(&self) -> Vec<NeighbourInfo> { vec![] }
    pub fn handle_frame(&mut self, cx: &mut Ctx<'_>, iface: IfIndex, frame: Box<Frame>) {}
    pub fn handle_deadlines(&mut self, cx: &mut Ctx<'_>) {}
    pub fn next_deadline(&self) -> Option<Instant> { None }
    pub fn poll_transmit(&mut self) -> Option<(IfIndex, Box<Frame>)> { None }
    pub fn poll_event(&mut self) -> Option<SocketEvent> { None }
    pub fn is_quiet(&self) -> bool { true }
    pub fn socket(&mut self, kind: SocketKind, pid: Pid) -> Result<SocketId, Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn bind(&mut self, id: SocketId, addr: SocketAddr) -> Result<(), Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn listen(&mut self, cx: &mut Ctx<'_>, id: SocketId, backlog: u32) -> Result<(), Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn connect(&mut self, cx: &mut Ctx<'_>, id: SocketId, to: SocketAddr) -> Result<(), Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn accept(&mut self, cx: &mut Ctx<'_>, id: SocketId) -> Result<(SocketId, SocketAddr), Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn send(&mut self, cx: &mut Ctx<'_>, id: SocketId, data: &[u8]) -> Result<usize, Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn recv(&mut self, cx: &mut Ctx<'_>, id: SocketId, buf: &mut [u8]) -> Result<usize, Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn send_to(&mut self, cx: &mut Ctx<'_>, id: SocketId, to: SocketAddr, data: &[u8]) -> Result<usize, Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn recv_from(&mut self, cx: &mut Ctx<'_>, id: SocketId, buf: &mut [u8]) -> Result<(usize, RecvMeta), Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn take_icmp_error(&mut self, id: SocketId) -> Option<IcmpError> { None }
    pub fn shutdown(&mut self, cx: &mut Ctx<'_>, id: SocketId, how: Shutdown) -> Result<(), Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn close(&mut self, cx: &mut Ctx<'_>, id: SocketId) -> Result<(), Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn abort(&mut self, cx: &mut Ctx<'_>, id: SocketId) -> Result<(), Errno> { Err(Errno::EOPNOTSUPP) }
    pub fn readiness(&self, id: SocketId) -> Readiness { Readiness::empty() }
    pub fn take_error(&mut self, id: SocketId) -> Option<Errno> { None }
    pub fn local_addr(&self, id: SocketId) -> Option<SocketAddr> { None }
    pub fn peer_addr(&self, id: SocketId) -> Option<SocketAddr> { None }
    pub fn set_option(&mut self, cx: &mut Ctx<'_>, id: SocketId, option: SocketOption) -> Result<(), Errno> { Ok(()) }
    pub fn sockets(&self) -> Vec<SocketInfo> { vec![] }
    pub fn source_for(&self, dst: IpAddr) -> Result<(IfIndex, IpAddr, Option<IpAddr>), Errno> { Err(Errno::ENETUNREACH) }
    pub fn release_process(&mut self, cx: &mut Ctx<'_>, pid: Pid) {}
    pub fn stats(&self) -> &StackStats { &self.stats }
}
