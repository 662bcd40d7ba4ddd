//! Shell lines and code snippets.

use netarium_stack::{OptionName, SocketOption};

use super::calls::Object;
use super::{Runner, Step, Stop, fail};
use crate::code::{self, Ended};
use crate::command::{Command, commands};
use crate::sysctl::{self, Mapped};

impl Runner {
    /// Understands what sets sysctls; notes the rest.
    pub(super) fn shell(&mut self, text: &str, line: u32) -> Step {
        for command in commands(text) {
            match command {
                Command::Harmless => {}
                Command::Defaults => sysctl::packetdrill_defaults(&mut self.tcp),
                Command::Other(text) => {
                    let text: String = text.chars().take(100).collect();
                    self.notes.push(format!("line {line}: `{text}` was left out: a shell command"));
                }
                Command::Needed(text) => {
                    let text: String = text.chars().take(100).collect();
                    return Err(Stop::Skip(format!("needs `{text}`")));
                }
                Command::Sysctl(name, value) => {
                    match sysctl::set(&mut self.tcp, &mut self.dialect, &name, &value) {
                        Mapped::Yes | Mapped::Ignored(_) => {}
                        Mapped::No(why) => return Err(Stop::Skip(why)),
                        Mapped::Unknown(what) => {
                            self.notes.push(format!("line {line}: {what} was left out: not known"));
                        }
                    }
                }
            }
        }
        let config = self.tcp.clone();
        self.machine.stack.set_tcp_config(config);
        Ok(())
    }

    /// Runs a snippet with TCP_INFO of the socket under test.
    pub(super) fn code(&mut self, text: &str, line: u32) -> Step {
        let fd = self.info_fd.and_then(|n| self.fds.get(&n));
        let id = match fd.map(|fd| &fd.object) {
            Some(Object::Socket(sock)) => Some(sock.id),
            _ => None,
        };
        let info = id.and_then(|id| self.machine.stack.tcp_info(self.machine.now, id).ok());
        let mut size = |name| {
            let option = self.machine.stack.get_option(id?, name).ok()?;
            match option {
                SocketOption::RecvBuffer(n) | SocketOption::SendBuffer(n) => Some(i64::from(n)),
                _ => None,
            }
        };
        let (recv, send) = (size(OptionName::RecvBuffer), size(OptionName::SendBuffer));
        self.env.set("SK_MEMINFO_RCVBUF", recv);
        self.env.set("SK_MEMINFO_SNDBUF", send);
        match code::run(text, &mut self.env, info.as_ref()) {
            Ended::Well => {}
            Ended::LeftOut(why) => {
                self.notes.push(format!("line {line}: the code was left out: {why}"));
            }
            Ended::Failed(why) => return Err(fail(why)),
        }
        let printed = std::mem::take(&mut self.env.printed);
        for text in printed {
            self.note_line(format!("printed: {text}"));
        }
        Ok(())
    }
}
