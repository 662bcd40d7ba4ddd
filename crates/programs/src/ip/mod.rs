//! `ip`: addresses, links, routes and neighbours, in iproute2's layouts. It shows; changing a running
//! host is the lab's business.
//!
//! Objects and commands may be shortened as with the original: `ip a`, `ip ro`, `ip n sh`.

mod show;

use core::net::IpAddr;

use netarium_base::Instant;
use netarium_stack::Interface;
use netarium_world::process::{LocalBoxFuture, Process};

const USAGE: &str = "\
Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }
where  OBJECT := { address | link | neighbour | route }
       COMMAND := { show | list }, route also: get ADDRESS
       OPTIONS := { -V[ersion] | -s[tatistics] | -4 | -6 | -br[ief] | -o[neline] }
";

/// What stands before the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    statistics: bool,
    brief: bool,
    v4: bool,
    v6: bool,
}

/// The objects, the order decides what a prefix means.
const OBJECTS: &[(&str, Object)] = &[
    ("address", Object::Address),
    ("link", Object::Link),
    ("neighbor", Object::Neighbour),
    ("neighbour", Object::Neighbour),
    ("route", Object::Route),
    ("help", Object::Help),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    Address,
    Link,
    Neighbour,
    Route,
    Help,
}

/// A command line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    Version,
    /// Show an object, perhaps of one interface only.
    Show(Options, Object, Option<String>),
    Get(IpAddr),
}

/// A text for standard error and the exit code.
type Refusal = (String, i32);

fn parse(args: &[String]) -> Result<Command, Refusal> {
    let mut options = Options::default();
    let mut words = args.iter().map(String::as_str).peekable();
    while let Some(word) = words.next_if(|w| w.starts_with('-') && w.len() > 1) {
        match word.trim_start_matches('-') {
            "s" | "stats" | "statistics" => options.statistics = true,
            "br" | "brief" => options.brief = true,
            "4" => options.v4 = true,
            "6" => options.v6 = true,
            "V" | "Version" => return Ok(Command::Version),
            "o" | "oneline" | "c" | "color" | "d" | "details" | "N" | "n" => {}
            _ => {
                let text = format!("Option \"{word}\" is unknown, try \"ip -help\".\n");
                return Err((text, 255));
            }
        }
    }
    let Some(word) = words.next() else { return Err((USAGE.to_owned(), 255)) };
    let found = OBJECTS.iter().find(|(name, _)| name.starts_with(word));
    let &(name, object) =
        found.ok_or_else(|| (format!("Object \"{word}\" is unknown, try \"ip help\".\n"), 1))?;
    if object == Object::Help {
        return Err((USAGE.to_owned(), 255));
    }
    match words.next() {
        None => Ok(Command::Show(options, object, None)),
        Some(verb) if "show".starts_with(verb) || "list".starts_with(verb) => {
            Ok(Command::Show(options, object, device(words)))
        }
        Some("dev") => Ok(Command::Show(options, object, words.next().map(str::to_owned))),
        Some(verb) if object == Object::Route && "get".starts_with(verb) => get(words.next()),
        Some("help") => Err((USAGE.to_owned(), 255)),
        Some("add" | "del" | "delete" | "set" | "change" | "replace" | "flush") => {
            let text = "a host's interfaces, addresses and routes are set in the lab file\n";
            Err((format!("ip: {text}"), 2))
        }
        Some(verb) => {
            let text = format!("Command \"{verb}\" is unknown, try \"ip {name} help\".\n");
            Err((text, 255))
        }
    }
}

/// `dev NAME` or just `NAME`.
fn device<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<String> {
    let first = words.next()?;
    if first == "dev" { words.next().map(str::to_owned) } else { Some(first.to_owned()) }
}

fn get(word: Option<&str>) -> Result<Command, Refusal> {
    let word = word.ok_or_else(|| ("need at least a destination address\n".to_owned(), 255))?;
    let bad = || (format!("Error: any valid prefix is expected rather than \"{word}\".\n"), 1);
    word.parse().map(Command::Get).map_err(|_| bad())
}

/// The program.
pub(crate) fn main(process: Process) -> LocalBoxFuture<i32> {
    Box::pin(async move {
        let args = process.args();
        match parse(args.get(1..).unwrap_or_default()).and_then(|c| answer(&process, c)) {
            Ok(text) => {
                process.print(&text).await;
                0
            }
            Err((text, code)) => {
                process.eprint(&text).await;
                code
            }
        }
    })
}

fn answer(process: &Process, command: Command) -> Result<String, Refusal> {
    match command {
        Command::Version => Ok("ip utility, iproute2-6.1.0 (netarium)\n".to_owned()),
        Command::Get(to) => process.with_stack(|stack, cx| {
            let found = stack.source_for(to);
            let (iface, source, via) =
                found.map_err(|e| (format!("RTNETLINK answers: {e}\n"), 2))?;
            let interfaces = stack.interfaces();
            let learnt = stack.learnt_mtu(cx.now, to);
            let learnt = learnt.map(|(mtu, until)| (mtu, until.since(cx.now).as_millis() / 1_000));
            Ok(show::route_get(interfaces, to, iface, source, via, learnt))
        }),
        Command::Show(options, object, device) => process.with_stack(|stack, cx| {
            let all = stack.interfaces();
            if let Some(name) = &device
                && !all.iter().any(|i| i.name == *name)
            {
                let text = match object {
                    Object::Route | Object::Neighbour => format!("Cannot find device \"{name}\"\n"),
                    _ => format!("Device \"{name}\" does not exist.\n"),
                };
                return Err((text, 1));
            }
            let wanted = |i: &&Interface| device.as_ref().is_none_or(|d| *d == i.name);
            let chosen: Vec<&Interface> = all.iter().filter(wanted).collect();
            let now = cx.now;
            let left = |i: &Interface, address| {
                let lifetime = stack.lifetime(i.index, address)?;
                let seconds = |until: Instant| until.since(now).as_secs();
                Some((seconds(lifetime.valid_until), seconds(lifetime.preferred_until)))
            };
            Ok(match object {
                Object::Address if options.brief => show::brief(&chosen, true),
                Object::Link if options.brief => show::brief(&chosen, false),
                Object::Address => show::addresses(&chosen, options, &left),
                Object::Link => show::links(&chosen, options),
                Object::Route => show::routes(stack.routes(), all, &chosen, options),
                Object::Neighbour | Object::Help => {
                    show::neighbours(&stack.neighbours(cx.now), &chosen)
                }
            })
        }),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
