//! Netarium as a library: a whole network inside a Rust test, in virtual time.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use netarium::Lab;
//!
//! let mut world = Lab::builtin("course")?.build(1)?;
//! let page = world.exec("friend", "curl -s http://10.0.0.2:65535/")?;
//! assert_eq!(page.code, 0, "{}", page.stderr_text());
//! assert!(page.stdout_text().contains("<html"));
//! # Ok(())
//! # }
//! ```
//!
//! A world runs as fast as the processor allows; nothing waits for real time, nothing touches the
//! real machine, and the same lab and seed give the same bytes, every time.
//!
//! In reading order: [`Lab`] (a network's description, from [a built-in one](Lab::builtin), a
//! [text](Lab::load_str) or the [builder](lab::LabBuilder)), [`World`] (a network that runs),
//! [`Output`] (what a program said); `headless` runs them. [`recording`] plays a recorded run
//! again, rewinds it, and forks it. The layers below are re-exported as [`lab`] and [`world`].

mod headless;
pub mod recording;

use std::rc::Rc;

pub use headless::{CaptureSpec, Captured, ExecError, Exit, Output, Streams, World};
pub use netarium_base::{Duration, EventId, Instant};
pub use netarium_lab as lab;
pub use netarium_lab::build::BuildError;
pub use netarium_world as world;
pub use netarium_world::{Ends, RunEnd};
pub use recording::{Recording, Replay};

use netarium_lab::{Files, LabErrors};

/// A validated description of a network.
#[derive(Clone, Debug)]
pub struct Lab {
    inner: netarium_lab::Lab,
}

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LabLoadError {
    /// No built-in lab has this name.
    #[error("there is no built-in lab `{0}`")]
    Unknown(String),
    /// The lab file has mistakes.
    #[error(transparent)]
    Mistakes(#[from] LabErrors),
}

/// How a world is built.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildOptions {
    /// The seed of all chance; the lab's own, or 0, when not given.
    pub seed: Option<u64>,
    /// What the lab's hosts take for the time at the start: nanoseconds since 1970-01-01 UTC. A
    /// fixed time when not given, so that runs are reproducible.
    pub epoch: Option<u64>,
    /// How many of the latest trace events are kept.
    pub trace_limit: usize,
    /// Whether the lab's `[[run]]` entries run by themselves.
    pub runs: bool,
}

impl Lab {
    /// A lab that comes with the program: `course`, `two-hosts`…
    ///
    /// # Errors
    /// When no built-in lab has this name.
    pub fn builtin(name: &str) -> Result<Lab, LabLoadError> {
        let built_in = lab::builtin(name).ok_or_else(|| LabLoadError::Unknown(name.to_owned()))?;
        Ok(Lab { inner: built_in.load(&program_names())? })
    }

    /// A lab from the text of a lab file, without other files.
    ///
    /// # Errors
    /// All mistakes of the text, as pictures of it.
    pub fn load_str(text: &str) -> Result<Lab, LabLoadError> {
        Lab::load("lab.toml", text, &Files::new())
    }

    /// A lab from the text of a lab file and the files beside it. `file_name` is what errors call
    /// the text.
    ///
    /// # Errors
    /// All mistakes of the text, as pictures of it.
    pub fn load(file_name: &str, text: &str, files: &Files) -> Result<Lab, LabLoadError> {
        let inner = netarium_lab::Lab::from_parts(file_name, text, files, &program_names())?;
        Ok(Lab { inner })
    }

    /// The description itself.
    pub fn model(&self) -> &netarium_lab::Lab {
        &self.inner
    }

    /// Builds the world, with all chance drawn from `seed`. Its programs start with its first step.
    ///
    /// # Errors
    /// When the lab passes a limit of the world.
    pub fn build(&self, seed: u64) -> Result<World, BuildError> {
        self.build_with(BuildOptions { seed: Some(seed), ..BuildOptions::default() })
    }

    /// Builds the world with all options.
    ///
    /// # Errors
    /// When the lab passes a limit of the world.
    pub fn build_with(&self, options: BuildOptions) -> Result<World, BuildError> {
        let seed = options.seed.or(self.inner.seed()).unwrap_or(0);
        let world = netarium_lab::build::world(
            &self.inner,
            netarium_lab::build::BuildOptions {
                seed,
                epoch: options.epoch,
                trace_limit: options.trace_limit,
                runs: options.runs,
                programs: Rc::new(netarium_programs::Builtin),
            },
        )?;
        Ok(World::new(world))
    }
}

impl From<netarium_lab::Lab> for Lab {
    fn from(inner: netarium_lab::Lab) -> Lab {
        Lab { inner }
    }
}

/// The names of all programs that hosts can run, sorted.
pub fn program_names() -> Vec<&'static str> {
    use netarium_world::process::Programs;
    netarium_programs::Builtin.names()
}

/// This build's name, as recordings tell it.
pub fn build_name() -> String {
    netarium_world::build::build_name()
}
