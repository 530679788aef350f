//! The service `process.Process`: commands of a shell over the files of the sandbox.

use axum::extract::Request;
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::json;
use tokio::sync::mpsc;

use crate::e2b::envd::connect::{CallResult, Message};
use crate::e2b::envd::error::ConnectError;
use crate::e2b::envd::paths::User;
use crate::e2b::envd::process_messages::{
    ProcessRequest, StartRequest, StreamInputRequest, is_end, keepalive, no_terminal, started,
};
use crate::e2b::envd::processes::Key;
use crate::e2b::envd::state::SharedState;
use crate::e2b::envd::stream::{Incoming, StreamError, Streamed, messages, single, stream_of};
use crate::e2b::route::SandboxedRecord;
use crate::shell::RunningCommand;

/// Pieces of stdin that a command has not read yet. Then its client waits.
const BUFFERED_INPUT: usize = 16;

fn key_of(sandbox: &SandboxedRecord) -> Key {
    let sandbox = &sandbox.0;
    (
        sandbox.tenant.sessions.name().to_owned(),
        sandbox.handle.id().to_owned(),
    )
}

/// Starts a command and sends its output. It goes on if the client ends the stream: the SDKs promise that for
/// `CommandHandle.disconnect`, and their requests do not say whether a command is in the background. Its time, its place
/// among the tenant's turns and the limits of the shell bound it.
pub(super) async fn start(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    _user: User,
    Streamed(request, mut settings): Streamed<StartRequest>,
) -> Result<Response, StreamError> {
    if request.pty.is_some() {
        return Err(no_terminal().into());
    }
    let config = request.process.unwrap_or_default();
    let mut command = config.to_command()?;
    // The command itself has the time of the call, and says that it is over.
    command.timeout = settings.timeout.take();
    let (input, receive_input) = mpsc::channel(BUFFERED_INPUT);
    let mut input = Some(input);
    // Clients of old versions do not say; then stdin is open, as it was.
    if request.stdin == Some(false) {
        input = None;
    } else {
        command.stdin = Some(receive_input);
    }
    let (send, receive) = messages();
    let key = key_of(&sandbox);
    let process = state
        .processes
        .add(&key, config, request.tag, input, send.clone())?;
    let running = RunningCommand::start(
        &sandbox.0.tenant,
        &sandbox.0.handle,
        command,
        &process.cancel,
    )
    .await;
    let running = match running {
        Ok(running) => running,
        Err(error) => {
            state.processes.remove(&key, &process);
            return Err(error.into());
        }
    };
    // The stream is empty, so this does not wait.
    let _ = send.try_send(Ok(started(process.pid)));
    drop(send);
    tokio::spawn(async move {
        process.drive(running).await;
        state.processes.remove(&key, &process);
    });
    Ok(stream_of(receive, settings, keepalive()))
}

/// Sends the output of a command from now on.
pub(super) async fn connect(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    Streamed(request, settings): Streamed<ProcessRequest>,
) -> Result<Response, StreamError> {
    let process = state
        .processes
        .find(&key_of(&sandbox), request.process.as_ref())?;
    let (send, receive) = messages();
    process.follow(send)?;
    Ok(stream_of(receive, settings, keepalive()))
}

pub(super) async fn list(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
) -> CallResult {
    let processes = state.processes.list(&key_of(&sandbox));
    let described = processes.iter().map(|process| {
        let mut described = json!({"config": process.config, "pid": process.pid});
        if let Some(tag) = &process.tag {
            described["tag"] = json!(tag);
        }
        described
    });
    let described: Vec<_> = described.collect();
    Ok(Json(json!({"processes": described})))
}

/// Changes the size of a terminal. There are none.
pub(super) async fn update(_sandbox: SandboxedRecord) -> CallResult {
    Err(no_terminal())
}

pub(super) async fn send_input(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    Message(request): Message<ProcessRequest>,
) -> CallResult {
    let process = state
        .processes
        .find(&key_of(&sandbox), request.process.as_ref())?;
    let bytes = request.input.unwrap_or_default().into_bytes()?;
    process.send_input(bytes).await?;
    Ok(Json(json!({})))
}

/// Passes on a stream of input: first the process, then its input.
pub(super) async fn stream_input(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    request: Request,
) -> Result<Response, StreamError> {
    let mut incoming = Incoming::new(request)?;
    let mut process = None;
    while let Some(message) = incoming.next::<StreamInputRequest>().await? {
        if let Some(start) = message.start {
            process = Some(
                state
                    .processes
                    .find(&key_of(&sandbox), start.process.as_ref())?,
            );
        }
        if let Some(data) = message.data {
            let Some(process) = &process else {
                return Err(
                    ConnectError::invalid("the first message has to name the process").into(),
                );
            };
            process
                .send_input(data.input.unwrap_or_default().into_bytes()?)
                .await?;
        }
    }
    Ok(single(&json!({})))
}

pub(super) async fn close_stdin(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    Message(request): Message<ProcessRequest>,
) -> CallResult {
    let process = state
        .processes
        .find(&key_of(&sandbox), request.process.as_ref())?;
    process.close_input();
    Ok(Json(json!({})))
}

pub(super) async fn send_signal(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    Message(request): Message<ProcessRequest>,
) -> CallResult {
    is_end(request.signal.as_ref())?;
    let process = state
        .processes
        .find(&key_of(&sandbox), request.process.as_ref())?;
    process.cancel.cancel();
    Ok(Json(json!({})))
}
