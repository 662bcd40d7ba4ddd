//! Lab files: the description of a network, read, validated, and ready to become a world.
//!
//! In reading order:
//!
//! 1. [`model`]: the validated [`Lab`] — plain data that needs no further check;
//! 2. [`value`]: what is written as text: subnets, MACs, rates, ports, probabilities;
//! 3. [`files`]: the lab's folder in memory, and what each host sees of it;
//! 4. `tree`, `decode`, `raw`: TOML with places, read without stopping at the first mistake;
//! 5. `validate`: every check, and every convention (addresses, MACs, default routes);
//! 6. [`error`]: mistakes as pictures of the file;
//! 7. [`builder`]: the same model made by a Rust program; [`write`](mod@write): a lab as a file again;
//! 8. [`build`]: from the model to a world; `dhcp`: its servers' and clients' configuration;
//! 9. [`edit`] and [`command`]: what an operator writes to change a running lab; [`save`]: the state of a world in
//!    a lab file; [`recording`]: a lab at the head of a recording;
//! 10. [`mod@builtin`]: the labs that come with the program; [`words`]: splitting commands;
//!     [`limits`].
//!
//! Nothing here reads a file, a clock or the network, and nothing prints.

pub mod build;
pub mod builder;
pub mod builtin;
pub mod command;
mod decode;
mod dhcp;
pub mod edit;
pub mod error;
pub mod files;
pub mod limits;
pub mod model;
mod raw;
pub mod recording;
pub mod save;
mod tree;
mod validate;
pub mod value;
pub mod words;
pub mod write;

use std::sync::Arc;

pub use builder::{HostBuilder, LabBuilder};
pub use builtin::{BuiltIn, builtin, builtins};
pub use error::{Code, LabError, LabErrors, Place};
pub use files::{Files, FilesError, HostFiles};
pub use model::{
    Action, Attach, Command, DhcpServer, Firewall, Forward, Gateway, Group, Host, InboundRule,
    Interface, Lab, Link, Nat, NatKind, Network, NodeKind, OneToOne, Publish, Reserved, Route, Run,
    Switch, Title, Wire,
};
pub use raw::schema;
pub use value::{Ipv4Net, Mac, PortRange, Probability, Protocol, Rate, Traffic};

use decode::Decode;
use error::{Errors, Origin};
use raw::RawLab;
use tree::Node;

impl Lab {
    /// Reads and validates a lab.
    ///
    /// `file_name` is the name that errors show, and from which a lab without a name of its own
    /// gets one (`port-forwarding/lab.toml` and `port-forwarding.toml`: `port-forwarding`).
    /// `files` is the lab's folder; `known_programs` are the names that commands may start with.
    ///
    /// # Errors
    /// All mistakes of the file, up to [`error::MAX_ERRORS`]; a syntax error, an unsupported version
    /// and a file beyond [`limits::MAX_FILE_BYTES`] stand alone.
    pub fn from_parts(
        file_name: &str,
        toml_text: &str,
        files: &Files,
        known_programs: &[&str],
    ) -> Result<Lab, LabErrors> {
        let files = Arc::new(files.clone());
        let mut errors = Errors::new();
        let lab = tree::parse(toml_text, &mut errors)
            .and_then(|node| read(&node, file_name, &files, known_programs, &mut errors));
        done(lab, errors, file_name, || {
            // What is too large to be read is not kept for a picture either.
            let most = toml_text.len() <= limits::MAX_FILE_BYTES;
            Origin::Text(if most { toml_text.to_owned() } else { String::new() })
        })
    }
}

/// Decodes and validates a tree; `None` when its version is not ours.
fn read(
    node: &Node,
    file_name: &str,
    files: &Arc<Files>,
    known_programs: &[&str],
    errors: &mut Errors,
) -> Option<Lab> {
    check_version(node, errors)?;
    let raw = RawLab::decode(node, errors)?;
    Some(validate::validate(&raw, &default_name(file_name), files, known_programs, errors))
}

/// Another version's keys mean something else: they are not looked at.
fn check_version(node: &Node, errors: &mut Errors) -> Option<()> {
    let tree::Kind::Table(entries) = &node.kind else { return Some(()) };
    let version = entries.iter().find(|e| e.key == "version");
    match version.map(|e| (&e.value.kind, e.value.spot)) {
        Some((tree::Kind::Int(n), spot)) if *n != validate::VERSION => {
            let message = format!("version {n} of the lab format is not supported");
            let label = format!("this program reads version {}", validate::VERSION);
            errors.report(Code::Version, spot, message, label).hint(if *n > validate::VERSION {
                "a newer netarium may read it"
            } else {
                "write `version = 1`"
            });
            None
        }
        _ => Some(()),
    }
}

fn done(
    lab: Option<Lab>,
    errors: Errors,
    file_name: &str,
    origin: impl FnOnce() -> Origin,
) -> Result<Lab, LabErrors> {
    match lab {
        Some(lab) if errors.is_empty() => Ok(lab),
        _ => Err(errors.finish(file_name, origin())),
    }
}

/// The name of a lab that does not say one: its folder's, or its file's without `.toml`.
fn default_name(file_name: &str) -> String {
    let mut parts = file_name.rsplit(['/', '\\']);
    let file = parts.next().unwrap_or_default();
    let stem = file.strip_suffix(".toml").unwrap_or(file);
    let name = if stem == "lab" { parts.next().unwrap_or(stem) } else { stem };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name: String = name.chars().filter(|&c| fits(c)).take(limits::MAX_NAME).collect();
    if name.is_empty() { "lab".to_owned() } else { name }
}
