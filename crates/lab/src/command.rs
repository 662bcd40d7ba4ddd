//! A command that changes a running lab, in the words of the command line: what `[[schedule]]` takes.

use netarium_world::edit::Directions;
use netarium_world::{Command, MirrorSpec};

use crate::edit::{self, ValueError};
use crate::error::shown;

/// The commands that lines consist of.
const EXPECTED: &str = "such as `link web.home down`, `link web.home --loss 5%`, `partition NAME a,b c`, \
                        `heal NAME`, `mirror SWITCH --to LINK`, `forward …`, `rule …` or `start …`";

/// Reads a line that was split into words.
///
/// # Errors
/// The first word that does not belong there.
pub fn commands(words: &[String]) -> Result<Vec<Command>, ValueError> {
    let parts: Vec<&str> = words.iter().map(String::as_str).collect();
    let one = |command: Command| Ok(vec![command]);
    match parts.as_slice() {
        ["link", link, rest @ ..] => link_line(link, rest),
        ["partition", name, rest @ ..] => one(partition(name, rest)?),
        ["heal", "--all"] => one(Command::Heal { name: None }),
        ["heal", name] => one(Command::Heal { name: Some((*name).to_owned()) }),
        ["mirror", switch, rest @ ..] => one(mirror(switch, rest)?),
        ["forward", "add", host, from, to] => {
            let (from, to) = (edit::forward_port(from)?, edit::forward_target(to)?.into());
            one(Command::AddForward { host: (*host).to_owned(), from, to })
        }
        ["forward", "remove", host, from] => {
            let from = edit::forward_port(from)?;
            one(Command::RemoveForward { host: (*host).to_owned(), from })
        }
        ["rule", rest @ ..] => one(rule(rest)?),
        ["start", host, _, ..] => {
            one(Command::Start { host: (*host).to_owned(), argv: words[2..].to_vec() })
        }
        _ => Err(wrong(&parts.join(" "), "a command of a schedule", Some(EXPECTED))),
    }
}

fn wrong(text: &str, what: &str, hint: Option<&str>) -> ValueError {
    let message = format!("`{}` is not {what}", shown(text));
    ValueError { message, hint: hint.map(str::to_owned) }
}

fn needs(text: &str, what: &str, hint: Option<&str>) -> ValueError {
    let message = format!("`{}` needs {what}", shown(text));
    ValueError { message, hint: hint.map(str::to_owned) }
}

fn link_line(link: &str, rest: &[&str]) -> Result<Vec<Command>, ValueError> {
    let link = || link.to_owned();
    let mut directions = Directions::Both;
    let (mut commands, mut changes) = (Vec::new(), Vec::new());
    let mut words = rest.iter();
    while let Some(&word) = words.next() {
        match word {
            "up" | "down" => commands.push(Command::LinkUp { link: link(), up: word == "up" }),
            "--in-flight" => commands.push(Command::CutInFlight { link: link() }),
            "--up" => directions = Directions::Up,
            "--down" => directions = Directions::Down,
            _ => {
                let key = word.strip_prefix("--").filter(|key| edit::SETTINGS.contains(key));
                let key = key.ok_or_else(|| {
                    let all = edit::SETTINGS.map(|key| format!("--{key}")).join(" ");
                    let hint = format!("up, down, --in-flight, --up, --down, {all}");
                    wrong(word, "a setting of a link", Some(&hint))
                })?;
                let value = words.next();
                let value = value.ok_or_else(|| needs(word, "a value behind it", None))?;
                changes.push(edit::link_setting(key, value)?);
            }
        }
    }
    let change = |change| Command::Link { link: link(), directions, change };
    commands.extend(changes.into_iter().map(change));
    match commands.is_empty() {
        false => Ok(commands),
        true => Err(needs("link", "what to change", Some(EXPECTED))),
    }
}

/// `a,b` as names.
fn names(text: &str) -> Vec<String> {
    text.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

fn partition(name: &str, rest: &[&str]) -> Result<Command, ValueError> {
    let (flags, sides): (Vec<&str>, Vec<&str>) = rest.iter().partition(|w| w.starts_with("--"));
    if let Some(flag) = flags.iter().find(|f| **f != "--in-flight") {
        return Err(wrong(flag, "`--in-flight`", None));
    }
    if sides.is_empty() {
        return Err(wrong(
            "partition",
            "one without its sides",
            Some("such as `partition p a,b c`"),
        ));
    }
    let sides = sides.into_iter().map(names).collect();
    Ok(Command::Partition { name: name.to_owned(), sides, in_flight: !flags.is_empty() })
}

fn mirror(switch: &str, rest: &[&str]) -> Result<Command, ValueError> {
    let switch = switch.to_owned();
    let mirror = match rest {
        ["off"] => None,
        ["--to", to] => Some(MirrorSpec { to: (*to).to_owned(), from: Vec::new() }),
        ["--to", to, "--from", from] | ["--from", from, "--to", to] => {
            Some(MirrorSpec { to: (*to).to_owned(), from: names(from) })
        }
        _ => {
            let hint = Some("`--from LINK,LINK` behind it for some ports only");
            return Err(needs("mirror", "`off`, or `--to LINK`", hint));
        }
    };
    Ok(Command::Mirror { switch, mirror })
}

fn rule(words: &[&str]) -> Result<Command, ValueError> {
    let host = |host: &str| host.to_owned();
    match words {
        ["add", name, rule, rest @ ..] => {
            let (mut label, mut before, mut text) = (None, None, (*rule).to_owned());
            for pair in rest.chunks(2) {
                match pair {
                    ["--name", name] => label = Some(*name),
                    ["--from", from] => text = format!("{text} from {from}"),
                    ["--before", n] => {
                        let read = n.parse();
                        before = Some(read.map_err(|_| wrong(n, "the number of a rule", None))?);
                    }
                    _ => return Err(wrong(pair[0], "`--from`, `--name` or `--before`", None)),
                }
            }
            let rule = edit::inbound_rule(&text, label)?;
            Ok(Command::AddRule { host: host(name), rule, before })
        }
        ["remove", name, rule] => {
            Ok(Command::RemoveRule { host: host(name), rule: (*rule).to_owned() })
        }
        ["default", name, what @ ("deny" | "allow")] => {
            Ok(Command::InboundDefault { host: host(name), deny: *what == "deny" })
        }
        _ => Err(wrong(&words.join(" "), "`add`, `remove` or `default` of a rule", None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::split;

    fn read(line: &str) -> Result<Vec<Command>, ValueError> {
        commands(&split(line).unwrap())
    }

    #[test]
    fn lines_are_read_as_on_the_command_line() {
        for (line, told) in [
            ("link a.n down", "link a.n down"),
            ("link a.n down --in-flight", "link a.n down; link a.n cut in flight"),
            ("link a.n --loss 5% --down", "link a.n loss 5% --down"),
            (
                "link a.n --jitter '5ms normal' --rate none",
                "link a.n jitter 5ms normal; link a.n rate none",
            ),
            ("partition p a,b c --in-flight", "partition p a,b c --in-flight"),
            ("heal p", "heal p"),
            ("heal --all", "heal --all"),
            ("mirror n --to spy.n --from a.n,b.n", "mirror n --to spy.n --from a.n,b.n"),
            ("mirror n off", "mirror n off"),
            ("forward add r tcp/80 10.0.0.1:80", "forward add r tcp/80 10.0.0.1:80"),
            ("forward remove r tcp/80", "forward remove r tcp/80"),
            ("rule add a 'allow tcp/80' --name web", "rule add a allow tcp/80 --name web"),
            ("rule remove a web", "rule remove a web"),
            ("rule default a deny", "rule default a deny"),
            ("start a ping 10.0.0.1", "start a ping 10.0.0.1"),
        ] {
            let read: Vec<_> = read(line).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(read.join("; "), told, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told: Vec<String> = [
            "nonsense",
            "link",
            "link a.n",
            "link a.n sideways",
            "link a.n --speed 5",
            "link a.n --loss",
            "link a.n --loss 5",
            "link a.n --drop-nth 0",
            "partition p",
            "partition p a --now",
            "mirror n",
            "rule add a",
            "rule add a 'allow tcp/80' --before x",
            "start a",
        ]
        .map(|line| read(line).unwrap_err().to_string())
        .to_vec();
        insta::assert_snapshot!(told.join("\n"));
    }
}
