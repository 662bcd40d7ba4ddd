//! What an operator changes in a running world.

use core::net::SocketAddr;
use std::rc::Rc;

use netarium_base::trace::Event;
use netarium_base::{Cause, FlowId, NodeId, Pid, Place};
use netarium_filter::{Filter, PortForward};

use super::Core;
use crate::edit::{self, ForwardPort};
use crate::link::Link;
use crate::message::Command;
use crate::process::{LOGGED, Start};

impl Core {
    /// Records a command: the root of all that follows from it.
    pub(crate) fn record_command(&mut self, command: &Command) -> Cause {
        let event = || Event::Command { text: command.to_string().into() };
        self.net.tracer.emit(self.net.now, Cause::NONE, Place::World, FlowId::NONE, event)
    }

    /// Obeys a command, or notes why it cannot, and says so. Gives the process that it started.
    pub(crate) fn command(
        &mut self,
        command: &Command,
        cause: Cause,
    ) -> Result<Option<Pid>, String> {
        let done = self.obey(command, cause);
        if let Err(why) = &done {
            self.note(Place::World, &format!("`{command}` was not done: {why}"), cause);
        }
        done
    }

    fn obey(&mut self, command: &Command, cause: Cause) -> Result<Option<Pid>, String> {
        let host = |core: &Core, name: &str| {
            core.host_id(name).ok_or_else(|| format!("no host is called `{name}`"))
        };
        match command {
            Command::Start { host: name, argv } => {
                let node = host(self, name)?;
                let program = argv.first().map_or("", String::as_str);
                let argv = argv.as_slice().into();
                let start = Start { node, argv, daemon: true, slots: LOGGED, cause };
                return self.start(start, None).map(Some).map_err(|e| format!("{program}: {e}"));
            }
            Command::Kill { host: name, pid, signal } => {
                let (node, pid) = (host(self, name)?, Pid(*pid));
                if !matches!(signal, 1 | 2 | 9 | 15) {
                    return Err(format!("signal {signal} does nothing"));
                }
                let process = self.proc_mut(node, pid).ok_or("No such process")?;
                let killed = process.daemon.then(|| Rc::clone(&process.argv));
                let all = &mut self.host_mut(node).killed;
                all.extend(killed.filter(|k| all.len() < KILLED_MAX && !all.contains(k)));
                self.signal(node, pid, *signal, cause);
            }
            Command::LinkUp { link, up } => self.link_mut(link)?.set_up(*up),
            Command::Link { link, directions, change } => {
                change.check()?;
                let seed = self.seed;
                self.link_mut(link)?.change(seed, link, *directions, change);
            }
            Command::CutInFlight { link } => {
                let id = self.names.link_id(link);
                let id = id.ok_or_else(|| format!("no link is called `{link}`"))?;
                self.net.clear_link(id, cause);
            }
            Command::Partition { name, sides, in_flight } => {
                self.part(name, sides, *in_flight, cause)?;
            }
            Command::Heal { name } => self.heal(name.as_deref())?,
            Command::Mirror { switch, mirror } => self.set_mirror(switch, mirror.as_ref())?,
            Command::AddForward { host: name, from, to } => {
                let node = host(self, name)?;
                self.add_forward(node, *from, *to)?;
            }
            Command::RemoveForward { host: name, from } => {
                let node = host(self, name)?;
                self.remove_forward(node, *from)?;
            }
            Command::AddRule { host: name, rule, before } => {
                let node = host(self, name)?;
                edit::add_rule(self.filter_or_new(node), rule, *before)?;
            }
            Command::RemoveRule { host: name, rule } => {
                let node = host(self, name)?;
                let filter = self.host_mut(node).stack.filter_mut();
                edit::remove_rule(filter.ok_or("it has no inbound rules")?, rule)?;
            }
            Command::InboundDefault { host: name, deny } => {
                let node = host(self, name)?;
                let filter = self.filter_or_new(node);
                edit::set_default(filter, *deny).map_err(|e| e.to_string())?;
            }
        }
        Ok(None)
    }

    fn link_mut(&mut self, name: &str) -> Result<&mut Link, String> {
        let id = self.names.link_id(name);
        let id = id.ok_or_else(|| format!("no link is called `{name}`"))?;
        Ok(&mut self.net.links[id.0 as usize])
    }

    fn filter_or_new(&mut self, node: NodeId) -> &mut Filter {
        self.host_mut(node).stack.filter_or_new()
    }

    fn add_forward(
        &mut self,
        node: NodeId,
        from: ForwardPort,
        to: SocketAddr,
    ) -> Result<(), String> {
        let stack = &mut self.host_mut(node).stack;
        let routers = stack.filter().map(Filter::routers).unwrap_or_default();
        let &(outside, inside) = routers.first().ok_or(NO_NAT)?;
        let filter = stack.filter().ok_or(NO_NAT)?;
        if let Some((old, _)) = filter.forwards().find(|(f, _)| from.overlaps(f)) {
            return Err(format!("it forwards this port already: {}", old.text));
        }
        let inner = stack.interfaces().iter().find(|i| i.index == inside);
        if !inner.is_some_and(|i| i.addresses.iter().any(|net| net.contains(to.ip()))) {
            let nets = inner.map(|i| i.addresses.as_slice()).unwrap_or_default();
            let nets: Vec<_> = nets.iter().map(|net| net.network().to_string()).collect();
            return Err(format!("{} is not inside, in {}", to.ip(), nets.join(", ")));
        }
        let filter = stack.filter_mut().ok_or(NO_NAT)?;
        let forward = PortForward { input: Some(outside), ..from.to(to) };
        filter.add_forward(&forward).map_err(|e| e.to_string())
    }

    fn remove_forward(&mut self, node: NodeId, from: ForwardPort) -> Result<(), String> {
        let filter = self.host_mut(node).stack.filter_mut().ok_or(NO_NAT)?;
        let index = filter.forwards().position(|(f, _)| from.is_of(&f));
        let index = index.ok_or_else(|| format!("it has no forward of {from}"))?;
        filter.remove_forward(index).map(drop).map_err(|e| e.to_string())
    }
}

/// How many different programs are remembered as ended by the operator, per host.
const KILLED_MAX: usize = 256;
const NO_NAT: &str = "it is no router that translates addresses";
