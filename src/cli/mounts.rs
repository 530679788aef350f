//! What was granted of the user's files, and what is written back to them.

use std::io::{IsTerminal, Write};

use anyhow::bail;

use super::args::FileArgs;
use crate::report;
use crate::sandbox::{Changes, MountMode, Sandbox};

/// Mounts what was asked for. `diff` says that nothing will be written back anyway.
pub(super) fn grant(mut sandbox: Sandbox, args: &FileArgs, diff: bool) -> anyhow::Result<Sandbox> {
    let commits = (args.mounts.iter()).any(|mount| mount.access() == MountMode::Commit);
    if commits && !args.yes && !diff && !can_ask() {
        bail!(
            "a `commit` mount writes the changes back, and there is no terminal to ask on; give \
             --yes to have them written, or use `overlay`"
        );
    }
    for mount in &args.mounts {
        sandbox = sandbox.mount(mount.clone())?;
    }
    Ok(sandbox)
}

/// What became of a run's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// They were written back.
    Yes,
    /// There is nothing that could be.
    Nothing,
    /// They were not, since the run failed, or its user said no, or only wanted to see them.
    No,
}

/// Shows what a run changed and, when it has succeeded and its user agrees, writes it back.
pub(super) async fn write_back(
    changes: &Changes,
    args: &FileArgs,
    succeeded: bool,
    quiet: bool,
    json: bool,
) -> anyhow::Result<Written> {
    let nothing = changes.to_commit().next().is_none();
    // Whoever is asked must see what about.
    let asks = !nothing && succeeded && !args.yes;
    if asks {
        before_asking();
    }
    if (!quiet && !json) || asks {
        report::human::changes(changes, asks);
    }
    if nothing {
        return Ok(Written::Nothing);
    }
    if !succeeded {
        say(
            quiet,
            "nothing was written back, since the run has not succeeded",
        );
        return Ok(Written::No);
    }
    if asks && !agrees().await? {
        say(quiet, "nothing was written back");
        return Ok(Written::No);
    }
    // Elsewhere than here, so that a second Ctrl-C still ends the process.
    let job = changes.clone();
    tokio::task::spawn_blocking(move || job.commit()).await??;
    let count = changes.to_commit().count();
    let plural = if count == 1 { "change" } else { "changes" };
    say(quiet, &format!("{count} {plural} written back"));
    Ok(Written::Yes)
}

fn say(quiet: bool, text: &str) {
    if !quiet {
        anstream::eprintln!("codeact: {text}");
    }
}

fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether a terminal will be asked before anything is written back.
pub(super) fn will_ask(args: &FileArgs) -> bool {
    !args.yes && (args.mounts.iter()).any(|mount| mount.access() == MountMode::Commit)
}

/// What was typed before the question is no answer to it: the code may have asked for it. And what
/// the code has told the terminal must not hide what it is asked about.
pub(super) fn before_asking() {
    #[cfg(unix)]
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
    // Plain text, shown, on a line of its own.
    let _ = write!(std::io::stderr().lock(), "\x1b[0m\x1b[!p\r\n");
}

/// Asks. Ctrl-C is a no.
async fn agrees() -> anyhow::Result<bool> {
    {
        let mut err = std::io::stderr().lock();
        write!(err, "write this back? [y/N] ")?;
        err.flush()?;
    }
    let read = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = tokio::select! {
        answer = read => answer??,
        _ = tokio::signal::ctrl_c() => {
            anstream::eprintln!();
            return Ok(false);
        }
    };
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}
