//! The command `netarium`.
//!
//! [`args`] defines the command line, [`exit`] the exit codes. [`up`], [`run`], [`exec`] (in a fresh
//! lab), [`shell`], [`labs`] are the commands, [`replay`] and [`fork`] those of recordings, [`past`] goes back and
//! forward in one; [`drill`] runs packet scripts; [`remote`] those
//! that speak to a running lab, [`doors`] those about real programs in it, [`edit`] those that change one, [`eyes`] those that look at its
//! events, [`pacing`] those that change its pace. [`screen`] is what
//! `up` shows at first and [`notices`] what it says of connections, [`terminal`] colours and asks for quiet, [`files`] are those that commands write.
//! Data goes to the standard output, everything else to the standard error.

mod args;
mod doors;
mod drill;
mod edit;
mod exec;
mod exit;
mod eyes;
mod files;
mod fork;
mod labs;
mod notices;
mod pacing;
mod past;
mod remote;
mod replay;
mod run;
mod screen;
mod shell;
mod terminal;
mod up;

use std::io::Write;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use exit::Error;
use terminal::Terminal;

fn main() {
    let cli = Cli::parse();
    let terminal = Terminal::new(&cli.global);
    let result = dispatch(cli, &terminal);
    std::process::exit(result.unwrap_or_else(|error| error.report(&terminal)));
}

fn dispatch(cli: Cli, terminal: &Terminal) -> Result<i32, Error> {
    let json = cli.global.json;
    match cli.command {
        Command::Up(args) => up::up(args, json, terminal),
        Command::Run(args) => run::run(&args, json, terminal),
        Command::Exec(args) if args.lab.is_some() => exec::exec(&args, terminal),
        Command::Exec(args) => remote::exec(args, terminal),
        Command::Browser(args) => doors::browser(args, terminal),
        Command::Connections(args) => doors::connections(&args, json),
        Command::Shell(args) => shell::shell(args, terminal),
        Command::Capture(args) => remote::capture(&args, terminal),
        Command::Trace(args) => eyes::trace(&args, terminal),
        Command::Why(args) => eyes::why(&args, json),
        Command::Speed(args) => pacing::speed(&args, json, terminal),
        Command::Pause(args) => pacing::pause(&args, true, json, terminal),
        Command::Resume(args) => pacing::pause(&args, false, json, terminal),
        Command::Step(args) => pacing::step(&args, json, terminal),
        Command::Break(args) => pacing::breakpoints(&args, json, terminal),
        Command::Link(args) => edit::link(*args, json),
        Command::Partition(args) => edit::partition(args, json),
        Command::Heal(args) => edit::heal(args, terminal),
        Command::Switch(args) => edit::switch(args, json),
        Command::Mirror(args) => edit::mirror(args, terminal),
        Command::Forward(args) => edit::forward(args, json, terminal),
        Command::Rule(args) => edit::rule(args, json, terminal),
        Command::Start(args) => edit::start(args, json),
        Command::Kill(args) => edit::kill(args, json),
        Command::Save(args) => edit::save(args, json, terminal),
        Command::Labs => labs::labs(json, terminal),
        Command::Schema => {
            // Who reads only the beginning (`| head`) has seen what it wanted.
            let _ = writeln!(std::io::stdout(), "{}", netarium::lab::schema());
            Ok(exit::OK)
        }
        Command::Replay(args) => replay::replay(&args, json, terminal),
        Command::Rewind(args) => past::rewind(&args, json, terminal),
        Command::Record(args) => past::record(&args, terminal),
        Command::Fork(args) => fork::fork(&args, json, terminal),
        Command::Diff(args) => fork::diff(&args, json, terminal),
        Command::Drill(args) => drill::drill(&args, json, terminal),
        Command::Completions(args) => {
            let mut command = Cli::command();
            clap_complete::generate(args.shell, &mut command, "netarium", &mut std::io::stdout());
            Ok(exit::OK)
        }
    }
}
