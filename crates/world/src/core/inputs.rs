//! What happens when something comes from outside.

use std::rc::Rc;

use netarium_base::trace::Event;
use netarium_base::{Cause, FlowId, NodeId, Pid, Place};

use super::Core;
use crate::gateway::{Port, Wanted};
use crate::message::{CREDIT_MAX, Input, LAB_PORTS, Output, PortId, STDIN_CREDIT};
use crate::process::{Sink, Start, Stdio};

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
                self.open(port, Wanted { client, from, source, to }, cause);
            }
            Input::Exec { port, host, argv, stdin, credit } => {
                self.exec(port, &host, argv, stdin, credit, cause);
            }
            Input::FileWrite { path, bytes } => self.edit_file(&path, bytes, cause),
            Input::OpenUdp { port, client, from, source, to } => {
                self.open_udp(port, Wanted { client, from, source, to });
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
                Some((node, pid)) => self.feed_stdin(port, node, pid, &bytes, cause),
                None => self.connection_data(port, bytes, cause),
            },
            Input::Datagram { bytes, .. } => self.datagram(port, &bytes, cause),
            Input::Eof { .. } => match session {
                Some((node, pid)) => self.end_stdin(node, pid, cause),
                None => self.connection_eof(port, cause),
            },
            Input::Reset { .. } => match session {
                Some((node, pid)) => self.signal(node, pid, 1, cause),
                None => {
                    self.datagrams_reset(port);
                    self.connection_reset(port);
                }
            },
            Input::Credit { bytes, .. } => match session {
                Some((node, pid)) => self.credit_output(node, pid, bytes, cause),
                None => {
                    self.datagrams_credit(port, bytes, cause);
                    self.connection_credit(port, bytes, cause);
                }
            },
            Input::Signal { signal, .. } => {
                if let Some((node, pid)) = session {
                    self.signal(node, pid, signal, cause);
                }
            }
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
        let stdio = Stdio::session(port, credit.min(CREDIT_MAX), stdin);
        let argv: Rc<[String]> = argv.into();
        let name = argv.first().cloned().unwrap_or_default();
        match self.start(Start { node, argv, daemon: false, stdio, cause }) {
            Ok(pid) => {
                self.gateway.ports.insert(port, Port::Session(node, pid));
                let credit = if stdin { STDIN_CREDIT } else { 0 };
                self.outbox.push(Output::Accepted { port, credit });
            }
            Err(e) => {
                let message = Some(format!("{name}: {}", e.text()));
                self.outbox.push(Output::Exit { port, code: e.code(), message });
            }
        }
    }

    fn feed_stdin(&mut self, port: PortId, node: NodeId, pid: Pid, bytes: &[u8], cause: Cause) {
        let ready = std::sync::Arc::clone(&self.ready);
        let Some(proc) = self.proc_mut(node, pid) else { return };
        let pipe = &mut proc.stdio.stdin;
        if pipe.ended || bytes.len() > pipe.room() {
            let text = if pipe.ended {
                "standard input was sent behind its end"
            } else {
                "more standard input was sent than there was credit for"
            };
            let cause =
                self.note(Place::Process(node, pid), &format!("port {port}: {text}"), cause);
            return self.end(node, pid, 129, Some(text.to_owned()), cause);
        }
        pipe.bytes.extend(bytes);
        pipe.waiters.wake(&ready, cause);
    }

    fn end_stdin(&mut self, node: NodeId, pid: Pid, cause: Cause) {
        let ready = std::sync::Arc::clone(&self.ready);
        if let Some(proc) = self.proc_mut(node, pid) {
            proc.stdio.stdin.ended = true;
            proc.stdio.stdin.waiters.wake(&ready, cause);
        }
    }

    fn credit_output(&mut self, node: NodeId, pid: Pid, bytes: u32, cause: Cause) {
        let ready = std::sync::Arc::clone(&self.ready);
        let Some(proc) = self.proc_mut(node, pid) else { return };
        if let Sink::Session { credit, waiters, .. } = &mut proc.stdio.sink {
            *credit = credit.saturating_add(bytes).min(CREDIT_MAX);
            waiters.wake(&ready, cause);
        }
    }
}
