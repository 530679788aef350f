//! Starts and ends package clients, on systems other than Unix.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Returns a command that runs `program`. Its stdin is empty. Ctrl-C in a console reaches the client, too.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// Stops a client and waits for its end.
pub(crate) fn stop(child: &mut Child) {
    // Both fail if the client has exited already.
    let _ = child.kill();
    let _ = child.wait();
}
