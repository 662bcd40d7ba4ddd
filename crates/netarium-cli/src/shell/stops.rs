//! The keys that stop a program, as this system tells of them.

/// Ctrl-C as the lab numbers it.
pub(super) const SIGINT: u8 = 2;
/// Ctrl-Z, which Windows' terminals have no signal for.
#[cfg(unix)]
const SIGTSTP: u8 = 20;

/// Ctrl-C and Ctrl-Z. They are listened to all the time: one that comes while output is shown waits.
pub(super) struct Stops {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    suspend: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Stops {
    #[cfg(unix)]
    pub(super) fn new() -> std::io::Result<Stops> {
        use tokio::signal::unix::{SignalKind, signal};
        let tstp = if cfg!(target_os = "linux") { 20 } else { 18 };
        Ok(Stops {
            interrupt: signal(SignalKind::interrupt())?,
            suspend: signal(SignalKind::from_raw(tstp))?,
        })
    }

    #[cfg(windows)]
    pub(super) fn new() -> std::io::Result<Stops> {
        Ok(Stops { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => SIGINT,
            _ = self.suspend.recv() => SIGTSTP,
        }
    }

    #[cfg(windows)]
    pub(super) async fn next(&mut self) -> u8 {
        self.interrupt.recv().await;
        SIGINT
    }
}
