//! The arguments of `drill`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  netarium drill handshake.pkt                 one script
  netarium drill tests/scripts/tcp             every .pkt file of a folder
  netarium drill fin.pkt --verbose             every event and packet, with its time
  netarium drill suite --junit report.xml --define CC=reno

Scripts are packetdrill's. Nothing real is touched and time is virtual: no root, no waiting.
What has no meaning here is skipped, and the reason is listed.

Exit code 1: a script failed. 2: a file could not be read, or a flag is wrong.")]
pub(crate) struct Drill {
    /// Scripts, or folders of .pkt files
    #[arg(value_name = "FILE|DIR", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// Write the results into this file, as JUnit XML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) junit: Option<PathBuf>,
    /// Show every event and packet, and scripts that passed
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Replace a word in the scripts
    #[arg(short = 'D', long = "define", value_name = "KEY=VALUE", value_parser = definition)]
    pub(crate) define: Vec<String>,
    /// How far from its time an event may be, in microseconds [default: the script's own, or 4000]
    #[arg(long, value_name = "N")]
    pub(crate) tolerance_usecs: Option<u32>,
    /// The MTU of the host under test, bytes [default: the script's own, or 1500]
    #[arg(long, value_name = "N")]
    pub(crate) mtu: Option<u16>,
}

fn definition(text: &str) -> Result<String, String> {
    let good = text.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    if good { Ok(text.to_owned()) } else { Err("expected KEY=VALUE".to_owned()) }
}
