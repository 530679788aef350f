//! Reading what the user hands over: code, a task, data.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};

use crate::sandbox::Stdin;

/// The most text read from a file or stdin, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// All of `from` as text, without a byte order mark. `name` is for the errors.
pub(super) fn text(name: &str, from: impl Read) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    from.take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > MAX_TEXT {
        bail!("{name} is longer than {} MiB", MAX_TEXT >> 20);
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("{name} is not UTF-8 text"))
}

/// The process's stdin, for the code: not touched before the code reads.
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

/// What is typed while the code of a prompt asks for it, line by line. A turn that is stopped leaves
/// nothing reading, so that the prompt has the terminal again.
pub(super) fn terminal_line_on_demand() -> Stdin {
    Stdin::on_demand(terminal_line)
}

/// A line that is typed; `None` at the end of the input. When nobody waits any more, nothing is read.
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

/// Waits until stdin has something to read, or nobody waits any more.
#[cfg(unix)]
fn wait_for_input(stopped: &AtomicBool) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let stdin = std::io::stdin();
    let turn = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    while !stopped.load(Ordering::Relaxed) {
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&turn)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}

/// There is no waiting for a console without reading it: after a stop, one line is lost.
#[cfg(not(unix))]
fn wait_for_input(_: &AtomicBool) {}
