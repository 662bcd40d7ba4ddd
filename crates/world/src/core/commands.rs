//! What an operator changes in a running world.

use netarium_base::trace::Event;
use netarium_base::{Cause, FlowId, Pid, Place};

use super::Core;
use crate::message::Command;
use crate::process::{Start, Stdio};

impl Core {
    /// Records a command: the root of all that follows from it.
    pub(crate) fn record_command(&mut self, command: &Command) -> Cause {
        let event = || Event::Command { text: command.to_string().into() };
        self.net.tracer.emit(self.net.now, Cause::NONE, Place::World, FlowId::NONE, event)
    }

    /// Obeys a command, or notes why it cannot.
    pub(crate) fn command(&mut self, command: &Command, cause: Cause) {
        if let Err(why) = self.obey(command, cause) {
            self.note(Place::World, &format!("`{command}` was not done: {why}"), cause);
        }
    }

    fn obey(&mut self, command: &Command, cause: Cause) -> Result<(), String> {
        let host = |core: &Core, name: &str| {
            core.host_id(name).ok_or_else(|| format!("no host is called `{name}`"))
        };
        match command {
            Command::Start { host: name, argv } => {
                let node = host(self, name)?;
                let argv = argv.as_slice().into();
                let start = Start { node, argv, daemon: true, stdio: Stdio::log(), cause };
                self.start(start).map(drop).map_err(|e| e.text().to_owned())
            }
            Command::Kill { host: name, pid, signal } => {
                let (node, pid) = (host(self, name)?, Pid(*pid));
                if !matches!(signal, 1 | 2 | 9 | 15) {
                    return Err(format!("signal {signal} does nothing"));
                }
                self.proc_mut(node, pid).ok_or("No such process")?;
                self.signal(node, pid, *signal, cause);
                Ok(())
            }
            Command::LinkUp { link: name, up } => {
                let id = self.names.link_id(name);
                let id = id.ok_or_else(|| format!("no link is called `{name}`"))?;
                self.net.links[id.0 as usize].set_up(*up);
                Ok(())
            }
        }
    }
}
