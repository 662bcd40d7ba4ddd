//! What the programs that print tables share.

use std::collections::BTreeMap;

use netarium_base::{IfIndex, Pid};
use netarium_stack::Interface;
use netarium_world::process::Process;

/// Which program each process runs.
#[derive(Clone, Debug)]
pub(crate) struct Owners(BTreeMap<Pid, String>);

impl Owners {
    /// Those of a process' host.
    pub(crate) fn of(process: &Process) -> Owners {
        Owners(process.processes().into_iter().map(|p| (p.pid, p.name)).collect())
    }

    /// The program's name alone.
    pub(crate) fn program(&self, pid: Pid) -> &str {
        self.0.get(&pid).map_or("netarium", String::as_str)
    }

    /// `PID/program` as netstat writes it; `-` when nobody holds the socket.
    pub(crate) fn name(&self, pid: Pid) -> String {
        match self.0.get(&pid) {
            Some(name) => format!("{pid}/{name}"),
            None if pid == Pid(0) => "-".to_owned(),
            // Connections from the real machine belong to the world itself.
            None => format!("{pid}/netarium"),
        }
    }
}

impl<const N: usize> From<[(Pid, String); N]> for Owners {
    fn from(names: [(Pid, String); N]) -> Owners {
        Owners(names.into())
    }
}

/// The name of an interface.
pub(crate) fn interface_name(interfaces: &[Interface], index: IfIndex) -> &str {
    interfaces.iter().find(|i| i.index == index).map_or("?", |i| i.name.as_str())
}
