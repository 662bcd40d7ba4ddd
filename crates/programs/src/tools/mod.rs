//! Small programs for scripts and shells: `cat`, `ls`, `echo`, `sleep`, `kill`, `hostname`, `true`,
//! `false`, with the messages and exit codes of GNU coreutils and procps.

mod cat;
pub(crate) mod echo;
pub(crate) mod ends;
mod files;
pub(crate) mod findstr;
pub(crate) mod grep;
mod help;
mod hostname;
pub(crate) mod input;
pub(crate) mod lines;
pub(crate) mod manage;
pub(crate) mod printf;
pub(crate) mod signals;
pub(crate) mod sort;
pub(crate) mod system;
pub(crate) mod test;
pub(crate) mod windows;

use netarium_base::Duration;
use netarium_world::process::{LocalBoxFuture, Process};

pub(crate) use cat::cat;
pub(crate) use files::ls;
pub(crate) use hostname::hostname;
pub(crate) use signals::kill;

/// `true`.
pub(crate) fn succeed(_: Process) -> LocalBoxFuture<i32> {
    Box::pin(async { 0 })
}

/// `false`.
pub(crate) fn fail(_: Process) -> LocalBoxFuture<i32> {
    Box::pin(async { 1 })
}

/// `sleep SECONDS`, also `2m`, `0.5s`…; several are added up.
pub(crate) fn sleep(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        if help::answered(&process, "sleep").await {
            return 0;
        }
        let args = process.args();
        let hint = "Try 'sleep --help' for more information.";
        if args.len() < 2 {
            process.eprint(&format!("sleep: missing operand\n{hint}\n")).await;
            return 1;
        }
        let mut total = Duration::ZERO;
        for word in &args[1..] {
            match span(word) {
                Some(span) => total += span,
                None => {
                    let text = format!("sleep: invalid time interval ‘{word}’\n{hint}\n");
                    process.eprint(&text).await;
                    return 1;
                }
            }
        }
        process.sleep(total).await;
        0
    })
}

fn span(word: &str) -> Option<Duration> {
    if word == "infinity" {
        return Some(Duration::MAX);
    }
    let text =
        if word.ends_with(['s', 'm', 'h', 'd']) { word.to_owned() } else { format!("{word}s") };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::span;
    use netarium_base::Duration;

    #[test]
    fn intervals_are_coreutils() {
        for (word, ms) in [("1", 1_000), ("0.5", 500), ("2m", 120_000), ("1.5s", 1_500)] {
            assert_eq!(span(word), Some(Duration::from_millis(ms)), "{word}");
        }
        for bad in ["", "abc", "1x", "-1"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
