//! What happens when something comes from outside.

use std::rc::Rc;

use netarium_base::trace::Event;
use netarium_base::{Cause, FlowId, Pid, Place};
use netarium_stack::SocketKind;

use super::Core;
use crate::gateway::{Port, Wanted};
use crate::message::{Input, LAB_PORTS, Output, PortId, STDIN_CREDIT};
use crate::process::session::Session;
use crate::process::{Start, session_slots};

impl Core {
    /// Applies an input, and gives the answer to a command. The executor must run afterwards.
    pub(crate) fn apply(&mut self, input: Input) -> Result<Option<Pid>, String> {
        let cause = match &input {
            Input::Command(command) => self.record_command(command),
            other => self.record_input(other),
        };
        self.set_current(cause);
        // What comes from outside is no endless loop of the lab's.
        (self.events_now, self.polls_now) = (0, 0);
        match input {
            Input::Open { port, client, from, source, to } => {
                let kind = SocketKind::Tcp;
                self.open(port, Wanted { kind, client, from, source, to }, cause);
            }
            Input::Exec { port, host, argv, stdin, credit } => {
                self.exec(port, &host, argv, stdin, credit, cause);
            }
            Input::FileWrite { path, bytes } => self.edit_file(&path, bytes, cause),
            Input::OpenUdp { port, client, from, source, to } => {
                let kind = SocketKind::Udp;
                self.open(port, Wanted { kind, client, from, source, to }, cause);
            }
            Input::Client { address, label } => self.add_client(address, label, cause),
            Input::Command(command) => return self.command(&command, cause),
            of_port => self.apply_to_port(of_port, cause),
        }
        Ok(None)
    }

    /// What comes for a port that is open. Ports that are not ignore it: it was under way.
    fn apply_to_port(&mut self, input: Input, cause: Cause) {
        let port = input.port().unwrap_or_default();
        let session = self.gateway.session(port);
        match input {
            input if port >= LAB_PORTS => self.apply_to_outside(input, cause),
            Input::Data { bytes, .. } => match session {
                Some(_) => self.feed_session(port, &bytes, cause),
                None => self.connection_data(port, bytes, cause),
            },
            Input::Datagram { bytes, .. } => self.datagram(port, &bytes, cause),
            Input::Eof { .. } => match session {
                Some(_) => self.end_session_input(port, cause),
                None => self.connection_eof(port, cause),
            },
            Input::Reset { .. } => match session {
                Some(_) => self.hang_up(port, cause),
                None => {
                    self.datagrams_reset(port);
                    self.connection_reset(port);
                }
            },
            Input::Credit { bytes, .. } => match session {
                Some(_) => self.credit_session(port, bytes, cause),
                None => {
                    self.datagrams_credit(port, bytes, cause);
                    self.connection_credit(port, bytes, cause);
                }
            },
            Input::Signal { signal, .. } => self.signal_session(port, signal, cause),
            _ => {}
        }
    }

    /// What comes for a connection that the lab opened.
    fn apply_to_outside(&mut self, input: Input, cause: Cause) {
        match input {
            Input::Accepted { port, credit } => self.outside_accepted(port, credit, cause),
            Input::Refused { port, reason } => self.outside_refused(port, reason, cause),
            Input::Data { port, bytes } => self.outside_data(port, bytes, cause),
            Input::Eof { port } => self.outside_eof(port, cause),
            Input::Reset { port } => self.outside_reset(port, cause),
            Input::Credit { port, bytes } => self.outside_credit(port, bytes, cause),
            _ => {}
        }
    }

    fn record_input(&mut self, input: &Input) -> Cause {
        let (kind, port, bytes) = (input.kind(), input.port().unwrap_or(0), input.bytes());
        let event = || Event::Input { kind, port, bytes };
        self.net.tracer.emit(self.net.now, Cause::NONE, Place::World, FlowId::NONE, event)
    }

    fn exec(
        &mut self,
        port: PortId,
        host: &str,
        argv: Vec<String>,
        stdin: bool,
        credit: u32,
        cause: Cause,
    ) {
        if let Some(reason) = self.gateway.refuses(port) {
            return self.outbox.push(Output::Reset { port, reason });
        }
        let Some(node) = self.host_id(host) else {
            let reason = format!("no host is called `{host}`");
            return self.outbox.push(Output::Reset { port, reason });
        };
        let slots = session_slots(port);
        let argv: Rc<[String]> = argv.into();
        let name = argv.first().cloned().unwrap_or_default();
        match self.start(Start { node, argv, daemon: false, slots, cause }, Some(port)) {
            Ok(pid) => {
                let session = Session::new(node, pid, credit, stdin);
                self.gateway.ports.insert(port, Port::Session(Box::new(session)));
                let credit = if stdin { STDIN_CREDIT } else { 0 };
                self.outbox.push(Output::Accepted { port, credit });
            }
            Err(e) => {
                let message = Some(format!("{name}: {e}"));
                self.outbox.push(Output::Exit { port, code: e.code(), message });
            }
        }
    }
}
