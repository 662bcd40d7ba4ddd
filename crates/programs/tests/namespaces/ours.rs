//! Our programs, in a lab.

use super::common::Shell;
use super::{Line, Outcome};

/// Runs the commands one after the other.
pub(super) fn run(shell: &mut Shell, lines: &[Line]) -> Vec<Outcome> {
    let one = |(host, command): &Line| {
        // Both streams in the order in which they were written.
        let script = format!("exec 2>&1; {command}");
        let argv = ["sh", "-c", &script].map(str::to_owned).to_vec();
        let said = shell.run_argv(host, argv);
        (said.code, said.out)
    };
    lines.iter().map(one).collect()
}
