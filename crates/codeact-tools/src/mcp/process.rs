//! A server that is a program, in a process group that ends with its owner.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Size of the retained end of stderr, in bytes.
const MAX_STDERR_BYTES: usize = 4 << 10;
/// Time for a program to exit after its stdin was closed, and again after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// Time to wait for the exit status and the last output of an exited program.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A running program. Dropping it kills its process group.
pub(super) struct Child {
    child: Box<dyn ChildWrapper>,
    /// True after the group was killed: another group may get its number.
    ended: bool,
    tail: Arc<Mutex<Vec<u8>>>,
    drain: JoinHandle<()>,
}

impl Child {
    /// Starts `program` with pipes for stdin and stdout. Must be called in a runtime.
    pub(super) fn start(
        program: &str,
        args: &[String],
        env: &[(String, String)],
        cwd: Option<&Path>,
    ) -> std::io::Result<(Self, ChildStdout, ChildStdin)> {
        let mut command = CommandWrap::with_new(program, |command| {
            command
                .args(args)
                .envs(env.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            if let Some(cwd) = cwd {
                command.current_dir(cwd);
            }
        });
        command.wrap(KillOnDrop);
        // The terminal does not interrupt a group of its own.
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        let mut child = command.spawn()?;
        let pipes = (
            child.stdout().take(),
            child.stdin().take(),
            child.stderr().take(),
        );
        let tail = Arc::<Mutex<Vec<u8>>>::default();
        let drain = tokio::spawn(drain(pipes.2, tail.clone()));
        let this = Self {
            child,
            ended: false,
            tail,
            drain,
        };
        match (pipes.0, pipes.1) {
            (Some(stdout), Some(stdin)) => Ok((this, stdout, stdin)),
            _ => Err(std::io::Error::other("it has no pipes")),
        }
    }

    /// Waits until it has exited, and kills the rest of its group. Can be cancelled.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.kill();
        Ok(status)
    }

    /// Returns its exit status, if it exits soon, and the end of its stderr.
    pub(super) async fn exit_report(&mut self) -> String {
        let mut report = match timeout(DRAIN_TIME, self.wait()).await {
            Ok(Ok(status)) => format!("it ended with {status}"),
            _ => String::new(),
        };
        if self.ended {
            let _ = timeout(DRAIN_TIME, &mut self.drain).await;
        }
        // No code panics while it holds the lock.
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = String::from_utf8_lossy(&tail);
        if !tail.trim().is_empty() {
            let and = if report.is_empty() { "" } else { "; " };
            report += &format!("{and}its stderr ends with: {}", tail.trim());
        }
        report
    }

    /// Waits for its exit after stdin was closed, then sends SIGTERM, then kills it.
    pub(super) async fn shut_down(mut self) {
        if self.ended || timeout(GRACE, self.wait()).await.is_ok() {
            return;
        }
        #[cfg(unix)]
        if self.child.signal(libc::SIGTERM).is_ok() && timeout(GRACE, self.wait()).await.is_ok() {
            return;
        }
        self.kill();
        // Reaps the zombie.
        let _ = timeout(GRACE, self.child.wait()).await;
    }

    fn kill(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            // The group may have ended already.
            let _ = self.child.start_kill();
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        self.drain.abort();
    }
}

/// Reads stderr, and stores its end in `tail`.
async fn drain(stderr: Option<ChildStderr>, tail: Arc<Mutex<Vec<u8>>>) {
    let Some(mut stderr) = stderr else {
        return;
    };
    let mut chunk = [0; 1024];
    while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&chunk[..n]);
        let over = tail.len().saturating_sub(MAX_STDERR_BYTES);
        tail.drain(..over);
    }
}
