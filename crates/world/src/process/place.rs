//! Where a process is and what it was told: working directory, environment, session.

use std::rc::Rc;

use netarium_base::Pid;

use super::{Environment, Process, Slot, slot};
use crate::files::FileError;
use crate::message::PortId;

/// The environment of what nobody has given another.
pub(crate) fn environment() -> Rc<Environment> {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let all = [("HOME", "/"), ("LOGNAME", "root"), ("PATH", path), ("SHELL", "/bin/sh")];
    let all = all.into_iter().chain([("USER", "root")]);
    Rc::new(all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A path from the root, without empty, `.` and `..` parts; those above the root stay there.
pub(crate) fn absolute(cwd: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { cwd };
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

impl Process {
    /// The working directory, with a slash in front.
    pub fn cwd(&self) -> String {
        format!("/{}", slot::with(|core| self.cwd_of(core)))
    }

    fn cwd_of(&self, core: &mut crate::core::Core) -> Rc<str> {
        core.proc_mut(self.node(), self.pid()).map_or_else(|| Rc::from(""), |p| Rc::clone(&p.cwd))
    }

    /// A path from the root, without a slash in front, as all calls that take a path read it:
    /// relative to the working directory, `..` one folder up.
    pub fn absolute(&self, path: &str) -> String {
        let cwd = slot::with(|core| self.cwd_of(core));
        absolute(&cwd, path)
    }

    /// Changes the working directory.
    ///
    /// # Errors
    /// When it is no folder.
    pub fn set_cwd(&self, path: &str) -> Result<(), FileError> {
        let path = self.absolute(path);
        if !self.metadata(&format!("/{path}"))?.is_dir {
            return Err(FileError::NotDirectory);
        }
        slot::with(|core| {
            if let Some(proc) = core.proc_mut(self.node(), self.pid()) {
                proc.cwd = path.into();
            }
        });
        Ok(())
    }

    /// The environment.
    pub fn environment(&self) -> Environment {
        slot::with(|core| {
            let proc = core.proc_mut(self.node(), self.pid());
            proc.map_or_else(Environment::new, |p| (*p.env).clone())
        })
    }

    /// An environment variable.
    pub fn var(&self, name: &str) -> Option<String> {
        slot::with(|core| core.proc_mut(self.node(), self.pid())?.env.get(name).cloned())
    }

    /// The process group.
    pub fn group(&self) -> Pid {
        slot::with(|core| core.proc_mut(self.node(), self.pid()).map_or(self.pid(), |p| p.group))
    }

    fn session(&self) -> Option<PortId> {
        slot::with(|core| {
            let proc = core.proc_mut(self.node(), self.pid())?;
            let streams = proc.slots.iter().find_map(|slot| match slot {
                Slot::Session(port, _) => Some(*port),
                _ => None,
            });
            proc.session.or(streams)
        })
    }

    /// Says that the session it belongs to is a terminal: an end of input is then read once, and
    /// more may follow. False: it belongs to no session.
    pub fn make_terminal(&self) -> bool {
        let Some(port) = self.session() else { return false };
        slot::with(|core| core.with_session(port, |session| session.terminal = true))
    }

    /// Makes a group the foreground of this process's session: it gets the signals that come from
    /// outside, and may read from the terminal. False: it belongs to no session.
    pub fn set_foreground(&self, group: Pid) -> bool {
        let Some(port) = self.session() else { return false };
        slot::with(|core| core.with_session(port, |session| session.foreground = group))
    }
}

#[cfg(test)]
mod tests {
    use super::absolute;

    #[test]
    fn paths_are_read_from_where_one_is() {
        for (cwd, path, expect) in [
            ("", "a/b", "a/b"),
            ("htdocs", "index.html", "htdocs/index.html"),
            ("htdocs", "/etc/hosts", "etc/hosts"),
            ("a/b", "../c", "a/c"),
            ("a", "../../../x", "x"),
            ("a/b", ".", "a/b"),
            ("a", "/", ""),
        ] {
            assert_eq!(absolute(cwd, path), expect, "{cwd} {path}");
        }
    }
}
