//! Request bodies in the chat-completions format, with the fields that a server supports.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::model::Request;

/// Fields that a server supports in addition to the core of the format. If it rejects one (status 400 or 422 that
/// names the field), the field is omitted from then on. None of them changes a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Dialect {
    /// True if `stop` is sent, with at most four stop sequences. They are applied on the client as well. Default:
    /// true.
    pub stop: bool,
    /// True if `stream_options: {include_usage}` is sent, so that a stream contains the usage. Default: true.
    pub stream_options: bool,
    /// Name of the field of the token limit. Default: `max_tokens`.
    pub token_limit: TokenLimitField,
    /// Name of the field of the seed. Default: `seed`.
    pub seed: SeedField,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            stop: true,
            stream_options: true,
            token_limit: TokenLimitField::MaxTokens,
            seed: SeedField::Seed,
        }
    }
}

impl Dialect {
    /// Returns the default: all fields, with OpenAI's older names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Dialect::stop`].
    #[must_use]
    pub fn stop(mut self, stop: bool) -> Self {
        self.stop = stop;
        self
    }

    /// Sets [`Dialect::stream_options`].
    #[must_use]
    pub fn stream_options(mut self, stream_options: bool) -> Self {
        self.stream_options = stream_options;
        self
    }

    /// Sets [`Dialect::token_limit`].
    #[must_use]
    pub fn token_limit(mut self, field: TokenLimitField) -> Self {
        self.token_limit = field;
        self
    }

    /// Sets [`Dialect::seed`].
    #[must_use]
    pub fn seed(mut self, field: SeedField) -> Self {
        self.seed = field;
        self
    }
}

/// Name of the field of the sampling seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SeedField {
    /// `seed`.
    Seed,
    /// `random_seed`, used by Mistral.
    RandomSeed,
}

/// Name of the field of the token limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenLimitField {
    /// `max_tokens`, which nearly every server supports.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models require.
    MaxCompletionTokens,
}

impl TokenLimitField {
    fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::MaxTokens => Self::MaxCompletionTokens,
            Self::MaxCompletionTokens => Self::MaxTokens,
        }
    }
}

/// Maximum number of stop sequences in OpenAI's format.
const MAX_STOPS: usize = 4;

/// Returns the body of a request. `extra` replaces all fields except `model`, `messages` and `stream`.
pub(super) fn body(
    model: &str,
    request: &Request<'_>,
    dialect: Dialect,
    extra: &Map<String, Value>,
) -> Value {
    let mut body = Map::new();
    if let Some(temperature) = request.temperature {
        body.insert("temperature".into(), json!(shortest(temperature)));
    }
    if let Some(seed) = request.seed {
        let name = match dialect.seed {
            SeedField::Seed => "seed",
            SeedField::RandomSeed => "random_seed",
        };
        body.insert(name.into(), json!(seed));
    }
    let limit = dialect.token_limit;
    if let Some(max_tokens) = request.max_tokens
        && !extra.contains_key(limit.other().name())
    {
        body.insert(limit.name().into(), json!(max_tokens));
    }
    let stops: Vec<&String> = request.stop.iter().filter(|s| !s.is_empty()).collect();
    if dialect.stop && !stops.is_empty() {
        let stops = &stops[..stops.len().min(MAX_STOPS)];
        body.insert("stop".into(), json!(stops));
    }
    if dialect.stream_options {
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    for (name, value) in extra {
        body.insert(name.clone(), value.clone());
    }
    body.insert("model".into(), json!(model));
    body.insert("messages".into(), json!(request.messages));
    body.insert("stream".into(), json!(true));
    Value::Object(body)
}

/// Returns the `f64` that prints like `number`: 0.7 and not 0.699999988079071.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// Returns the dialect without a field that the server rejected, which it names in `param` or `message`. Returns
/// `None` if `sent` does not contain the field or if the field is required.
pub(super) fn without_rejected_field(
    dialect: Dialect,
    sent: &Value,
    param: Option<&str>,
    message: &str,
) -> Option<Dialect> {
    let is_rejected = |field: &str| {
        sent.get(field).is_some()
            && (param == Some(field)
                || ['\'', '"', '`']
                    .iter()
                    .any(|quote| message.contains(&format!("{quote}{field}{quote}"))))
    };
    if dialect.stop && is_rejected("stop") {
        return Some(Dialect {
            stop: false,
            ..dialect
        });
    }
    if dialect.stream_options && is_rejected("stream_options") {
        return Some(Dialect {
            stream_options: false,
            ..dialect
        });
    }
    // Only from the old name to the new one: the other direction could loop forever.
    if dialect.token_limit == TokenLimitField::MaxTokens
        && is_rejected("max_tokens")
        && message.contains("max_completion_tokens")
    {
        return Some(Dialect {
            token_limit: TokenLimitField::MaxCompletionTokens,
            ..dialect
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Role};

    fn extra(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn fields_without_a_value_are_not_sent() {
        let messages = [Message::new(Role::User, "hi")];
        let request = Request {
            messages: &messages,
            ..Request::default()
        };
        let dialect = Dialect {
            stream_options: false,
            ..Dialect::default()
        };
        assert_eq!(
            body("m", &request, dialect, &Map::new()),
            json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hi"}]})
        );
    }

    #[test]
    fn options_follow_the_dialect_and_extra_replaces_them() {
        let stop: Vec<String> = ["a", "", "b", "c", "d", "e"].map(String::from).to_vec();
        let request = Request {
            stop: &stop,
            temperature: Some(0.7),
            max_tokens: Some(9),
            seed: Some(u64::MAX),
            ..Request::default()
        };
        let extra = extra(json!({"temperature": 1, "top_p": 0.5, "model": "x", "stream": false}));
        let dialect = Dialect {
            token_limit: TokenLimitField::MaxCompletionTokens,
            ..Dialect::default()
        };
        assert_eq!(
            body("m", &request, dialect, &extra),
            json!({
                "model": "m", "stream": true, "messages": [], "temperature": 1, "top_p": 0.5,
                "max_completion_tokens": 9, "seed": u64::MAX, "stop": ["a", "b", "c", "d"],
                "stream_options": {"include_usage": true},
            })
        );
        assert_eq!(shortest(0.7).to_string(), "0.7");
    }

    #[test]
    fn an_extra_token_limit_replaces_the_requests() {
        let request = Request {
            max_tokens: Some(9),
            ..Request::default()
        };
        let extra = extra(json!({"max_completion_tokens": 5}));
        let body = body("m", &request, Dialect::default(), &extra);
        assert_eq!(body["max_completion_tokens"], 5);
        assert!(body.get("max_tokens").is_none());
    }

    #[test]
    fn a_rejected_field_is_removed_from_the_dialect() {
        let all = Dialect::default();
        let sent = json!({"stop": ["a"], "stream_options": {}, "max_tokens": 9});
        let narrow = |param, message| without_rejected_field(all, &sent, param, message);
        assert!(!narrow(Some("stop"), "no").unwrap().stop);
        let message = "Unsupported parameter: 'stream_options'";
        assert!(!narrow(None, message).unwrap().stream_options);
        let message = "'max_tokens' is not supported. Use 'max_completion_tokens' instead.";
        assert_eq!(
            narrow(None, message).unwrap().token_limit,
            TokenLimitField::MaxCompletionTokens
        );
        assert_eq!(narrow(None, "please stop"), None);
        assert_eq!(
            narrow(Some("temperature"), "'max_tokens' is too large"),
            None
        );
        assert_eq!(
            without_rejected_field(all, &json!({}), Some("stop"), ""),
            None
        );
    }
}
