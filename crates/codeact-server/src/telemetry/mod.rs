//! The log of a server process, and the export of its traces.
//!
//! `otlp` sends finished spans to a collector; `spans` is their form. `models` makes spans of calls of models.

mod models;
mod otlp;
mod spans;

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

pub(crate) use models::TracedModel;
pub use otlp::BadEndpoint;
use otlp::Export;

/// Crates whose spans and lines are of the server itself.
const OWN: [&str; 3] = ["codeact", "codeact_server", "codeact_sessions"];

/// Options of [`Telemetry::start`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TelemetryOptions {
    /// Least level of the lines on stderr. Default: warnings.
    pub level: Level,
    /// True for one JSON object a line in place of text. Default: false.
    pub json: bool,
    /// Base URL of an OTLP collector, such as `http://localhost:4318`. Default: none.
    pub otlp: Option<String>,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            level: Level::WARN,
            json: false,
            otlp: None,
        }
    }
}

/// The log and the export of this process. Lines and spans never contain code, tokens, secrets, or names of files.
pub struct Telemetry {
    export: Option<Export>,
}

/// The log or the export could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The endpoint is invalid.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// The process has a log already.
    #[error("cannot start the log: {0}")]
    Log(#[from] TryInitError),
}

impl Telemetry {
    /// Starts the log of this process on stderr, and the export if an endpoint is set. Must be called in a tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns [`TelemetryError`] if the endpoint is invalid, or if the process has a log already.
    pub fn start(options: &TelemetryOptions) -> Result<Self, TelemetryError> {
        // Libraries are noisy below warnings, and some of them log what they receive.
        let own = |level: Level| {
            let targets = Targets::new().with_default(Level::WARN.min(level));
            OWN.iter()
                .fold(targets, |targets, name| targets.with_target(*name, level))
        };
        let lines = fmt::layer().with_writer(std::io::stderr);
        let lines = match options.json {
            true => lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .boxed(),
            false => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        };
        let (export, spans) = match &options.otlp {
            Some(endpoint) => {
                let (export, spans) = Export::start(endpoint)?;
                (Some(export), Some(spans.with_filter(own(Level::INFO))))
            }
            None => (None, None),
        };
        tracing_subscriber::registry()
            .with(lines.with_filter(own(options.level)))
            .with(spans)
            .try_init()?;
        Ok(Self { export })
    }

    /// Sends the spans that were not sent yet. Takes a few seconds at most.
    pub async fn close(self) {
        if let Some(export) = self.export {
            export.close().await;
        }
    }
}
