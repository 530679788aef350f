//! `codeact exec`: Python without a model.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread::JoinHandle;

use super::args::{Exec, Global};
use super::{exit, settings};
use crate::event::{Event, EventSink, Stream};
use crate::report;
use crate::sandbox::{Cancel, Stdin, Turn};

/// The longest program read from a file or stdin, in bytes.
const MAX_CODE: u64 = 16 << 20;

type Failure = Box<dyn std::error::Error>;

pub(super) async fn run(exec: Exec, global: &Global) -> Result<ExitCode, Failure> {
    let from_stdin = exec.file.as_deref() == Some(Path::new("-"));
    let (name, code) = match (&exec.code, &exec.file) {
        (Some(code), _) => ("<string>".to_owned(), code.clone()),
        (None, Some(_)) if from_stdin => {
            ("<stdin>".to_owned(), read_code("stdin", std::io::stdin())?)
        }
        (None, Some(file)) => {
            let name = file.display().to_string();
            let open = std::fs::File::open(file).map_err(|e| format!("cannot open {name}: {e}"))?;
            let code = read_code(&name, open)?;
            (name, code)
        }
        (None, None) => return Err("expected a FILE, `-`, or `-c CODE`".into()),
    };
    let cancel = Cancel::new();
    cancel_on_ctrl_c(&cancel);
    let progress = report::progress(global.quiet);
    let sandbox = settings::sandbox(global, progress)
        .limits(exec.limits.limits())
        .build()
        .await?;
    let argv0 = if exec.code.is_some() {
        "-c".to_owned()
    } else {
        name.clone()
    };
    let argv = std::iter::once(argv0).chain(exec.args).chain(exec.rest);
    let mut turn = Turn::new(code).name(name).argv(argv).cancel(cancel.clone());
    for (key, value) in exec.env {
        turn = turn.env(key, value);
    }
    if !from_stdin && !std::io::stdin().is_terminal() {
        turn = turn.stdin(host_stdin());
    }
    let mut writer = None;
    if !exec.json {
        let (events, thread) = live(cancel);
        turn = turn.events(events);
        writer = Some(thread);
    }
    let execution = sandbox.run_seeded(turn, exec.seed).await?;
    if let Some(writer) = writer {
        // The turn, and with it the sender, is gone: what is left is written, then the thread ends.
        let _ = writer.join();
    }
    if exec.json {
        let object = report::json::execution(&execution);
        writeln!(std::io::stdout(), "{object}")?;
    } else {
        report::human::ending(&execution, global.quiet);
    }
    // The process ends here: unmapping gigabytes of reserved addresses first helps nobody.
    std::mem::forget(sandbox);
    Ok(ExitCode::from(exit::of(&execution)))
}

fn read_code(name: &str, from: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    from.take(MAX_CODE + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("cannot read {name}: {e}"))?;
    if bytes.len() as u64 > MAX_CODE {
        return Err(format!("{name} is longer than {} MiB", MAX_CODE >> 20).into());
    }
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8 text").into())
}

/// The host's stdin, read only as the code reads it.
pub(super) fn host_stdin() -> Stdin {
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
    Stdin::stream(receive)
}

/// The first Ctrl-C stops the turn and lets it tell what it did; the second ends the process.
pub(super) fn cancel_on_ctrl_c(cancel: &Cancel) {
    let cancel = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
}

/// Passes the code's output on as it comes, from a thread of its own: a reader that is slow holds
/// up the writing, never the turn and its limits. When nobody reads any more, the turn stops.
fn live(cancel: Cancel) -> (EventSink, JoinHandle<()>) {
    // No bound is needed: the turn's own limit on output is one.
    let (send, receive) = std::sync::mpsc::channel::<(Stream, String)>();
    let events = EventSink::new(move |event| {
        if let Event::Output { stream, text } = event {
            let _ = send.send((stream, text));
        }
    });
    let thread = std::thread::spawn(move || {
        for (stream, text) in receive {
            let written = match stream {
                Stream::Stdout => write_all(std::io::stdout().lock(), &text),
                Stream::Stderr => write_all(std::io::stderr().lock(), &text),
            };
            if written.is_err() {
                cancel.cancel();
            }
        }
    });
    (events, thread)
}

fn write_all(mut to: impl Write, text: &str) -> std::io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}
