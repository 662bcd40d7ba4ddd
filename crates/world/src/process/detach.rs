//! Going to the background: what `daemon(3)` does elsewhere.

use core::net::IpAddr;

use super::{Process, Stdio, slot};
use crate::core::Core;
use crate::message::Output;

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
        let Some(proc) = self.proc_mut(process.node(), process.pid()) else { return };
        let foreground = !std::mem::replace(&mut proc.daemon, true);
        let port = proc.stdio.port();
        if port.is_some() {
            proc.stdio = Stdio::log();
        }
        self.foreground -= usize::from(foreground);
        if let Some(port) = port {
            self.gateway.forget(port);
            self.outbox.push(Output::Exit { port, code, message: None });
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
