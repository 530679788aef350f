//! Reads input of the user: code, a task, data.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};

use codeact::sandbox::{Stdin, Turn};

/// Limit of text read from a file or stdin, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// Reads all of `from` as UTF-8 text, without a byte order mark. `name` is for error messages.
pub(super) fn text(name: &str, from: impl Read) -> anyhow::Result<String> {
    let mut bytes = bytes(name, from)?;
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("{name} is not UTF-8 text"))
}

/// Reads all of `from` as Python source, in the encoding that it declares (PEP 263). `name` is for error messages.
pub(super) fn source(name: &str, from: impl Read) -> anyhow::Result<Turn> {
    Turn::from_file_content(&bytes(name, from)?).with_context(|| {
        format!(
            "{name} is not UTF-8 text, and does not declare another encoding; declare it in the first line, for \
             example `# coding: latin-1`"
        )
    })
}

/// Reads all of `from`. `name` is for error messages.
fn bytes(name: &str, from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > MAX_TEXT {
        bail!("{name} is longer than {} MiB", MAX_TEXT >> 20);
    }
    Ok(bytes)
}

/// Returns the process's stdin for the code. It is not read before the code reads.
pub(super) fn stdin_on_demand() -> Stdin {
    Stdin::on_demand(|| async {
        let read = tokio::task::spawn_blocking(|| {
            let mut buffer = vec![0; 64 << 10];
            let n = std::io::stdin().lock().read(&mut buffer).unwrap_or(0);
            buffer.truncate(n);
            (n > 0).then_some(buffer)
        });
        read.await.ok().flatten()
    })
}

/// Returns a stdin for the code that reads typed lines. If the turn is stopped, no read is left pending, so that the
/// prompt can read from the terminal again.
pub(super) fn terminal_line_on_demand() -> Stdin {
    Stdin::on_demand(terminal_line)
}

/// Reads a typed line; `None` at the end of the input. If the future is dropped, nothing is read.
pub(super) async fn terminal_line() -> Option<Vec<u8>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let _stop = StopOnDrop(stopped.clone());
    let read = tokio::task::spawn_blocking(move || {
        wait_for_input(&stopped);
        if stopped.load(Ordering::Relaxed) {
            return None;
        }
        let mut line = String::new();
        let n = std::io::stdin().read_line(&mut line).unwrap_or(0);
        (n > 0).then(|| line.into_bytes())
    });
    read.await.ok().flatten()
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Blocks until stdin is readable or `stopped` is set.
#[cfg(unix)]
fn wait_for_input(stopped: &AtomicBool) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stdin = std::io::stdin();
    let interval = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    while !stopped.load(Ordering::Relaxed) {
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&interval)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}

/// A console cannot be polled without reading it: after a stop, one line is lost.
#[cfg(not(unix))]
fn wait_for_input(_: &AtomicBool) {}
