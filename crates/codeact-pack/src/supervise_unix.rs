//! Starts and ends package clients, on Unix.
//!
//! A client has a process group of its own, with all its children: uv runs pip as a child, and so do the shims of
//! version managers. A shell in the group ends it when this process has closed a pipe, that is when it has ended, for
//! whatever reason.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Runs its arguments, and waits for the end of its stdin at the same time. `kill` with 0 is for the shell's own group.
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
client=$!
{ while read -r _; do :; done; kill -s TERM 0; } <&3 >/dev/null 2>&1 &
exec 3<&-
wait "$client"
"#;
/// Time for a client to exit after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

/// Returns a command that runs `program`. Its stdin is empty.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", SUPERVISOR, "sh"])
        .arg(program)
        .process_group(0)
        .stdin(Stdio::piped());
    command
}

/// Stops a client with its children, and waits for its end.
pub(crate) fn stop(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // It was not waited for, so its number cannot be that of another group.
    let signal = |signal| group.is_some_and(|group| kill_process_group(group, signal).is_ok());
    if signal(Signal::TERM) {
        let start = Instant::now();
        while start.elapsed() < GRACE && is_running(child.try_wait()) {
            std::thread::sleep(POLL);
        }
    }
    // Both fail if all have exited already.
    signal(Signal::KILL);
    let _ = child.wait();
}

fn is_running<T>(ended: io::Result<Option<T>>) -> bool {
    matches!(ended, Ok(None))
}
