//! The network as the guest's sockets ask for it: calls whose names are no Python names.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::net::{Connections, HttpFailure, HttpRequest};
use crate::sandbox::{FailureKind, Payload, ToolCall, ToolReply};

/// The most bytes of a body that are read at a time.
const MAX_READ: usize = 1 << 20;

/// Whether `tool` is one of these calls.
pub(super) fn is_one(tool: &str) -> bool {
    tool.starts_with('$')
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    timeout: Option<f64>,
}

#[derive(Deserialize)]
struct Read {
    response: u32,
    most: usize,
    timeout: Option<f64>,
}

#[derive(Deserialize)]
struct Close {
    response: u32,
}

#[derive(Deserialize)]
struct Reach {
    host: Option<String>,
    port: Option<u16>,
}

/// Makes `call`, where there is a network.
pub(super) async fn call(network: Option<&Connections>, mut call: ToolCall) -> ToolReply {
    let Some(network) = network else {
        return ToolReply::of(FailureKind::Unknown, "there is no network");
    };
    let body = call.args.take_bytes("body").unwrap_or_default();
    let args = call.args.value().clone();
    let done = match &*call.tool {
        "$http" => match read::<Request>(args) {
            Ok(request) => http(network, request, body).await,
            Err(no) => return *no,
        },
        "$http_read" => match read::<Read>(args) {
            Ok(Read {
                response,
                most,
                timeout,
            }) => {
                let most = most.clamp(1, MAX_READ);
                let chunk = network.read(response, most, seconds(timeout)).await;
                chunk.map(|chunk| {
                    let value = json!({ "data": { "$bytes": 0 }, "end": chunk.end });
                    Payload::with_blobs(value, vec![chunk.data])
                })
            }
            Err(no) => return *no,
        },
        "$http_close" => match read::<Close>(args) {
            Ok(Close { response }) => {
                network.close(response);
                Ok(Payload::default())
            }
            Err(no) => return *no,
        },
        "$http_reach" => match read::<Reach>(args) {
            Ok(Reach { host: None, .. }) => Ok(Payload::default()),
            Ok(Reach {
                host: Some(host),
                port,
            }) => (network.reach(&host, port).await).map(|()| Payload::default()),
            Err(no) => return *no,
        },
        _ => return ToolReply::of(FailureKind::Unknown, "there is no such call"),
    };
    ToolReply::Done(done.unwrap_or_else(|HttpFailure { kind, message }| {
        Payload::new(json!({ "failed": kind, "message": message }))
    }))
}

fn read<T: DeserializeOwned>(args: Value) -> Result<T, Box<ToolReply>> {
    serde_json::from_value(args).map_err(|e| {
        let why = format!("this is no request: {e}");
        Box::new(ToolReply::of(FailureKind::Arguments, why))
    })
}

/// A guest's time-out; what is no time is none.
fn seconds(timeout: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(timeout?).ok()
}

async fn http(
    network: &Connections,
    request: Request,
    body: Vec<u8>,
) -> Result<Payload, HttpFailure> {
    let made = network.request(HttpRequest {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body,
        timeout: seconds(request.timeout),
    });
    let response = made.await?;
    Ok(Payload::new(json!({
        "response": response.response,
        "status": response.status,
        "reason": response.reason,
        "headers": response.headers,
    })))
}
