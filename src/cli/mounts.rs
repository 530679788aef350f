//! Mounts: grants of the user's files, and writing changes back to them.

use std::io::Write;

use anyhow::bail;

use codeact::sandbox::{Changes, MountMode, Sandbox};

use super::args::FileArgs;
use super::terminal;
use crate::report::{self, notice};

/// Returns `sandbox` with the mounts of `args`. `diff` is true if nothing will be written back.
pub(super) fn grant(sandbox: &Sandbox, args: &FileArgs, diff: bool) -> anyhow::Result<Sandbox> {
    if will_ask(args) && !diff && !terminal::can_ask() {
        bail!(
            "a `commit` mount writes the changes back, and there is no terminal to ask on; give \
             --yes to have them written, or use `overlay`"
        );
    }
    let mut builder = sandbox.derive();
    for mount in &args.mounts {
        builder = builder.mount(mount.clone());
    }
    Ok(builder.build()?)
}

/// Returns true if the user is asked before changes are written back.
pub(super) fn will_ask(args: &FileArgs) -> bool {
    !args.yes && (args.mounts.iter()).any(|mount| mount.access() == MountMode::Commit)
}

/// Result of [`write_back`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteBack {
    /// The changes were written back.
    Written,
    /// There are no changes to write back.
    Nothing,
    /// The run failed, or the user declined.
    Declined,
}

/// Shows the changes of a run and, if it succeeded and the user agrees, writes them back.
pub(super) async fn write_back(
    changes: &Changes,
    args: &FileArgs,
    succeeded: bool,
    quiet: bool,
    json: bool,
) -> anyhow::Result<WriteBack> {
    let nothing = changes.to_commit().next().is_none();
    let asks = !nothing && succeeded && !args.yes;
    if asks {
        terminal::prepare_prompt();
    }
    // The user must see the changes that the question is about.
    if (!quiet && !json) || asks {
        report::human::changes(changes, asks);
    }
    if nothing {
        return Ok(WriteBack::Nothing);
    }
    if !succeeded {
        say(
            quiet,
            "nothing was written back, since the run has not succeeded",
        );
        return Ok(WriteBack::Declined);
    }
    if asks && !confirm().await? {
        say(quiet, "nothing was written back");
        return Ok(WriteBack::Declined);
    }
    // On another thread, so that a second Ctrl-C still exits the process.
    let job = changes.clone();
    tokio::task::spawn_blocking(move || job.commit()).await??;
    let count = changes.to_commit().count();
    let plural = if count == 1 { "change" } else { "changes" };
    say(quiet, &format!("{count} {plural} written back"));
    Ok(WriteBack::Written)
}

fn say(quiet: bool, text: &str) {
    if !quiet {
        notice!("codeact: {text}");
    }
}

/// Asks the user. Ctrl-C declines.
async fn confirm() -> anyhow::Result<bool> {
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
            notice!("");
            return Ok(false);
        }
    };
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}
