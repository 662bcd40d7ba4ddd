//! Going to the background: what `daemon(3)` does elsewhere.

use core::net::IpAddr;

use super::table::WORLD_PID;
use super::{ChildState, LOGGED, Process, slot};
use crate::core::Core;

impl Process {
    /// The process goes on in the background. Whoever waits for it, a session or an idle world,
    /// is told that it has ended with `code`; from now on its output is kept as a daemon's is, its
    /// standard input is at its end, and its sleeps keep nobody waiting.
    pub fn detach(&self, code: i32) {
        slot::with(|core| core.detach(self, code));
    }

    /// Says which address this host's name stands for, when the lab file gives it none of its own
    /// because it gets its address while it runs; `None` while it has none. A name that the lab
    /// file does give an address keeps that.
    pub fn set_host_address(&self, address: Option<IpAddr>) {
        slot::with(|core| core.set_host_address(self, address));
    }
}

impl Core {
    fn detach(&mut self, process: &Process, code: i32) {
        let (node, pid, cause) = (process.node(), process.pid(), self.current);
        let led = self.proc_mut(node, pid).and_then(|p| p.session);
        let led = led.filter(|&port| self.leads(port, node, pid));
        let Some(proc) = self.proc_mut(node, pid) else { return };
        let foreground = !std::mem::replace(&mut proc.daemon, true);
        let slots = std::mem::replace(&mut proc.slots, LOGGED);
        let parent = std::mem::replace(&mut proc.ppid, WORLD_PID);
        proc.session = None;
        self.foreground -= usize::from(foreground);
        slots.iter().for_each(|&slot| self.release(node, slot, cause));
        self.tell_parent(node, parent, pid, ChildState::Exited(code), cause);
        if let Some(port) = led {
            self.end_session(port, node, code, None, cause);
        }
    }

    fn set_host_address(&mut self, process: &Process, address: Option<IpAddr>) {
        let name = self.host(process.node()).name.to_ascii_lowercase();
        if !self.dynamic_names.contains(&name) {
            if self.hosts_table.contains_key(&name) {
                return;
            }
            // At most one for each host.
            self.dynamic_names.insert(name.clone());
        }
        match address {
            Some(address) => self.hosts_table.insert(name, vec![address]),
            None => self.hosts_table.swap_remove(&name),
        };
    }
}
