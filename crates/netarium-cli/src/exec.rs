//! `netarium exec --lab`: a program in a fresh lab, at full speed, without a server.

use std::io::{Read, Write};

use netarium::lab::words;
use netarium::{BuildOptions, ExecError, Lab, Streams, World, program_names};
use netarium_server::api::drops;
use netarium_server::source::load;

use crate::args::Exec;
use crate::exit::{self, Error};
use crate::files::{OutputFile, finish};
use crate::run::capture_all;
use crate::terminal::Terminal;

/// Runs the program to its end; its exit code is ours.
pub(crate) fn exec(args: &Exec, terminal: &Terminal) -> Result<i32, Error> {
    let what = args.lab.as_deref().unwrap_or_default();
    let lab = Lab::from(load(what, &program_names())?.lab);
    if lab.model().host(&args.host).is_none() {
        let lab = lab.model();
        let known = lab.hosts().iter().map(|h| h.name.as_str());
        return Err(unknown_host(lab.name(), &args.host, known));
    }
    let file = args.pcap.as_deref().map(OutputFile::create).transpose()?;
    let options = BuildOptions { seed: args.seed, ..BuildOptions::default() };
    let mut world = lab.build_with(options).map_err(Error::failed)?;
    let file = file.map(|file| capture_all(&mut world, file, netarium::Ends::Sender));
    let mut streams = Stdio { broken: false };
    let end = world.exec_with(&args.host, &args.argv, &mut streams);
    if let Some((id, file)) = file {
        world.inner_mut().end_capture(id);
        finish(&file)?;
    }
    let code = match end {
        Ok(exit) => {
            if let Some(message) = exit.message {
                terminal.error(message);
            }
            exit.code
        }
        Err(ExecError::Refused(why)) => return Err(Error::Usage(why, None)),
        Err(e) => {
            terminal.error(e);
            exit::FAILURE
        }
    };
    hint_at_shell(code, &args.host, &args.argv, terminal);
    if code != exit::OK {
        hint(&world, terminal);
    }
    Ok(code)
}

/// The lab has no such host.
pub(crate) fn unknown_host<'a>(
    lab: &str,
    host: &str,
    known: impl Iterator<Item = &'a str>,
) -> Error {
    let why = format!("the lab `{lab}` has no host `{host}`");
    let known: Vec<&str> = known.collect();
    Error::Usage(why, Some(format!("its hosts are {}", known.join(", "))))
}

/// What looks like a line for a shell was given as one word, and is the name of no program.
pub(crate) fn hint_at_shell(code: i32, host: &str, argv: &[String], terminal: &Terminal) {
    if let (127, [line]) = (code, argv)
        && line.contains(' ')
    {
        let line = words::join(&[line]);
        terminal.hint(format_args!("for a shell's line: netarium shell {host} -c {line}"));
    }
}

/// A program failed: when packets were dropped, that may be why.
fn hint(world: &World, terminal: &Terminal) {
    let drops = drops(world.inner());
    if let Some(most) = drops.first() {
        let packets = if most.count == 1 { "packet" } else { "packets" };
        terminal.hint(format_args!(
            "{} dropped {} {packets}: {}",
            most.place, most.count, most.sentence
        ));
    }
}

/// This program's own streams.
struct Stdio {
    broken: bool,
}

impl Streams for Stdio {
    fn stdout(&mut self, bytes: &[u8]) {
        let mut out = std::io::stdout();
        if !self.broken && out.write_all(bytes).and_then(|()| out.flush()).is_err() {
            self.broken = true;
        }
    }

    fn stderr(&mut self, bytes: &[u8]) {
        let _ = std::io::stderr().write_all(bytes);
    }

    fn has_stdin(&self) -> bool {
        true
    }

    fn stdin(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most.min(64 * 1024)];
        // An input that cannot be read is at its end.
        let n = std::io::stdin().read(&mut bytes).unwrap_or(0);
        bytes.truncate(n);
        bytes
    }
}
