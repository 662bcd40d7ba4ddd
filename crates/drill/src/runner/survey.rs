//! Which system a script is written for, when its shell lines do not say so.
//!
//! The order of a SYN's options, the window scale and the size of a fresh buffer follow from a
//! system and its memory, not from an RFC. A script says them in the first SYN that it expects, or
//! in the first SO_RCVBUF that it reads.

use netarium_wire::TcpFlags;

use super::Runner;
use crate::command::{Command, commands};
use crate::script::{Action, Direction, Expr, Opt, Script, Transport};
use crate::sysctl::{Dialect, freebsd_defaults};

impl Runner {
    /// Takes over what the script's first SYN says of its system.
    pub(super) fn survey(&mut self, script: &Script) {
        if sets_buffers(script) {
            return;
        }
        let options = first_syn(script).unwrap_or_default();
        if is_freebsd(options) || has_freebsd_buffer(script) {
            self.dialect = Dialect::Bsd;
            freebsd_defaults(&mut self.tcp);
        }
        let scale = options.iter().find_map(|o| match o {
            Opt::Wscale(scale @ 0..=14) => Some(*scale),
            _ => None,
        });
        if let Some(scale) = scale {
            // The largest buffer that gives this scale (RFC 7323 §2.3).
            let most = 65_535u32 << scale;
            self.tcp.rmem.max = most;
            self.tcp.core_rmem_max = self.tcp.core_rmem_max.min(most);
        }
        let config = self.tcp.clone();
        self.machine.stack.set_tcp_config(config);
    }
}

fn first_syn(script: &Script) -> Option<&[Opt]> {
    script.events.iter().find_map(|event| {
        let Action::Packet(packet) = &event.action else { return None };
        let Transport::Tcp(segment) = &packet.transport else { return None };
        let ours = packet.direction == Direction::Out && segment.flags.contains(TcpFlags::SYN);
        segment.options.as_deref().filter(|_| ours)
    })
}

/// Whether shell lines say how large the receive buffer is.
fn sets_buffers(script: &Script) -> bool {
    script.events.iter().any(|event| match &event.action {
        Action::Command(text) => commands(text).iter().any(|c| match c {
            Command::Defaults => true,
            Command::Sysctl(name, _) => name.ends_with("tcp_rmem") || name.ends_with("maxsockbuf"),
            _ => false,
        }),
        _ => false,
    })
}

/// FreeBSD's receive buffer has 65536 bytes before anybody changes it, Linux' has 131072.
fn has_freebsd_buffer(script: &Script) -> bool {
    let word = |e: Option<&Expr>, name: &str| matches!(e, Some(Expr::Word(w)) if w == name);
    let buffer = script.events.iter().find_map(|event| match &event.action {
        Action::Call(call) if word(call.args.get(2), "SO_RCVBUF") => Some(call),
        _ => None,
    });
    buffer.is_some_and(|call| {
        call.name == "getsockopt" && call.args.get(3) == Some(&Expr::List(vec![Expr::Int(65_536)]))
    })
}

/// FreeBSD puts the window scale in front of «SACK permitted» and pads with «end of options».
fn is_freebsd(options: &[Opt]) -> bool {
    let at = |wanted: fn(&Opt) -> bool| options.iter().position(wanted);
    let scale = at(|o| matches!(o, Opt::Wscale(_)));
    let sack = at(|o| matches!(o, Opt::SackOk));
    let padded = options.last() == Some(&Opt::Eol);
    padded || scale.zip(sack).is_some_and(|(scale, sack)| scale < sack)
}
