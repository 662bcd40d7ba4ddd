//! `netarium exec --lab`: a program in a fresh lab, at full speed, without a server.

use std::io::{Read, Write};

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
        return Err(unknown_host(&lab, &args.host));
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
    if code != exit::OK {
        hint(&world, terminal);
    }
    Ok(code)
}

fn unknown_host(lab: &Lab, host: &str) -> Error {
    let known: Vec<&str> = lab.model().hosts().iter().map(|h| h.name.as_str()).collect();
    let why = format!("the lab `{}` has no host `{host}`", lab.model().name());
    Error::Usage(why, Some(format!("its hosts are {}", known.join(", "))))
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
