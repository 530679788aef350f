//! Options of [`resolve`](crate::resolve()).

use serde_json::{Map, Value};

use crate::api_key::ApiKey;
use crate::retry::RetryPolicy;

/// Options of the model. All are optional.
///
/// ```no_run
/// use codeact_llm::{ModelOptions, resolve};
///
/// # async fn example() -> Result<(), codeact_llm::ModelError> {
/// let options = ModelOptions::new()
///     .model("qwen3")
///     .base_url("http://127.0.0.1:8000/v1");
/// let resolved = resolve(options, &|name| std::env::var(name).ok()).await?;
/// println!("{}", resolved.summary);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ModelOptions {
    /// Name of the model: `NAME`, `PRESET/NAME` or `recorded:FILE`.
    pub model: Option<String>,
    /// Base URL of a chat-completions server.
    pub base_url: Option<String>,
    /// Name of the setting that `base_url` comes from, for error texts and
    /// [`Resolved::summary`](crate::Resolved::summary). Default: `the base URL`.
    pub base_url_setting: Option<String>,
    /// API key. Default: one from the environment.
    pub api_key: Option<ApiKey>,
    /// Additional fields of each request's body.
    pub extra: Map<String, Value>,
    /// Attempts and time limits.
    pub retry: RetryPolicy,
    /// Maximum size of a reply's text, in bytes. Default: [`DEFAULT_MAX_REPLY_BYTES`](crate::DEFAULT_MAX_REPLY_BYTES).
    pub max_reply_bytes: Option<usize>,
}

impl ModelOptions {
    /// Returns options without any setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`ModelOptions::model`].
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// Sets [`ModelOptions::base_url`].
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Sets [`ModelOptions::base_url_setting`].
    #[must_use]
    pub fn base_url_setting(mut self, name: impl Into<String>) -> Self {
        self.base_url_setting = Some(name.into());
        self
    }

    /// Sets [`ModelOptions::api_key`].
    #[must_use]
    pub fn api_key(mut self, key: ApiKey) -> Self {
        self.api_key = Some(key);
        self
    }

    /// Sets [`ModelOptions::extra`].
    #[must_use]
    pub fn extra(mut self, extra: Map<String, Value>) -> Self {
        self.extra = extra;
        self
    }

    /// Sets [`ModelOptions::retry`].
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets [`ModelOptions::max_reply_bytes`].
    #[must_use]
    pub fn max_reply_bytes(mut self, max_reply_bytes: usize) -> Self {
        self.max_reply_bytes = Some(max_reply_bytes);
        self
    }
}
