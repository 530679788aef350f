//! A server that is a program: its own process group, which ends with whoever holds it.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// So much of the end of stderr is kept, in bytes.
const TAIL: usize = 4 << 10;
/// How long a program may take to end after its stdin was closed, and again after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// How long what it wrote last may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(1);

/// A running program. Dropping it kills it and all that it has started.
pub(super) struct Child {
    child: Box<dyn ChildWrapper>,
    /// Its group is no more: its number may be another's.
    ended: bool,
    tail: Arc<Mutex<Vec<u8>>>,
    drain: JoinHandle<()>,
}

impl Child {
    /// Starts `program` with pipes for its stdin and stdout. Must be called within a runtime.
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
        // A group of its own is also not what the terminal interrupts.
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

    /// Waits until it has ended by itself, and ends what it has left running. May be dropped.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.kill();
        Ok(status)
    }

    /// How it ended, if it has or is about to, and what it wrote to stderr last.
    pub(super) async fn last_words(&mut self) -> String {
        let mut words = match timeout(ARRIVAL, self.wait()).await {
            Ok(Ok(status)) => format!("it ended with {status}"),
            _ => String::new(),
        };
        if self.ended {
            let _ = timeout(ARRIVAL, &mut self.drain).await;
        }
        // Nothing panics while holding it.
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let tail = String::from_utf8_lossy(&tail);
        if !tail.trim().is_empty() {
            let and = if words.is_empty() { "" } else { "; " };
            words += &format!("{and}its stderr ends with: {}", tail.trim());
        }
        words
    }

    /// Ends it, once its stdin is closed: by itself, else by SIGTERM, else by force.
    pub(super) async fn shut_down(mut self) {
        if self.ended || timeout(GRACE, self.wait()).await.is_ok() {
            return;
        }
        #[cfg(unix)]
        if self.child.signal(libc::SIGTERM).is_ok() && timeout(GRACE, self.wait()).await.is_ok() {
            return;
        }
        self.kill();
        // Only so that no zombie is left.
        let _ = timeout(GRACE, self.child.wait()).await;
    }

    fn kill(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            // A group that has ended is no error worth telling.
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

async fn drain(stderr: Option<ChildStderr>, tail: Arc<Mutex<Vec<u8>>>) {
    let Some(mut stderr) = stderr else {
        return;
    };
    let mut piece = [0; 1024];
    while let Ok(n @ 1..) = stderr.read(&mut piece).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&piece[..n]);
        let over = tail.len().saturating_sub(TAIL);
        tail.drain(..over);
    }
}
