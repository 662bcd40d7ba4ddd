//! `dmesg`: the host's log of packets that met a LOG rule.

use netarium_world::process::{LocalBoxFuture, Process};

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let text = process.with_stack(|stack, _| {
            let Some(filter) = stack.filter() else { return String::new() };
            let name = |index| {
                let found = stack.interfaces().iter().find(|i| i.index == index);
                found.map(|i| i.name.as_str())
            };
            let (lines, suppressed) = filter.log();
            let mut out = String::new();
            for line in lines {
                let micros = line.at.as_nanos() / 1_000;
                let time = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
                out.push_str(&format!("[{time:>12}] {}\n", line.text(name)));
            }
            if suppressed > 0 {
                out.push_str(&format!("netfilter: {suppressed} messages suppressed\n"));
            }
            out
        });
        process.print(&text).await;
        0
    })
}
