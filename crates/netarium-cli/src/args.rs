//! The command line: one definition from which parser, help and completions come.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use netarium::Duration;

use crate::edit;
mod doors;
mod drill;
mod eyes;

pub(crate) use doors::{Browser, Connections, ProxyAt};
pub(crate) use drill::Drill;
pub(crate) use eyes::{Break, OnLab, Speed, Step, Trace, Unit, Why};

/// A whole network in one program.
#[derive(Debug, Parser)]
#[command(
    name = "netarium",
    version,
    about = "A whole network in one program: hosts, switches, NAT routers, firewalls and web \
             servers on a real TCP/IP stack",
    after_help = EXAMPLES,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  netarium up                                start the lab `course`, then open the URL it prints
  netarium exec friend curl -v http://10.0.0.2:65535/
                                             run a program on a host of the running lab
  netarium exec --lab course web netstat -ano
                                             the same in a fresh lab, at full speed
  netarium shell web                         a shell on a host of the running lab
  netarium run course --pcap out.pcapng      run headless and capture every wire
  netarium capture web.home -w - | tshark -r -
                                             watch a wire of the running lab

LAB is a file, a folder with a lab.toml, or the name of a built-in lab (`netarium labs`).

Exit codes: 0 success; 1 failure; 2 wrong usage or a mistake in a lab file, nothing was started.
`exec` returns the exit code of the program that it ran.";

/// What every command understands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Say only what was asked for, and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colours [env: NO_COLOR turns them off]
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(crate) color: When,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// When the output is a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a lab in real time; Ctrl-C ends it
    Up(Up),
    /// Run a lab headless, as fast as possible, until nothing more happens
    Run(Run),
    /// Run a program on a host; everything after HOST belongs to it
    Exec(Exec),
    /// A shell on a host
    Shell(Shell),
    /// Open the installed browser in the running lab: its names and addresses work as typed
    Browser(Browser),
    /// List the real clients of the running lab, and what they are connected to
    Connections(Connections),
    /// Capture wires of the running lab as pcapng
    Capture(Capture),
    /// Print trace events as JSON lines: those that are kept, or those that happen
    Trace(eyes::Trace),
    /// Tell why something happened: from an event back to its root
    Why(eyes::Why),
    /// Change the speed of a running lab
    Speed(eyes::Speed),
    /// Make a running lab stand still
    Pause(eyes::OnLab),
    /// Let a paused lab go on
    Resume(eyes::OnLab),
    /// Let a running lab take a step, or run until a condition holds
    Step(eyes::Step),
    /// Pause a running lab when a condition holds
    Break(eyes::Break),
    /// List the wires of the running lab, or change one: cut, loss, delay, rate
    Link(Box<edit::Link>),
    /// Part hosts of the running lab from each other, or list the partitions
    Partition(edit::Partition),
    /// End a partition of the running lab
    Heal(edit::Heal),
    /// Show what a switch of the running lab has learned, and what passed its ports
    Switch(edit::Switch),
    /// Have a switch of the running lab copy what passes to one port
    Mirror(edit::Mirror),
    /// Forwarded ports of a router of the running lab
    Forward(edit::Forward),
    /// Inbound rules of a host of the running lab
    Rule(edit::Rule),
    /// Start a program in the background on a host of the running lab
    Start(edit::Start),
    /// End programs on a host of the running lab
    Kill(edit::Kill),
    /// Write the running lab's present state into its lab file
    Save(edit::Save),
    /// List the built-in labs and the labs that run
    Labs,
    /// Print the JSON Schema of lab files, for editors
    Schema,
    /// Play a recording again, and check that it is the same run
    Replay(Replay),
    /// Look at the past of a running lab, while it goes on
    Rewind(Rewind),
    /// Write what the running lab did until now as a recording
    Record(Record),
    /// Change one thing in a recorded run, go on, and tell what differs
    Fork(Fork),
    /// Tell what differs between two recorded runs
    Diff(Diff),
    /// Run packetdrill scripts against this TCP, in virtual time
    Drill(drill::Drill),
    /// Print completions for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium up                       the built-in lab `course`
  netarium up my-lab                the lab in the folder my-lab
  netarium up my-lab --pcap all.pcapng

A published port that is taken moves to the next free one; the screen says so.
A lab's files may be edited while it runs: save, refresh, see it.")]
pub(crate) struct Up {
    /// A file, a folder or a built-in lab
    #[arg(default_value = DEFAULT_LAB, value_hint = ValueHint::AnyPath)]
    pub(crate) lab: String,
    /// Capture every wire into this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) pcap: Option<PathBuf>,
    /// Which ends of a wire a capture shows
    #[arg(long, value_enum, default_value_t = Ends::Sender)]
    pub(crate) ends: Ends,
    /// Write every event into this file, one JSON object per line; the lab waits for the disk
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trace: Option<PathBuf>,
    /// The seed of all chance [default: the lab's own, or 0]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The name by which `--on` finds the lab [default: the lab's own]
    #[arg(long, value_name = "NAME", value_parser = lab_name)]
    pub(crate) name: Option<String>,
    /// Virtual seconds per second, 0.001 to 1000, or max
    #[arg(long, value_name = "X", default_value = "1", value_parser = eyes::pace)]
    pub(crate) speed: netarium_server::Pace,
    /// Record the run into this file, for `netarium replay`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) record: Option<PathBuf>,
    /// Allow published ports and a proxy on addresses that other machines can reach
    #[arg(long)]
    pub(crate) allow_lan: bool,
    /// Let the ports of `[attach]` continue to real servers on this machine
    #[arg(long)]
    pub(crate) allow_attach: bool,
    /// Where the proxy (SOCKS5 and HTTP) listens: ADDR:PORT, a port, or `off`
    /// [default: 127.0.0.1:1080, or the next free port]
    #[arg(long, value_name = "ADDR")]
    pub(crate) proxy: Option<ProxyAt>,
    /// The host from which the proxy's connections come [default: the lab file's, else the gateway]
    #[arg(long, value_name = "HOST")]
    pub(crate) proxy_from: Option<String>,
    /// Connections that published ports and the proxy may have at once; further ones are reset
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(crate) max_connections: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium run course --pcap out.pcapng     then: wireshark out.pcapng
  netarium run my-lab --for 60s --trace events.jsonl --seed 7

The same lab and seed give the same bytes, every time.")]
pub(crate) struct Run {
    /// A file, a folder or a built-in lab
    #[arg(default_value = DEFAULT_LAB, value_hint = ValueHint::AnyPath)]
    pub(crate) lab: String,
    /// Stop at this virtual time (10us, 2ms, 1.5s, 1m) even if something still happens, and not
    /// before it [default: until idle, at most 1h]
    #[arg(long = "for", value_name = "TIME")]
    pub(crate) limit: Option<Duration>,
    /// Capture every wire into this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) pcap: Option<PathBuf>,
    /// Which ends of a wire a capture shows
    #[arg(long, value_enum, default_value_t = Ends::Sender)]
    pub(crate) ends: Ends,
    /// Write every event into this file, one JSON object per line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trace: Option<PathBuf>,
    /// Record the run into this file, for `netarium replay`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) record: Option<PathBuf>,
    /// The seed of all chance [default: the lab's own, or 0]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium exec friend curl -v http://10.0.0.2:65535/
  netarium exec --lab course web netstat -ano
  echo hello | netarium exec --on course pc curl -d @- http://web/

Without --lab, a lab must be running (`netarium up`).
The exit code is the program's own.")]
pub(crate) struct Exec {
    /// A fresh lab at full speed: a file, a folder or a built-in lab
    #[arg(long, value_name = "LAB", conflicts_with = "on", value_hint = ValueHint::AnyPath)]
    pub(crate) lab: Option<String>,
    /// The running lab of this name [default: the only one that runs]
    #[arg(long, value_name = "NAME")]
    pub(crate) on: Option<String>,
    /// The seed of all chance in a fresh lab [default: the lab's own, or 0]
    #[arg(long, value_name = "N", requires = "lab")]
    pub(crate) seed: Option<u64>,
    /// Capture every wire of a fresh lab into this file
    #[arg(long, value_name = "FILE", requires = "lab", value_hint = ValueHint::FilePath)]
    pub(crate) pcap: Option<PathBuf>,
    /// The host
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// The program and its arguments
    #[arg(
        value_name = "CMD",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) argv: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium shell web                        on a host of the running lab
  netarium shell --lab course web           in a lab that runs as long as the shell
  echo 'ls | wc -l' | netarium shell web    commands from a pipe
  netarium shell web -c 'netstat -ano | findstr :80'

Tab completes programs, files and hosts; Ctrl-C ends the program in the foreground, Ctrl-Z stops it
(fg, bg, jobs), Ctrl-D leaves. `help` lists what the shell knows.")]
pub(crate) struct Shell {
    /// A fresh lab: a file, a folder or a built-in lab; at full speed for commands from a pipe
    #[arg(long, value_name = "LAB", conflicts_with = "on", value_hint = ValueHint::AnyPath)]
    pub(crate) lab: Option<String>,
    /// The running lab of this name [default: the only one that runs]
    #[arg(long, value_name = "NAME")]
    pub(crate) on: Option<String>,
    /// The seed of all chance in a fresh lab [default: the lab's own, or 0]
    #[arg(long, value_name = "N", requires = "lab")]
    pub(crate) seed: Option<u64>,
    /// Run these commands instead of reading them
    #[arg(short, long = "command", value_name = "COMMANDS")]
    pub(crate) command: Option<String>,
    /// The host
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium capture -w all.pcapng                every wire, until Ctrl-C
  netarium capture web.home router.home -w two.pcapng
  netarium capture web.home -w - | tshark -r -

A wire's name is HOST.NETWORK. Each end of a wire is an interface of the capture; a frame is
shown once, at the end that sent it, unless --ends says otherwise.")]
pub(crate) struct Capture {
    /// Wires by name [default: all]
    #[arg(value_name = "LINK")]
    pub(crate) links: Vec<String>,
    /// The file to write; - for the standard output
    #[arg(short, long = "write", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) write: PathBuf,
    /// Which ends of a wire the capture shows
    #[arg(long, value_enum, default_value_t = Ends::Sender)]
    pub(crate) ends: Ends,
    /// The running lab of this name [default: the only one that runs]
    #[arg(long, value_name = "NAME")]
    pub(crate) on: Option<String>,
}

/// Which ends of a wire a capture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ends {
    /// Each frame once, where it was sent
    Sender,
    /// Each frame once, where it arrived
    Receiver,
    /// Each frame at both ends
    Both,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium run course --record run.rec
  netarium replay run.rec                       the same run, compared on the way
  netarium replay run.rec --to 1.5s --pcap until.pcapng
  netarium replay run.rec --trace events.jsonl  every event, even if nobody watched then
  netarium replay run.rec --interactive         back and forward, by commands (`help`)

Exit code 1: the replay did something else than the recorded run.")]
pub(crate) struct Replay {
    /// The recording
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Go back and forward by commands that are read from the standard input
    #[arg(short, long, conflicts_with_all = ["to", "pcap", "trace"])]
    pub(crate) interactive: bool,
    /// Play only up to this virtual time, or event
    #[arg(long, value_name = "TIME|#EVENT")]
    pub(crate) to: Option<At>,
    /// Capture every wire into this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) pcap: Option<PathBuf>,
    /// Which ends of a wire a capture shows
    #[arg(long, value_enum, default_value_t = Ends::Sender)]
    pub(crate) ends: Ends,
    /// Write every event into this file, one JSON object per line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) trace: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium rewind                     a prompt: -5s, #4711, until 'drop', sockets web, help
  netarium rewind 12.5s               go there, and tell what happened last
  netarium rewind -5s                 5 s before where you looked last, or before now

The lab goes on meanwhile; what you look at is a second world, played from what was recorded.")]
pub(crate) struct Rewind {
    /// A virtual time, #EVENT, end, or from where you looked last: -5s, +2s, -1, +1 (steps)
    #[arg(value_name = "TIME|#EVENT", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) lab: OnLab,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium record run.rec             then: netarium replay run.rec")]
pub(crate) struct Record {
    /// The recording to write
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) lab: OnLab,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium fork run.rec --at '#1234' --change 'drop frame'
  netarium fork run.rec --at 2s --change 'link web.home down'
  netarium fork run.rec --at 2s --change \"rule remove web 'allow tcp/80'\"
  netarium fork run.rec --change 'seed 7'

Outside connections are detached: what their other ends sent is sent again at the recorded times.
Event numbers are those of `netarium replay FILE --trace events.jsonl`.")]
pub(crate) struct Fork {
    /// The recording
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Where the fork begins; a seed changes the run from its start
    #[arg(long, value_name = "TIME|#EVENT")]
    pub(crate) at: Option<At>,
    /// `drop frame`, `seed N`, or what `netarium` would do to a running lab: `link web.home down`,
    /// `rule remove web 'allow tcp/80'`, `forward …`, `start …`
    #[arg(long, value_name = "CHANGE")]
    pub(crate) change: edit::Change,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// A recording
    #[arg(value_name = "A", value_hint = ValueHint::FilePath)]
    pub(crate) before: PathBuf,
    /// Another
    #[arg(value_name = "B", value_hint = ValueHint::FilePath)]
    pub(crate) after: PathBuf,
}

/// A point of a run: a virtual time or `#` and the number of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(pub(crate) netarium::recording::Moment);

impl std::str::FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<At, String> {
        use netarium::recording::Goal;
        match text.parse()? {
            Goal::At(moment) => Ok(At(moment)),
            _ => Err("a time such as 1.5s, or an event: #1234".to_owned()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// The longest name that `--name` takes, characters.
const NAME_MAX: usize = 63;

/// A name that `--on` takes and that is a file's name as it stands.
fn lab_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let good = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(plain)
        && text.len() <= NAME_MAX;
    good.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "a name is a letter or digit (of ASCII), then letters, digits, `_` and `-`: at most \
             {NAME_MAX} characters"
        )
    })
}

/// The lab that is meant when none is named.
pub(crate) const DEFAULT_LAB: &str = "course";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_are_plain() {
        let most = "a".repeat(NAME_MAX);
        for good in ["a", "7", "course-2", "my_lab", &most] {
            assert_eq!(lab_name(good).as_deref(), Ok(good));
        }
        for bad in ["", "../x", "-x", "_x", "a b", "a.b", "한", &format!("{most}a")] {
            assert!(lab_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_follows_the_host_belongs_to_the_program() {
        let cli = Cli::parse_from([
            "netarium", "exec", "--lab", "course", "web", "netstat", "-ano", "--help", "--json",
        ]);
        let Command::Exec(exec) = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!((exec.host.as_str(), exec.lab.as_deref()), ("web", Some("course")));
        assert_eq!(exec.argv, ["netstat", "-ano", "--help", "--json"]);
        assert!(!cli.global.json);
    }
}
