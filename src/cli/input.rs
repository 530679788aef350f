//! Reading what the user hands over: code, a task, data.

use std::io::Read;

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
    Stdin::on_demand(|| {
        let (send, receive) = tokio::sync::mpsc::channel(4);
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = stdin.read(&mut buffer) {
                if send.blocking_send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        receive
    })
}
