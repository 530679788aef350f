//! The answer to a request: whether it can be passed on, and its body, piece by piece.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, HeaderName, TRANSFER_ENCODING};
use reqwest::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::Bounds;
use super::failure::HttpFailure;
use super::redact::RedactorStream;

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) data: Vec<u8>,
    /// Whether that was all.
    pub(crate) end: bool,
}

/// Refuses what the guest, or who looks for secrets in it, could not read. `plain` says whether
/// there may be secrets.
pub(super) fn check(response: &Response, host: &str, plain: bool) -> Result<(), HttpFailure> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(HttpFailure::protocol(format!(
            "{host} wants to speak something else than HTTP, which is not there"
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
            "{host} sent its answer in a transfer coding that it was not asked for"
        )));
    }
    if plain && codings(CONTENT_ENCODING).any(|coding| coding != b"identity") {
        return Err(HttpFailure::protocol(format!(
            "{host} sent a compressed answer though it was asked not to, and a secret in it could \
             not be found; ask for something that it does not compress"
        )));
    }
    Ok(())
}

/// The rest of a response.
pub(super) struct Body {
    state: State,
    host: String,
    redactor: RedactorStream,
    /// What has been received and not been read.
    ready: VecDeque<u8>,
    received: u64,
}

enum State {
    /// More may come. The permit is the response's place among those that may be open.
    Open(Response, #[allow(dead_code)] OwnedSemaphorePermit),
    /// It came to its end, or it failed.
    Over(Result<(), HttpFailure>),
}

impl Body {
    pub(super) fn new(
        response: Response,
        host: String,
        redactor: RedactorStream,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            state: State::Open(response, place),
            host,
            redactor,
            ready: VecDeque::new(),
            received: 0,
        }
    }

    /// At least one byte and at most `most`, or the end. `wait` is what the deadline was made of.
    pub(super) async fn read(
        &mut self,
        most: usize,
        deadline: Instant,
        wait: Duration,
        bounds: &Bounds,
    ) -> Result<Chunk, HttpFailure> {
        loop {
            if !self.ready.is_empty() {
                let count = most.min(self.ready.len());
                let data = self.ready.drain(..count).collect();
                let end = self.ready.is_empty() && matches!(self.state, State::Over(Ok(())));
                return Ok(Chunk { data, end });
            }
            let response = match &mut self.state {
                State::Open(response, _) => response,
                State::Over(Ok(())) => {
                    let data = Vec::new();
                    return Ok(Chunk { data, end: true });
                }
                State::Over(Err(failure)) => return Err(failure.clone()),
            };
            // Nothing is lost when this is dropped at the deadline, or with the whole turn.
            match timeout_at(deadline, response.chunk()).await {
                Ok(Ok(Some(bytes))) => self.receive(&bytes, bounds),
                Ok(Ok(None)) => {
                    let mut rest = Vec::new();
                    self.redactor.finish(&mut rest);
                    self.ready.extend(rest);
                    self.state = State::Over(Ok(()));
                }
                Ok(Err(error)) => {
                    let failure = HttpFailure::of(error, &self.host, false, bounds.connect);
                    self.state = State::Over(Err(failure));
                }
                Err(_) => return Err(HttpFailure::timeout(&self.host, "sent no more", wait)),
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], bounds: &Bounds) {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(count);
        if self.received > bounds.response_body {
            let failure = HttpFailure::too_large("the answer in bytes", bounds.response_body);
            self.state = State::Over(Err(failure));
            return;
        }
        let mut told = Vec::new();
        self.redactor.push(bytes, &mut told);
        self.ready.extend(told);
    }
}
