//! What `netarium fork --change` takes: `drop frame`, `seed N`, or a command that changes a running
//! lab, written as on the command line.

use std::str::FromStr;

use clap::Parser;
use netarium::lab::edit as read;
use netarium::lab::edit::ValueError;
use netarium::lab::words;
use netarium::recording::Change as Recorded;
use netarium::world::Command;

use super::{
    Default, Forward, ForwardWhat, Heal, Link, Mirror, On, Partition, Rule, RuleWhat, Start,
};

/// A change, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change(pub(crate) Recorded);

#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
enum Line {
    Link(Box<Link>),
    Partition(Partition),
    Heal(Heal),
    Mirror(Mirror),
    Forward(Forward),
    Rule(Rule),
    Start(Start),
}

const EXPECTED: &str = "`drop frame`, `seed N`, or a command as `netarium` takes it for a running lab: \
                        `link web.home down`, `rule remove web 'allow tcp/80'`, `partition …`, `heal …`, \
                        `mirror …`, `forward …`, `start …`";

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
            ["link" | "partition" | "heal" | "mirror" | "forward" | "rule" | "start", ..] => {
                let line = Line::try_parse_from(&parts).map_err(|e| without_usage(&e))?;
                Recorded::Commands(line.commands()?)
            }
            _ => return Err(format!("expected {EXPECTED}")),
        }))
    }
}

/// The reason alone: usage lines are those of a command, which this is not.
fn without_usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.split("\n\nUsage").next().unwrap_or(text).trim_end().to_owned()
}

impl Line {
    fn commands(self) -> Result<Vec<Command>, String> {
        let told = |e: ValueError| e.to_string();
        let (on, commands) = match self {
            Line::Link(args) => {
                let link = args.link.clone().ok_or("which link?")?;
                let commands = args.commands(&link).map_err(told)?;
                (args.on, commands)
            }
            Line::Partition(args) => {
                let command = args.command();
                one((args.on, command))?
            }
            Line::Heal(args) => {
                let command = args.command();
                (args.on, vec![command])
            }
            Line::Mirror(args) => {
                let command = args.command();
                (args.on, vec![command])
            }
            Line::Forward(args) => one(forward(args.what).map_err(told)?)?,
            Line::Rule(args) => one(rule(args.what).map_err(told)?)?,
            Line::Start(args) => {
                (args.on, vec![Command::Start { host: args.host, argv: args.argv }])
            }
        };
        match on.on {
            None => Ok(commands),
            Some(_) => Err("a fork is about the recorded lab, not `--on` another".to_owned()),
        }
    }
}

type Asked = (On, Option<Command>);

fn one((on, command): Asked) -> Result<(On, Vec<Command>), String> {
    match command {
        Some(command) => Ok((on, vec![command])),
        None => Err("`list` changes nothing".to_owned()),
    }
}

fn forward(what: ForwardWhat) -> Result<Asked, ValueError> {
    Ok(match what {
        ForwardWhat::List { on, .. } => (on, None),
        ForwardWhat::Add { host, from, to, on } => {
            let (from, to) = (read::forward_port(&from)?, read::forward_target(&to)?.into());
            (on, Some(Command::AddForward { host, from, to }))
        }
        ForwardWhat::Remove { host, from, on } => {
            let from = read::forward_port(&from)?;
            (on, Some(Command::RemoveForward { host, from }))
        }
    })
}

fn rule(what: RuleWhat) -> Result<Asked, ValueError> {
    Ok(match what {
        RuleWhat::List { on, .. } => (on, None),
        RuleWhat::Add { host, rule, from, name, before, on } => {
            let words = from.map_or(rule.clone(), |from| format!("{rule} from {from}"));
            let rule = read::inbound_rule(&words, name.as_deref())?;
            (on, Some(Command::AddRule { host, rule, before }))
        }
        RuleWhat::Remove { host, rule, on } => (on, Some(Command::RemoveRule { host, rule })),
        RuleWhat::Default { host, what, on } => {
            (on, Some(Command::InboundDefault { host, deny: what == Default::Deny }))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let Command::AddForward { from, .. } =
            &commands("forward add router tcp/81 10.0.0.1:80")[0]
        else {
            panic!()
        };
        assert_eq!(from.to_string(), "tcp/81");
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
            let why = wrong.parse::<Change>().unwrap_err();
            assert!(!why.is_empty() && !why.contains("Usage"), "{wrong}: {why}");
        }
    }
}
