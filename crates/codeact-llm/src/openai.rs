//! A model on a chat-completions server. A call has one or more attempts, each of which streams its response.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use codeact_base::redact::Redactor;
use reqwest::header::{ACCEPT, AUTHORIZATION, LOCATION};
use reqwest::{Client, Response};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::address::BaseUrl;
use crate::api_key::{ApiKey, redact, secrets};
use crate::decode::{DecodeError, Decoder};
use crate::error::ModelError;
use crate::model::{Completion, Model, Reply, Request, Watch};
use crate::reply_builder::{ReplyBuilder, ReplyError};
use crate::retry::{FailedAttempt, RetryPolicy, retry_after};
use crate::server_error::{RequestContext, ServerError};
use crate::wire::Dialect;
use crate::{retry, wire};

/// Default limit of a reply's text: 4 MiB.
pub const DEFAULT_MAX_REPLY_BYTES: usize = 4 << 20;

/// Maximum number of bytes that are read of an error response.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;
/// Maximum wait for the usage and the end of a stream after its finish reason.
const USAGE_LIMIT: Duration = Duration::from_secs(5);
/// Maximum duration of a TCP and TLS handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Parameters of an [`OpenAiModel`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenAiOptions {
    /// Name of the model on the server.
    pub model: String,
    /// Base URL of the server.
    pub base_url: BaseUrl,
    /// API key, sent as a bearer token. Default: none.
    pub key: Option<ApiKey>,
    /// Optional fields that the server supports.
    pub dialect: Dialect,
    /// Additional fields of each request's body. They replace those of a [`Request`]. Default: none.
    pub extra: Map<String, Value>,
    /// Attempts and time limits.
    pub retry: RetryPolicy,
    /// Maximum size of a reply's text, in bytes. Default: [`DEFAULT_MAX_REPLY_BYTES`].
    pub max_reply_bytes: usize,
}

impl OpenAiOptions {
    /// Returns the parameters for `model` at `base_url`, with every default.
    pub fn new(model: impl Into<String>, base_url: BaseUrl) -> Self {
        Self {
            model: model.into(),
            base_url,
            key: None,
            dialect: Dialect::default(),
            extra: Map::new(),
            retry: RetryPolicy::default(),
            max_reply_bytes: DEFAULT_MAX_REPLY_BYTES,
        }
    }

    /// Sets [`OpenAiOptions::key`].
    #[must_use]
    pub fn key(mut self, key: impl Into<Option<ApiKey>>) -> Self {
        self.key = key.into();
        self
    }

    /// Sets [`OpenAiOptions::dialect`].
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets [`OpenAiOptions::extra`].
    #[must_use]
    pub fn extra(mut self, extra: Map<String, Value>) -> Self {
        self.extra = extra;
        self
    }

    /// Sets [`OpenAiOptions::retry`].
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets [`OpenAiOptions::max_reply_bytes`].
    #[must_use]
    pub fn max_reply_bytes(mut self, max_reply_bytes: usize) -> Self {
        self.max_reply_bytes = max_reply_bytes;
        self
    }
}

/// A model on a server with OpenAI's chat-completions API.
#[derive(Debug)]
pub struct OpenAiModel {
    options: OpenAiOptions,
    address: String,
    client: Client,
    /// Removes the key from replies.
    redactor: Redactor,
    /// The fields that the server has not rejected so far.
    dialect: Mutex<Dialect>,
}

impl OpenAiModel {
    /// Creates the HTTP client. Sends no request. Proxies are those of the system (such as `HTTPS_PROXY`), except for
    /// plain `http` to this machine. Redirects are not followed, so that a key goes only to the configured server.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::Client`] if the HTTP client cannot be created, and [`ModelError::UnusableKey`] if a
    /// header cannot contain the key.
    pub fn new(options: OpenAiOptions) -> Result<Self, ModelError> {
        if let Some(key) = &options.key {
            key.bearer()?;
        }
        Ok(Self {
            address: options.base_url.to_string(),
            client: client(&options.base_url)?,
            redactor: secrets(options.key.as_ref(), Some(&options.base_url)),
            dialect: Mutex::new(options.dialect),
            options,
        })
    }

    /// Returns the base URL of the server.
    pub fn base_url(&self) -> &BaseUrl {
        &self.options.base_url
    }

    fn context(&self, attempt: u32) -> RequestContext<'_> {
        RequestContext {
            address: &self.address,
            model: &self.options.model,
            key: self.options.key.as_ref(),
            attempt,
        }
    }

    /// Makes one attempt. Repeats the request without delay if the server rejects an optional field.
    async fn attempt(
        &self,
        number: u32,
        request: Request<'_>,
        watch: Watch<'_>,
    ) -> Result<Reply, FailedAttempt> {
        loop {
            let dialect = *self.dialect();
            let options = &self.options;
            let body = wire::body(&options.model, &request, dialect, &options.extra);
            tracing::debug!(
                model = options.model,
                address = self.address,
                attempt = number,
                "sending a request to the model"
            );
            let response = self.send(number, &body).await?;
            let status = response.status();
            if status.is_success() {
                return self.read_reply(number, response, request, watch).await;
            }
            if status.is_redirection() {
                return Err(self.redirect_error(&response));
            }
            let server_error = self.read_server_error(number, response).await?;
            if server_error.is_bad_request() {
                let param = server_error.param.as_deref();
                if let Some(reduced) =
                    wire::without_rejected_field(dialect, &body, param, &server_error.message)
                {
                    tracing::debug!(?reduced, "the server rejected a field");
                    *self.dialect() = reduced;
                    continue;
                }
            }
            return Err(server_error.into_failed_attempt(self.context(number)));
        }
    }

    async fn send(&self, number: u32, body: &Value) -> Result<Response, FailedAttempt> {
        let mut http_request = self
            .client
            .post(self.options.base_url.chat())
            .header(ACCEPT, "text/event-stream, application/json")
            .json(body);
        if let Some(key) = &self.options.key {
            http_request = http_request.header(
                AUTHORIZATION,
                key.bearer().map_err(FailedAttempt::permanent)?,
            );
        }
        match timeout(self.options.retry.stall_limit, http_request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_builder() => {
                Err(FailedAttempt::permanent(ModelError::Client {
                    reason: cause(error),
                }))
            }
            Ok(Err(error)) if error.is_connect() => {
                let reason = cause(error);
                let error = ModelError::Unreachable {
                    address: self.address.clone(),
                    attempts: number,
                    reason: reason.clone(),
                };
                Err(FailedAttempt::transient(error, reason, None))
            }
            Ok(Err(error)) => Err(self.connection_error(number, cause(error))),
            Err(_) => Err(self.stall_error(number)),
        }
    }

    /// Reads the response until its end or until a stop sequence. Dropping the response then closes the connection,
    /// so that the server stops generating.
    async fn read_reply(
        &self,
        number: u32,
        mut response: Response,
        request: Request<'_>,
        watch: Watch<'_>,
    ) -> Result<Reply, FailedAttempt> {
        let max_bytes = self.options.max_reply_bytes;
        let stall = self.options.retry.stall_limit;
        let mut decoder = Decoder::new(max_bytes);
        let mut builder = ReplyBuilder::new(request.stop, max_bytes, &self.redactor, watch);
        while !(builder.is_stopped() || builder.is_done()) {
            let limit = if builder.is_complete() {
                stall.min(USAGE_LIMIT)
            } else {
                stall
            };
            let bytes = match timeout(limit, response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break,
                _ if builder.is_complete() => break,
                Ok(Err(error)) => return Err(self.connection_error(number, cause(error))),
                Err(_) => return Err(self.stall_error(number)),
            };
            for item in decoder.push(&bytes).map_err(|e| self.decode_error(e))? {
                builder
                    .push(item)
                    .map_err(|e| self.reply_error(number, e))?;
            }
        }
        if !builder.is_stopped()
            && let Some(item) = decoder.finish().map_err(|e| self.decode_error(e))?
        {
            builder
                .push(item)
                .map_err(|e| self.reply_error(number, e))?;
        }
        builder
            .into_reply(&self.options.model)
            .map_err(|e| self.reply_error(number, e))
    }

    async fn read_server_error(
        &self,
        number: u32,
        mut response: Response,
    ) -> Result<ServerError, FailedAttempt> {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let mut body = Vec::new();
        while body.len() < MAX_ERROR_BODY_BYTES {
            // The status is sufficient for an error, so an incomplete body is not a failure of its own.
            match timeout(
                self.options.retry.stall_limit.min(USAGE_LIMIT),
                response.chunk(),
            )
            .await
            {
                Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
                _ => break,
            }
        }
        body.truncate(MAX_ERROR_BODY_BYTES);
        tracing::debug!(
            status,
            attempt = number,
            address = self.address,
            "the server returned an error"
        );
        Ok(ServerError::from_status(status, &body, retry_after))
    }

    fn redirect_error(&self, response: &Response) -> FailedAttempt {
        let to = response.headers().get(LOCATION);
        let to = to.and_then(|to| to.to_str().ok()).unwrap_or("");
        FailedAttempt::permanent(ModelError::Moved {
            address: self.address.clone(),
            to: redact(to, self.options.key.as_ref(), 200),
        })
    }

    fn connection_error(&self, attempts: u32, reason: String) -> FailedAttempt {
        let error = ModelError::Broken {
            address: self.address.clone(),
            attempts,
            reason: reason.clone(),
        };
        FailedAttempt::transient(error, format!("the reply was interrupted ({reason})"), None)
    }

    fn stall_error(&self, attempts: u32) -> FailedAttempt {
        let limit = self.options.retry.stall_limit;
        let error = ModelError::Stalled {
            address: self.address.clone(),
            limit,
            attempts,
        };
        FailedAttempt::transient(error, format!("no data for {limit:?}"), None)
    }

    fn size_error(&self) -> FailedAttempt {
        FailedAttempt::permanent(ModelError::ReplyTooLarge {
            address: self.address.clone(),
            limit: self.options.max_reply_bytes,
        })
    }

    fn format_error(&self, reason: &str) -> FailedAttempt {
        FailedAttempt::permanent(ModelError::NotChatCompletions {
            address: self.address.clone(),
            reason: redact(reason, self.options.key.as_ref(), 300),
        })
    }

    fn decode_error(&self, error: DecodeError) -> FailedAttempt {
        match error {
            DecodeError::TooLarge => self.size_error(),
            DecodeError::Format(reason) => self.format_error(&reason),
        }
    }

    fn reply_error(&self, number: u32, error: ReplyError) -> FailedAttempt {
        match error {
            ReplyError::Server(server_error) => {
                server_error.into_failed_attempt(self.context(number))
            }
            ReplyError::TooLarge => self.size_error(),
            ReplyError::NoText(events) => self.format_error(&format!(
                "it sent more than {events} events in sequence without text"
            )),
            ReplyError::Format(reason) => self.format_error(&reason),
            ReplyError::Incomplete => {
                self.connection_error(number, "it ended without a finish reason".to_owned())
            }
            ReplyError::Empty(finish) => FailedAttempt::permanent(ModelError::EmptyReply {
                address: self.address.clone(),
                model: self.options.model.clone(),
                finish,
            }),
        }
    }

    fn dialect(&self) -> std::sync::MutexGuard<'_, Dialect> {
        self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Model for OpenAiModel {
    fn name(&self) -> &str {
        &self.options.model
    }

    fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a> {
        Box::pin(async move {
            retry::run(&self.options.retry, &self.address, watch, |number| {
                self.attempt(number, request, watch)
            })
            .await
        })
    }
}

/// Returns an HTTP client for `base_url`.
pub(super) fn client(base_url: &BaseUrl) -> Result<Client, ModelError> {
    let mut builder = Client::builder()
        .user_agent(concat!("codeact/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_LIMIT);
    if base_url.is_plain_local() {
        // Plain `http` needs no TLS, so missing CA certificates must not be an error.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build().map_err(|error| ModelError::Client {
        reason: cause(error),
    })
}

/// Returns the innermost source of an error, without the URL, which can contain a password.
pub(super) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    redact(&text, None, 300)
}
