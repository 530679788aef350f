//! The HTTP client of a server, which reads its events as [`readable`] messages.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::common::client_side_sse::BoxedSseResponse;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};

use super::messages::readable;

type Failure = StreamableHttpError<reqwest::Error>;

/// A client whose events are readable messages. A response that is no event and cannot be read is an error already.
#[derive(Clone)]
pub(super) struct CheckedClient(pub(super) reqwest::Client);

impl StreamableHttpClient for CheckedClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let response = (self.0).post_message(uri, message, session, auth, headers);
        response.await.map(checked_response)
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, Failure> {
        let response = (self.0)
            .post_message_with_response_limits(uri, message, session, auth, headers, limits);
        response.await.map(checked_response)
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failure> {
        self.0.delete_session(uri, session, auth, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxedSseResponse, Failure> {
        let stream = (self.0).get_stream(uri, session, last_event, auth, headers);
        stream.await.map(checked)
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        auth: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        max: usize,
    ) -> Result<BoxedSseResponse, Failure> {
        let stream = (self.0)
            .get_stream_with_max_sse_event_size(uri, session, last_event, auth, headers, max);
        stream.await.map(checked)
    }
}

fn checked_response(response: StreamableHttpPostResponse) -> StreamableHttpPostResponse {
    match response {
        StreamableHttpPostResponse::Sse(stream, session) => {
            StreamableHttpPostResponse::Sse(checked(stream), session)
        }
        other => other,
    }
}

fn checked(stream: BoxedSseResponse) -> BoxedSseResponse {
    let events = stream.map(|event| {
        event.map(|mut event| {
            if let Some(other) = event.data.as_deref().and_then(readable) {
                event.data = Some(other);
            }
            event
        })
    });
    events.boxed()
}
