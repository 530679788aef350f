//! Signals that end the server.

use std::io;

/// Installed handlers of SIGTERM and Ctrl-C.
pub(super) struct Signals {
    #[cfg(unix)]
    terminated: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupted: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupted: tokio::signal::windows::CtrlC,
}

impl Signals {
    /// Installs the handlers. Must be called in a tokio runtime.
    #[cfg(unix)]
    pub(super) fn install() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            terminated: signal(SignalKind::terminate())?,
            interrupted: signal(SignalKind::interrupt())?,
        })
    }

    /// Installs the handlers. Must be called in a tokio runtime.
    #[cfg(windows)]
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupted: tokio::signal::windows::ctrl_c()?,
        })
    }

    /// Returns after the first signal; a second one then ends the process at once.
    pub(super) async fn stopped(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(crate::cli::exit_code::CANCELLED.into());
        });
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminated.recv() => {}
            _ = self.interrupted.recv() => {}
        }
    }

    #[cfg(windows)]
    async fn next(&mut self) {
        self.interrupted.recv().await;
    }
}
