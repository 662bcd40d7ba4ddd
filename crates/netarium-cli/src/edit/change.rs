//! What `netarium fork --change` takes: `drop frame`, `seed N`, or a command that changes a running
//! lab, written as on the command line.

use std::str::FromStr;

use netarium::lab::{command, words};
use netarium::recording::Change as Recorded;

/// A change, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change(pub(crate) Recorded);

const COMMANDS: [&str; 7] = ["link", "forward", "rule", "start", "partition", "heal", "mirror"];
const EXPECTED: &str = "`drop frame`, `seed N`, or a command as `netarium` takes it for a running lab: \
                        `link web.home down`, `rule remove web 'allow tcp/80'`, `forward …`, `start …`, \
                        `partition …`, `heal …`, `mirror …`";

impl FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Change, String> {
        let words = words::split(text).map_err(|e| e.to_string())?;
        let parts: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(Change(match parts[..] {
            ["drop", "frame"] => Recorded::DropFrame,
            ["seed", n] => {
                let seed = n.parse().map_err(|_| format!("`{n}` is not a seed: a number"))?;
                Recorded::Seed(seed)
            }
            [word, ..] if COMMANDS.contains(&word) => {
                Recorded::Commands(command::commands(&words).map_err(|e| e.to_string())?)
            }
            _ => return Err(format!("expected {EXPECTED}")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netarium::world::Command;

    #[test]
    fn a_change_is_read_as_on_the_command_line() {
        let commands = |text: &str| match text.parse::<Change>() {
            Ok(Change(Recorded::Commands(commands))) => commands,
            other => panic!("{text}: {other:?}"),
        };
        let link = "web.home".to_owned();
        assert_eq!(commands("link web.home down"), [Command::LinkUp { link, up: false }]);
        assert_eq!(commands("link web.home --loss 5% --delay 50ms").len(), 2);
        let rule = "allow tcp/80".to_owned();
        let removed = Command::RemoveRule { host: "web".to_owned(), rule };
        assert_eq!(commands("rule remove web 'allow tcp/80'"), [removed]);
        assert_eq!(commands("partition p web pc").len(), 1);
        assert_eq!(commands("start web ping 10.0.0.1").len(), 1);
        assert_eq!("drop frame".parse(), Ok(Change(Recorded::DropFrame)));
        assert_eq!("seed 7".parse(), Ok(Change(Recorded::Seed(7))));
        for wrong in [
            "drop it",
            "seed x",
            "link web.home",
            "link web.home sideways",
            "link web.home --loss 5",
            "rule list web",
            "rule remove web --on x 'allow tcp/80'",
            "forward add router 80 10.0.0.1:80",
            "'",
            "",
        ] {
            assert!(wrong.parse::<Change>().is_err_and(|why| !why.is_empty()), "{wrong}");
        }
    }
}
