//! Sends finished spans to an OTLP collector, over HTTP in the JSON form.
//!
//! Spans wait in a queue of bounded length. If the collector is slow or absent, spans are dropped and counted; requests
//! never wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Url;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::spans::{SpanData, request};

/// Limit of the spans that wait.
const MAX_WAITING: usize = 4096;
/// Limit of the spans of one request.
const MAX_BATCH: usize = 512;
/// Time in which spans of one request are collected.
const COLLECT_TIME: Duration = Duration::from_secs(2);
/// Time limit of one request, and of the last ones at the end.
const SEND_TIME: Duration = Duration::from_secs(5);

/// A text is not the URL of a collector.
#[derive(Debug, thiserror::Error)]
#[error("invalid endpoint of an OTLP collector: {0}; expected a URL such as http://localhost:4318")]
pub struct BadEndpoint(String);

/// The running export.
pub(super) struct Export {
    sending: JoinHandle<()>,
    /// Dropped to end it.
    end: tokio::sync::oneshot::Sender<()>,
}

impl Export {
    /// Starts the export to `endpoint`, and returns the layer that collects spans.
    pub(super) fn start(endpoint: &str) -> Result<(Self, SpanLayer), BadEndpoint> {
        let bad = |e: &dyn std::fmt::Display| BadEndpoint(e.to_string());
        let mut url = Url::parse(endpoint).map_err(|e| bad(&e))?;
        if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
            return Err(bad(&"it is not an HTTP URL"));
        }
        if !url.path().ends_with("/v1/traces") {
            let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        let client = reqwest::Client::builder()
            .timeout(SEND_TIME)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| bad(&e))?;
        let (send, spans) = mpsc::channel(MAX_WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let (end, ended) = tokio::sync::oneshot::channel();
        let sending = tokio::spawn(run(client, url, spans, dropped.clone(), ended));
        Ok((Self { sending, end }, SpanLayer { send, dropped }))
    }

    /// Sends the spans that wait.
    pub(super) async fn close(self) {
        drop(self.end);
        let _ = tokio::time::timeout(SEND_TIME, self.sending).await;
    }
}

async fn run(
    client: reqwest::Client,
    url: Url,
    mut spans: Receiver<SpanData>,
    dropped: Arc<AtomicU64>,
    mut ended: tokio::sync::oneshot::Receiver<()>,
) {
    let mut is_open = true;
    while is_open {
        let mut batch = Vec::new();
        tokio::select! {
            _ = &mut ended => is_open = false,
            count = spans.recv_many(&mut batch, MAX_BATCH) => is_open = count > 0,
        }
        if is_open && batch.len() < MAX_BATCH {
            let rest = MAX_BATCH - batch.len();
            tokio::select! {
                _ = &mut ended => is_open = false,
                () = tokio::time::sleep(COLLECT_TIME) => {}
            }
            for _ in 0..rest {
                let Ok(span) = spans.try_recv() else { break };
                batch.push(span);
            }
        }
        if !is_open {
            while let Ok(span) = spans.try_recv() {
                batch.push(span);
            }
        }
        for batch in batch.chunks(MAX_BATCH) {
            send(&client, &url, batch, &dropped).await;
        }
    }
}

async fn send(client: &reqwest::Client, url: &Url, batch: &[SpanData], dropped: &AtomicU64) {
    let sent = client.post(url.clone()).json(&request(batch)).send().await;
    let failure = match sent {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) => Some(answer.status().to_string()),
        // Without the URL, which may contain a password.
        Err(error) => Some(error.without_url().to_string()),
    };
    if let Some(failure) = failure {
        dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
        tracing::warn!(failure, spans = batch.len(), "cannot export traces");
    }
    let lost = dropped.swap(0, Ordering::Relaxed);
    if lost > 0 {
        tracing::warn!(lost, "spans were dropped");
    }
}

/// Collects spans.
pub(super) struct SpanLayer {
    send: Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let parent = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let data = extensions.get::<SpanData>()?;
            Some((data.trace, data.id))
        });
        let parent = parent.as_ref().map(|(trace, id)| (trace, id));
        span.extensions_mut()
            .insert(SpanData::new(attributes, parent));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(data) = span.extensions_mut().get_mut::<SpanData>()
        {
            values.record(data.fields());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(mut data) = span.extensions_mut().remove::<SpanData>() else {
            return;
        };
        data.end();
        if self.send.try_send(data).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
