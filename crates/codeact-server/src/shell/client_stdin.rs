//! Stdin of a command as it comes in: both ends of a pipe, as commands of the shell.

use bashkit::{Command, CommandContext, CommandStatus, Result as ShellResult, async_trait};
use codeact::sandbox::Cancel;
use tokio::sync::mpsc;

/// The start of the pipe: writes what the client sends.
pub(super) struct ClientStdin {
    pub(super) pieces: tokio::sync::Mutex<Option<mpsc::Receiver<Vec<u8>>>>,
    pub(super) end: Cancel,
}

#[async_trait]
impl Command for ClientStdin {
    async fn execute(&self, context: CommandContext<'_>) -> ShellResult<CommandStatus> {
        let Some(mut pieces) = self.pieces.lock().await.take() else {
            return Ok(CommandStatus::success());
        };
        loop {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                () = self.end.cancelled() => None,
            };
            match piece {
                Some(bytes) => context.stdout.write_all(&bytes).await?,
                None => return Ok(CommandStatus::success()),
            }
        }
    }
}

/// The end of the command that has the client's stdin.
pub(super) struct EndOfStdin(pub(super) Cancel);

#[async_trait]
impl Command for EndOfStdin {
    async fn execute(&self, _context: CommandContext<'_>) -> ShellResult<CommandStatus> {
        self.0.cancel();
        Ok(CommandStatus::success())
    }
}
