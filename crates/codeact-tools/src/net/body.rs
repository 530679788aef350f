//! Checks of a response, and its body in chunks.

use std::collections::VecDeque;
use std::time::Duration;

use codeact_base::redact::RedactorStream;
use reqwest::header::{CONTENT_ENCODING, HeaderName, TRANSFER_ENCODING};
use reqwest::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::context::HttpLimits;
use super::failure::HttpFailure;

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) data: Vec<u8>,
    /// True at the end of the body.
    pub(crate) end: bool,
}

/// Refuses a response that the guest could not read, or that could hide a secret. `plain` is true if there may be
/// secrets in it.
pub(super) fn check(response: &Response, host: &str, plain: bool) -> Result<(), HttpFailure> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(HttpFailure::protocol(format!(
            "{host} switched to a protocol other than HTTP, which is not supported"
        )));
    }
    let codings = |name: HeaderName| {
        let values = response.headers().get_all(name).into_iter();
        let values = values.map(|value| value.as_bytes().to_ascii_lowercase());
        values.flat_map(|value| {
            let codings = value.split(|b| *b == b',');
            let codings = codings.map(|c| c.trim_ascii().to_vec());
            codings.filter(|c| !c.is_empty()).collect::<Vec<_>>()
        })
    };
    if codings(TRANSFER_ENCODING).any(|coding| coding != b"chunked") {
        return Err(HttpFailure::protocol(format!(
            "{host} sent its response in a transfer coding that was not requested"
        )));
    }
    if plain && codings(CONTENT_ENCODING).any(|coding| coding != b"identity") {
        return Err(HttpFailure::protocol(format!(
            "{host} sent a compressed response, although uncompressed data was requested, and a secret in it \
             could not be found; request data that it does not compress"
        )));
    }
    Ok(())
}

/// Body of a response.
pub(super) struct Body {
    state: State,
    host: String,
    redactor: RedactorStream,
    /// Received and redacted bytes that were not read yet.
    ready: VecDeque<u8>,
    received: u64,
}

enum State {
    /// More may come. The permit limits the number of open responses.
    Open(Response, #[allow(dead_code)] OwnedSemaphorePermit),
    /// It is complete, or it failed.
    Ended(Result<(), HttpFailure>),
}

impl Body {
    pub(super) fn new(
        response: Response,
        host: String,
        redactor: RedactorStream,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            state: State::Open(response, permit),
            host,
            redactor,
            ready: VecDeque::new(),
            received: 0,
        }
    }

    /// Returns at least one byte and at most `max`, or the end. `wait` is the duration until the deadline, for messages.
    pub(super) async fn read(
        &mut self,
        max: usize,
        deadline: Instant,
        wait: Duration,
        limits: &HttpLimits,
    ) -> Result<Chunk, HttpFailure> {
        loop {
            if !self.ready.is_empty() {
                let count = max.min(self.ready.len());
                let data = self.ready.drain(..count).collect();
                let end = self.ready.is_empty() && matches!(self.state, State::Ended(Ok(())));
                return Ok(Chunk { data, end });
            }
            let response = match &mut self.state {
                State::Open(response, _) => response,
                State::Ended(Ok(())) => {
                    let data = Vec::new();
                    return Ok(Chunk { data, end: true });
                }
                State::Ended(Err(failure)) => return Err(failure.clone()),
            };
            // Dropping this future at the deadline, or with the turn, loses no bytes.
            match timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(bytes))) => self.receive(&bytes, limits),
                Ok(Ok(None)) => {
                    let mut rest = Vec::new();
                    self.redactor.finish(&mut rest);
                    self.ready.extend(rest);
                    self.state = State::Ended(Ok(()));
                }
                Ok(Err(error)) => {
                    let failure =
                        HttpFailure::from_reqwest(error, &self.host, false, limits.connect);
                    self.state = State::Ended(Err(failure));
                }
                Err(_) => return Err(HttpFailure::timeout(&self.host, "sent no more", wait)),
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], limits: &HttpLimits) {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(count);
        if self.received > limits.response_body {
            let failure = HttpFailure::too_large("the response in bytes", limits.response_body);
            self.state = State::Ended(Err(failure));
            return;
        }
        let mut redacted = Vec::new();
        self.redactor.push(bytes, &mut redacted);
        self.ready.extend(redacted);
    }
}
