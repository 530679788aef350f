//! A response that is recorded while it arrives, for any number of readers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use tokio::sync::watch;

use super::outlet::{Disconnected, Outlet, outlet};
use crate::error::ApiError;

/// Header of a response that was recorded for an earlier request.
const REPLAYED: &str = "idempotency-replayed";

/// A response, or the part of it that has arrived.
pub(super) struct Recording {
    progress: Mutex<Progress>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Progress {
    head: Option<(StatusCode, HeaderMap)>,
    parts: Vec<Bytes>,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    /// The body ended with an error, or the request's task failed.
    Broken,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            progress: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

/// Records a response. If it is dropped before the end, readers see a failure.
pub(super) struct Writer(Arc<Recording>);

impl Recording {
    pub(super) fn writer(self: &Arc<Self>) -> Writer {
        Writer(self.clone())
    }

    /// Returns the size of the body so far, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.lock().parts.iter().map(Bytes::len).sum()
    }

    /// Waits for the head, and returns a response whose body follows the recording.
    pub(super) async fn response(self: &Arc<Self>, is_replay: bool) -> Result<Response, ApiError> {
        let mut changed = self.changed.subscribe();
        let (status, headers) = loop {
            let (head, end) = {
                let progress = self.lock();
                (progress.head.clone(), progress.end)
            };
            match (head, end) {
                (Some(head), _) => break head,
                (None, Some(_)) => return Err(ApiError::internal("a recorded request failed")),
                (None, None) => {}
            }
            if changed.changed().await.is_err() {
                return Err(ApiError::internal("a recorded request failed"));
            }
        };
        let (outlet, body) = outlet();
        let this = self.clone();
        tokio::spawn(async move {
            // An error is a client that has disconnected.
            let _ = this.follow(outlet).await;
        });
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if is_replay {
            let replayed = HeaderValue::from_static("true");
            response.headers_mut().insert(REPLAYED, replayed);
        }
        Ok(response)
    }

    /// Writes the body to `outlet` as it arrives.
    async fn follow(&self, outlet: Outlet) -> Result<(), Disconnected> {
        let mut changed = self.changed.subscribe();
        let mut sent = 0;
        loop {
            let (parts, end) = {
                let progress = self.lock();
                let new = progress.parts.get(sent..).unwrap_or_default();
                (new.to_vec(), progress.end)
            };
            sent += parts.len();
            for part in parts {
                outlet.send(part).await?;
            }
            match end {
                Some(End::Whole) => return outlet.finish().await,
                Some(End::Broken) => return Ok(()),
                None => {}
            }
            tokio::select! {
                changed = changed.changed() => if changed.is_err() {
                    return Ok(());
                },
                () = outlet.disconnected() => return Err(Disconnected),
            }
        }
    }

    fn update(&self, update: impl FnOnce(&mut Progress)) {
        update(&mut self.lock());
        self.changed.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Records `response` to its end. Returns its status.
    pub(super) async fn record(self, response: Response) -> StatusCode {
        let (parts, body) = response.into_parts();
        let status = parts.status;
        self.0
            .update(|progress| progress.head = Some((status, parts.headers)));
        let mut body = body.into_data_stream();
        while let Some(part) = body.next().await {
            match part {
                Ok(part) => self.0.update(|progress| progress.parts.push(part)),
                // Dropping the writer marks the recording as broken.
                Err(_) => return status,
            }
        }
        self.0.update(|progress| progress.end = Some(End::Whole));
        status
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.update(|progress| {
            progress.end.get_or_insert(End::Broken);
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn each_reader_gets_the_whole_response() {
        let recording = Arc::new(Recording::default());
        let early = recording.response(false);
        let record = recording
            .writer()
            .record(Response::new(Body::from("hello")));
        let (early, status) = tokio::join!(early, record);
        assert_eq!(status, StatusCode::OK);
        let late = recording.response(true).await.unwrap();
        assert!(late.headers().contains_key(REPLAYED));
        for response in [early.unwrap(), late] {
            let body = axum::body::to_bytes(response.into_body(), 100)
                .await
                .unwrap();
            assert_eq!(body, "hello");
        }
    }

    #[tokio::test]
    async fn a_request_that_fails_ends_its_readers() {
        let recording = Arc::new(Recording::default());
        drop(recording.writer());
        assert!(recording.response(false).await.is_err());
    }
}
