//! A model behind a chat-completions server: one call is one or more tries, each streamed.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, LOCATION};
use reqwest::{Client, Response};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::address::BaseUrl;
use super::answer::{Answer, Unanswered};
use super::decode::{Decoder, Undecodable};
use super::error::ModelError;
use super::model::{Completion, Model, Reply, Request, Watch};
use super::refusal::{Asked, Refusal};
use super::retry::{self, Failure, RetryPolicy, requested_wait};
use super::secret::{Secret, scrub};
use super::wire::{self, Dialect};

/// The most bytes of text that a reply may have, unless told otherwise: 4 MiB.
pub const DEFAULT_MAX_REPLY_BYTES: usize = 4 << 20;

/// The most bytes of an error's body that are read.
const MAX_ERROR_BODY: usize = 64 << 10;
/// How long a whole reply waits for the usage and the end that should follow it.
const GRACE: Duration = Duration::from_secs(5);
/// How long a TCP and TLS handshake may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// What an [`OpenAiModel`] is made of.
#[derive(Debug, Clone)]
pub struct OpenAiOptions {
    /// The model's name, as the server knows it.
    pub model: String,
    /// Where the server is.
    pub base_url: BaseUrl,
    /// Sent as a bearer token. Default none.
    pub key: Option<Secret>,
    /// What the server accepts.
    pub dialect: Dialect,
    /// Fields passed through into each request's body; they go over those of a [`Request`].
    /// Default none.
    pub extra: Map<String, Value>,
    /// Tries and time limits.
    pub retry: RetryPolicy,
    /// The most bytes of text that a reply may have. Default [`DEFAULT_MAX_REPLY_BYTES`].
    pub max_reply_bytes: usize,
}

impl OpenAiOptions {
    /// `model` at `base_url`, everything else at its default.
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
}

/// A model behind a server that speaks OpenAI's chat completions.
#[derive(Debug)]
pub struct OpenAiModel {
    options: OpenAiOptions,
    address: String,
    client: Client,
    /// The dialect as far as it turned out to hold.
    dialect: Mutex<Dialect>,
}

impl OpenAiModel {
    /// Makes the client; sends nothing yet. Proxies are the system's (`HTTPS_PROXY` and so on),
    /// except that plain `http` to this machine goes straight there. Redirects are not followed.
    ///
    /// # Errors
    /// [`ModelError::Client`] when the HTTP client cannot be made, [`ModelError::UnusableKey`]
    /// when no header can carry the key.
    pub fn new(options: OpenAiOptions) -> Result<Self, ModelError> {
        if let Some(key) = &options.key {
            key.bearer()?;
        }
        Ok(Self {
            address: options.base_url.to_string(),
            client: client(&options.base_url)?,
            dialect: Mutex::new(options.dialect),
            options,
        })
    }

    /// Where the server is.
    pub fn base_url(&self) -> &BaseUrl {
        &self.options.base_url
    }

    fn asked(&self, attempt: u32) -> Asked<'_> {
        Asked {
            address: &self.address,
            model: &self.options.model,
            key: self.options.key.as_ref(),
            attempt,
        }
    }

    /// One try, repeated at once while the server only refuses a field that it can do without.
    async fn attempt(
        &self,
        number: u32,
        request: Request<'_>,
        watch: Watch<'_>,
    ) -> Result<Reply, Failure> {
        loop {
            let dialect = *self.dialect();
            let options = &self.options;
            let body = wire::body(&options.model, &request, dialect, &options.extra);
            tracing::debug!(
                model = options.model,
                address = self.address,
                attempt = number,
                "asking the model"
            );
            let response = self.send(number, &body).await?;
            let status = response.status();
            if status.is_success() {
                return self.read(number, response, request, watch).await;
            }
            if status.is_redirection() {
                return Err(self.moved(&response));
            }
            let refusal = self.read_refusal(number, response).await?;
            if refusal.blames_request() {
                let param = refusal.param.as_deref();
                if let Some(narrower) = wire::narrowed(dialect, &body, param, &refusal.message) {
                    tracing::debug!(?narrower, "the server takes fewer fields");
                    *self.dialect() = narrower;
                    continue;
                }
            }
            return Err(refusal.into_failure(self.asked(number)));
        }
    }

    async fn send(&self, number: u32, body: &Value) -> Result<Response, Failure> {
        let mut builder = self
            .client
            .post(self.options.base_url.chat())
            .header(ACCEPT, "text/event-stream, application/json")
            .json(body);
        if let Some(key) = &self.options.key {
            builder = builder.header(AUTHORIZATION, key.bearer().map_err(Failure::last)?);
        }
        match timeout(self.options.retry.stall_limit, builder.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_builder() => Err(Failure::last(ModelError::Client {
                reason: cause(error),
            })),
            Ok(Err(error)) if error.is_connect() => {
                let reason = cause(error);
                let error = ModelError::Unreachable {
                    address: self.address.clone(),
                    attempts: number,
                    reason: reason.clone(),
                };
                Err(Failure::passing(error, reason, None))
            }
            Ok(Err(error)) => Err(self.broken(number, cause(error))),
            Err(_) => Err(self.stalled(number)),
        }
    }

    /// Reads the answer until its end, or until a stop sequence: dropping the response then
    /// closes the connection, which ends the server's work.
    async fn read(
        &self,
        number: u32,
        mut response: Response,
        request: Request<'_>,
        watch: Watch<'_>,
    ) -> Result<Reply, Failure> {
        let most = self.options.max_reply_bytes;
        let stall = self.options.retry.stall_limit;
        let mut decoder = Decoder::new(most);
        let mut answer = Answer::new(request.stop, most, watch);
        while !(answer.stopped() || answer.done()) {
            let limit = if answer.whole() {
                stall.min(GRACE)
            } else {
                stall
            };
            let bytes = match timeout(limit, response.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => break,
                _ if answer.whole() => break,
                Ok(Err(error)) => return Err(self.broken(number, cause(error))),
                Err(_) => return Err(self.stalled(number)),
            };
            for payload in decoder.push(&bytes).map_err(|e| self.undecodable(e))? {
                answer
                    .take(payload)
                    .map_err(|e| self.unanswered(number, e))?;
            }
        }
        if !answer.stopped()
            && let Some(payload) = decoder.finish().map_err(|e| self.undecodable(e))?
        {
            answer
                .take(payload)
                .map_err(|e| self.unanswered(number, e))?;
        }
        answer
            .into_reply(&self.options.model)
            .map_err(|e| self.unanswered(number, e))
    }

    async fn read_refusal(&self, number: u32, mut response: Response) -> Result<Refusal, Failure> {
        let status = response.status().as_u16();
        let retry_after = requested_wait(response.headers(), SystemTime::now());
        let mut body = Vec::new();
        while body.len() < MAX_ERROR_BODY {
            // The status has said the main thing: a body that breaks off or stalls is cut there.
            match timeout(self.options.retry.stall_limit.min(GRACE), response.chunk()).await {
                Ok(Ok(Some(bytes))) => body.extend_from_slice(&bytes),
                _ => break,
            }
        }
        body.truncate(MAX_ERROR_BODY);
        tracing::debug!(
            status,
            attempt = number,
            address = self.address,
            "the model's server refused"
        );
        Ok(Refusal::in_status(status, &body, retry_after))
    }

    fn moved(&self, response: &Response) -> Failure {
        let to = response.headers().get(LOCATION);
        let to = to.and_then(|to| to.to_str().ok()).unwrap_or("");
        Failure::last(ModelError::Moved {
            address: self.address.clone(),
            to: scrub(to, self.options.key.as_ref(), 200),
        })
    }

    fn broken(&self, attempts: u32, reason: String) -> Failure {
        let error = ModelError::Broken {
            address: self.address.clone(),
            attempts,
            reason: reason.clone(),
        };
        Failure::passing(error, format!("the reply broke off ({reason})"), None)
    }

    fn stalled(&self, attempts: u32) -> Failure {
        let limit = self.options.retry.stall_limit;
        let error = ModelError::Stalled {
            address: self.address.clone(),
            limit,
            attempts,
        };
        Failure::passing(error, format!("nothing came for {limit:?}"), None)
    }

    fn too_large(&self) -> Failure {
        Failure::last(ModelError::ReplyTooLarge {
            address: self.address.clone(),
            limit: self.options.max_reply_bytes,
        })
    }

    fn not_chat(&self, reason: &str) -> Failure {
        Failure::last(ModelError::NotChatCompletions {
            address: self.address.clone(),
            reason: scrub(reason, self.options.key.as_ref(), 300),
        })
    }

    fn undecodable(&self, error: Undecodable) -> Failure {
        match error {
            Undecodable::TooLarge => self.too_large(),
            Undecodable::Format(reason) => self.not_chat(&reason),
        }
    }

    fn unanswered(&self, number: u32, error: Unanswered) -> Failure {
        match error {
            Unanswered::Refused(refusal) => refusal.into_failure(self.asked(number)),
            Unanswered::TooLarge => self.too_large(),
            Unanswered::Format(reason) => self.not_chat(&reason),
            Unanswered::Incomplete => {
                self.broken(number, "it ended without a finish reason".to_owned())
            }
            Unanswered::Empty(finish) => Failure::last(ModelError::EmptyReply {
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

/// An HTTP client for `base_url`.
pub(super) fn client(base_url: &BaseUrl) -> Result<Client, ModelError> {
    let mut builder = Client::builder()
        .user_agent(concat!("codeact/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_LIMIT);
    if base_url.is_plain_local() {
        // No TLS will be spoken, so a machine without CA certificates must not be an error.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build().map_err(|error| ModelError::Client {
        reason: cause(error),
    })
}

/// What lies at the bottom of a client's error, without the URL (which may hold a password).
pub(super) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    scrub(&text, None, 300)
}
