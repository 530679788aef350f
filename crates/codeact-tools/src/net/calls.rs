//! Calls of the guest's sockets. Their names are not Python names.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::Connections;
use super::failure::HttpFailure;
use super::request::HttpRequest;
use codeact_sandbox::{FailureKind, Payload, ToolCall, ToolReply};

/// Largest number of bytes of one read.
const MAX_READ_BYTES: usize = 1 << 20;

#[derive(Deserialize)]
struct RequestArgs {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    timeout: Option<f64>,
}

#[derive(Deserialize)]
struct ReadArgs {
    response: u32,
    /// Largest number of bytes.
    most: usize,
    timeout: Option<f64>,
}

#[derive(Deserialize)]
struct CloseArgs {
    response: u32,
}

#[derive(Deserialize)]
struct ReachArgs {
    host: Option<String>,
    port: Option<u16>,
}

/// Makes `call`.
pub(super) async fn call(network: &Connections, mut call: ToolCall) -> ToolReply {
    let body = call.args.take_bytes("body").unwrap_or_default();
    let args = call.args.value().clone();
    let result = match &*call.tool {
        "$http" => match read::<RequestArgs>(args) {
            Ok(request) => http(network, request, body).await,
            Err(reply) => return *reply,
        },
        "$http_read" => match read::<ReadArgs>(args) {
            Ok(ReadArgs {
                response,
                most,
                timeout,
            }) => {
                let max = most.clamp(1, MAX_READ_BYTES);
                let chunk = network.read(response, max, seconds(timeout)).await;
                chunk.map(|chunk| {
                    let value = json!({ "data": { "$bytes": 0 }, "end": chunk.end });
                    Payload::with_blobs(value, vec![chunk.data])
                })
            }
            Err(reply) => return *reply,
        },
        "$http_close" => match read::<CloseArgs>(args) {
            Ok(CloseArgs { response }) => {
                network.close(response);
                Ok(Payload::default())
            }
            Err(reply) => return *reply,
        },
        "$http_reach" => match read::<ReachArgs>(args) {
            Ok(ReachArgs { host: None, .. }) => Ok(Payload::default()),
            Ok(ReachArgs {
                host: Some(host),
                port,
            }) => (network.check_host(&host, port).await).map(|()| Payload::default()),
            Err(reply) => return *reply,
        },
        _ => return ToolReply::of(FailureKind::Unknown, "there is no such call"),
    };
    ToolReply::Done(result.unwrap_or_else(|HttpFailure { kind, message }| {
        Payload::new(json!({ "failed": kind, "message": message }))
    }))
}

/// Reads the arguments of a call.
fn read<T: DeserializeOwned>(args: Value) -> Result<T, Box<ToolReply>> {
    serde_json::from_value(args).map_err(|e| {
        let why = format!("invalid request: {e}");
        Box::new(ToolReply::of(FailureKind::Arguments, why))
    })
}

/// Returns the guest's time limit, if it is valid.
fn seconds(timeout: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(timeout?).ok()
}

/// Makes a request.
async fn http(
    network: &Connections,
    request: RequestArgs,
    body: Vec<u8>,
) -> Result<Payload, HttpFailure> {
    let response = network.request(HttpRequest {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body,
        timeout: seconds(request.timeout),
    });
    let response = response.await?;
    Ok(Payload::new(json!({
        "response": response.response,
        "status": response.status,
        "reason": response.reason,
        "headers": response.headers,
    })))
}
