//! A lab's world, driven from outside: commands, connections and datagrams, with a bound.

use netarium::world::{Input, Output, Target, World};

/// Events that one input may cause: far more than any command here needs.
const EVENTS: u32 = 60_000;

/// Steps until an output is what is waited for, nothing is left to do, or the bound is reached; whether
/// it came.
pub(crate) fn steps(world: &mut World, mut done: impl FnMut(&Output) -> bool) -> bool {
    for _ in 0..EVENTS {
        while let Some(output) = output(world) {
            if done(&output) {
                return true;
            }
        }
        if !world.step() {
            return false;
        }
    }
    false
}

/// Runs a command on a host until it ends, or for a while.
pub(crate) fn exec(world: &mut World, port: u64, host: &str, argv: Vec<String>) {
    let line = argv.join(" ");
    world.apply(Input::Exec { port, host: host.to_owned(), argv, stdin: false, credit: 1 << 20 });
    let ended = steps(world, |output| {
        if let Output::Exit { code, message, .. } = output {
            // 127: there is no such program, which the message says.
            assert!(*code != 134 && (message.is_none() || *code == 127), "{line}: {message:?}");
        }
        matches!(output, Output::Exit { .. })
    });
    if !ended {
        world.apply(Input::Signal { port, signal: 9 });
        steps(world, |output| matches!(output, Output::Exit { .. }));
    }
}

/// A port into the lab, open.
pub(crate) fn open(world: &mut World, port: u64, datagrams: bool, to: &str) {
    let to = Target::Addr(to.parse().expect("an address"));
    let (client, from, source) = ("fuzz".to_owned(), None, None);
    if datagrams {
        world.apply(Input::OpenUdp { port, client, from, source, to });
    } else {
        world.apply(Input::Open { port, client, from, source, to });
    }
    let open = steps(world, |output| matches!(output, Output::Accepted { .. }));
    assert!(open, "the lab has somebody there");
    world.apply(Input::Credit { port, bytes: 1 << 20 });
}

/// Lets so many milliseconds pass.
pub(crate) fn pass(world: &mut World, milliseconds: u64) {
    let until = world.now() + netarium::Duration::from_millis(milliseconds);
    world.run_until(until);
    while output(world).is_some() {}
}

fn output(world: &mut World) -> Option<Output> {
    let output = world.poll_output();
    if let Some(Output::Reset { reason, .. }) = &output {
        assert!(!reason.contains("credit"), "what was sent was never read: {reason}");
    }
    output
}
