//! The WebSocket of a kernel's channels.
//!
//! Security boundary: a frame that is not a message closes the socket with a status code. Sizes and queues are bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::Path;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};

use super::error::JupyterError;
use super::frames::{self, V1};
use super::kernel::Kernel;
use super::login::JupyterCaller;
use super::registry::JupyterState;
use super::socket::{self, Closing, Outgoing, Socket, close_code};

/// Limit of a client's frame and message, in bytes.
const MAX_MESSAGE_BYTES: usize = 8 << 20;
/// Limit of the encoded frames that the connection has not taken yet, in bytes: more than the largest message.
const MAX_WRITE_BUFFER_BYTES: usize = 256 << 20;
/// Time in which the client can take the last frame.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Connects a client to a kernel.
pub(super) async fn connect(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, JupyterError> {
    let kernel = state.open(&tenant, &id).await?;
    let upgrade = upgrade
        .protocols([V1])
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES);
    let (socket, outgoing) = Socket::new(upgrade.selected_protocol().is_some());
    let socket = Arc::new(socket);
    kernel.connect(&socket)?;
    let on_failure = (kernel.clone(), socket.clone());
    let upgrade = upgrade.on_failed_upgrade(move |_| on_failure.0.disconnect(&on_failure.1));
    Ok(upgrade.on_upgrade(move |websocket| serve(kernel, socket, outgoing, websocket)))
}

/// Moves messages between a client and a kernel until one of them ends the connection.
async fn serve(
    kernel: Arc<Kernel>,
    socket: Arc<Socket>,
    mut outgoing: Outgoing,
    websocket: WebSocket,
) {
    let (mut sink, mut stream) = websocket.split();
    let closing = tokio::select! {
        closing = read(&kernel, &socket, &mut stream) => closing,
        () = write(&socket, &mut outgoing, &mut sink) => None,
        closing = socket.closed() => Some(closing),
    };
    kernel.disconnect(&socket);
    // Code that waits for an `input_reply` of this client goes on with an error.
    let gone = Closing::new(close_code::GOING_AWAY, "the client has disconnected");
    socket.close(closing.unwrap_or(gone));
    let frame = closing.map(|closing| CloseFrame {
        code: closing.code,
        reason: closing.reason.into(),
    });
    let last = async {
        // The last replies, such as that of a shutdown.
        while let Ok(frame) = outgoing.try_recv() {
            if closing.is_none_or(|closing| closing.code != close_code::GOING_AWAY)
                || sink.send(frame).await.is_err()
            {
                break;
            }
        }
        sink.send(Frame::Close(frame)).await
    };
    // The client may be gone.
    let _ = tokio::time::timeout(CLOSE_TIME, last).await;
}

/// Reads frames until the client closes the connection; then it returns `None`.
async fn read(
    kernel: &Arc<Kernel>,
    socket: &Arc<Socket>,
    stream: &mut SplitStream<WebSocket>,
) -> Option<Closing> {
    while let Some(frame) = stream.next().await {
        let decoded = match frame {
            Ok(Frame::Text(text)) => frames::decode_text(&text),
            Ok(Frame::Binary(bytes)) if socket.is_v1() => frames::decode_v1(&bytes),
            Ok(Frame::Binary(bytes)) => frames::decode_with_buffers(&bytes),
            Ok(Frame::Ping(_) | Frame::Pong(_)) => continue,
            Ok(Frame::Close(_)) => return None,
            Err(error) if error.to_string().to_lowercase().contains("too long") => {
                let why = "a message can have 8 MiB";
                return Some(Closing::new(close_code::TOO_BIG, why));
            }
            Err(_) => return None,
        };
        let received = decoded
            .map_err(|why| Closing::new(close_code::INVALID, why))
            .and_then(|request| kernel.receive(socket, request));
        if let Err(closing) = received {
            return Some(closing);
        }
    }
    None
}

/// Sends queued messages until the connection fails.
async fn write(socket: &Socket, outgoing: &mut Outgoing, sink: &mut SplitSink<WebSocket, Frame>) {
    while let Some(frame) = outgoing.recv().await {
        let bytes = socket::size(&frame);
        if sink.send(frame).await.is_err() {
            return;
        }
        socket.sent(bytes);
    }
}
