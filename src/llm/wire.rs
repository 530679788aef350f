//! Writes a request in the chat-completions format, in the dialect of the server at hand.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::model::Request;

/// What a server accepts beyond the format's core. Where it turns out narrower than this (a 400
/// or 422 that names the field), the field is left out from then on: none of it changes a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dialect {
    /// Whether `stop` is sent (at most four). Stop sequences are applied on our side anyway.
    /// Default true.
    pub stop: bool,
    /// Whether `stream_options: {include_usage}` is sent, so that a stream tells its usage.
    /// Default true.
    pub stream_options: bool,
    /// The name of the token limit's field. Default `max_tokens`.
    pub token_limit: TokenLimitField,
    /// The name of the seed's field. Default `seed`.
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

/// The two names for the sampling's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeedField {
    /// `seed`.
    Seed,
    /// `random_seed`, Mistral's own.
    RandomSeed,
}

/// The two names for the longest reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimitField {
    /// `max_tokens`, which nearly every server knows.
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's thinking models insist on.
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

/// The most stop sequences that OpenAI's format takes.
const MOST_STOPS: usize = 4;

/// The request's body. `extra` goes over whatever is optional, never over `model`, `messages` and
/// `stream`.
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
    if let Some(most) = request.max_tokens
        && !extra.contains_key(limit.other().name())
    {
        body.insert(limit.name().into(), json!(most));
    }
    let stops: Vec<&String> = request.stop.iter().filter(|s| !s.is_empty()).collect();
    if dialect.stop && !stops.is_empty() {
        let stops = &stops[..stops.len().min(MOST_STOPS)];
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

/// The `f64` that prints like `number`: 0.7, not 0.699999988079071.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// A dialect without what the server complains of (by naming it in `param` or `message`), if that
/// is something which `sent` holds and which can be done without.
pub(super) fn narrowed(
    dialect: Dialect,
    sent: &Value,
    param: Option<&str>,
    message: &str,
) -> Option<Dialect> {
    let blamed = |field: &str| {
        sent.get(field).is_some()
            && (param == Some(field)
                || ['\'', '"', '`']
                    .iter()
                    .any(|quote| message.contains(&format!("{quote}{field}{quote}"))))
    };
    if dialect.stop && blamed("stop") {
        return Some(Dialect {
            stop: false,
            ..dialect
        });
    }
    if dialect.stream_options && blamed("stream_options") {
        return Some(Dialect {
            stream_options: false,
            ..dialect
        });
    }
    // Only from the old name to the new one: the other way round could go to and fro for ever.
    if dialect.token_limit == TokenLimitField::MaxTokens
        && blamed("max_tokens")
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
    use crate::llm::{Message, Role};

    fn extra(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn only_what_was_asked_for_is_sent() {
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
    fn options_follow_the_dialect_and_extra_goes_over_them() {
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
    fn an_extra_token_limit_replaces_ours_under_either_name() {
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
    fn a_field_that_the_server_blames_is_left_out() {
        let all = Dialect::default();
        let sent = json!({"stop": ["a"], "stream_options": {}, "max_tokens": 9});
        let narrow = |param, message| narrowed(all, &sent, param, message);
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
        assert_eq!(narrowed(all, &json!({}), Some("stop"), ""), None);
    }
}
