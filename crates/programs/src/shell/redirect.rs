//! Redirections: POSIX.1-2017 §2.7. They change the streams of the shell one after the other, and
//! the descriptors that they changed are as before when the command has ended; those of an `exec`
//! without a command stay.

use netarium_world::files::FileError;
use netarium_world::process::{Fd, OpenError, OpenMode, PIPE_MAX, Process};
use tokio::io::AsyncWriteExt;

use super::ast::{Redirect, RedirectKind};
use super::state::{Shell, Stop};

/// Standard input, output and error.
#[derive(Clone, Debug)]
pub(super) struct Io(pub(super) [Fd; 3]);

impl Io {
    pub(super) fn of(process: &Process) -> Io {
        Io([0, 1, 2].map(|n| process.fd(n)))
    }
}

impl Shell {
    /// Redirects what runs now. False: a file could not be opened, and `status` says so. Either way
    /// the caller [restores](Self::restore) what was redirected.
    pub(super) async fn redirect(&mut self, redirects: &[Redirect]) -> Result<bool, Stop> {
        for r in redirects {
            let target = self.expand_one(&r.target).await?;
            if r.fd > 2 {
                self.status = self.error(2, &format!("{}: bad file number", r.fd)).await;
                return Ok(false);
            }
            let opened = match r.kind {
                RedirectKind::Duplicate => match target.as_str() {
                    "-" => Ok(self.process.null()),
                    "0" | "1" | "2" => {
                        Ok(self.io.0[usize::from(target.as_bytes()[0] - b'0')].clone())
                    }
                    _ => Err(format!("{target}: bad fd number")),
                },
                RedirectKind::Here => self.here(&target).await,
                RedirectKind::Read => self.opened(&target, OpenMode::Read),
                RedirectKind::Write => self.opened(&target, OpenMode::Truncate),
                RedirectKind::Append => self.opened(&target, OpenMode::Append),
            };
            match opened {
                Ok(fd) => self.io.0[r.fd] = fd,
                Err(why) => {
                    self.status = self.error(2, &why).await;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn opened(&self, path: &str, mode: OpenMode) -> Result<Fd, String> {
        let (verb, missing) = match mode {
            OpenMode::Read => ("open", "No such file"),
            _ => ("create", "Directory nonexistent"),
        };
        let folder = path.rsplit_once('/').map(|(folder, _)| folder).filter(|f| !f.is_empty());
        let there = folder.is_none_or(|f| self.process.metadata(f).is_ok_and(|m| m.is_dir));
        let opened = if there || path == "/dev/null" {
            self.process.open(path, mode)
        } else {
            Err(OpenError::File(FileError::NotFound))
        };
        opened.map_err(|e| match e {
            OpenError::File(FileError::NotFound | FileError::NotDirectory) => {
                format!("cannot {verb} {path}: {missing}")
            }
            e => format!("cannot {verb} {path}: {e}"),
        })
    }

    /// A descriptor that gives a text, which a pipe must hold: nobody reads it yet.
    async fn here(&self, text: &str) -> Result<Fd, String> {
        if text.len() > PIPE_MAX {
            return Err(format!("here document of more than {PIPE_MAX} bytes"));
        }
        let (read, mut write) = self.process.pipe().map_err(|e| e.to_string())?;
        write.write_all(text.as_bytes()).await.map_err(|e| e.to_string())?;
        Ok(read)
    }

    /// Ends redirections: the descriptors that they changed are as in `outer` again.
    pub(super) fn restore(&mut self, redirects: &[Redirect], outer: &Io) {
        for r in redirects.iter().filter(|r| r.fd <= 2) {
            self.io.0[r.fd] = outer.0[r.fd].clone();
        }
    }
}
