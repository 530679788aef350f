//! Builds a [`Reply`] from the items of a response, and reports its text as it grows.

use codeact_base::redact::{Redactor, RedactorStream};
use serde_json::Value;

use crate::api_key::excerpt;
use crate::decode::{MAX_EXCERPT_CHARS, StreamItem};
use crate::model::{FinishReason, ModelEvent, Reply, TokenUsage, Watch};
use crate::server_error::ServerError;
use crate::stop::StopFilter;

/// Largest number of items in sequence without text of the reply or of its reasoning. Some servers send empty items
/// while a request waits.
const MAX_EMPTY_ITEMS: u32 = 100_000;

/// Reason why a response contains no reply.
#[derive(Debug, PartialEq)]
pub(super) enum ReplyError {
    /// The server sent an error object instead of, or within, the reply.
    Server(ServerError),
    /// The text exceeds its limit.
    TooLarge,
    /// This many items in sequence had no text.
    NoText(u32),
    /// An item is neither a chunk nor a completion. Contains a description.
    Format(String),
    /// The response ended without a finish reason.
    Incomplete,
    /// The reply is complete and has no text. Contains the server's finish reason.
    Empty(String),
}

/// Builder of one reply.
pub(super) struct ReplyBuilder<'a> {
    text: StopFilter<'a>,
    /// Removes secrets from the text, before the search for stop sequences.
    redacting: RedactorStream,
    redactor: &'a Redactor,
    /// Redacted bytes that are not a complete character yet.
    pending: Vec<u8>,
    /// Size of the text as received, in bytes.
    received: usize,
    max_bytes: usize,
    /// Number of items since the last one with text.
    empty_items: u32,
    watch: Watch<'a>,
    finish: Option<String>,
    done: bool,
    usage: Option<TokenUsage>,
    model: Option<String>,
    /// True if an item had the expected format.
    recognised: bool,
    /// Excerpt of the first item that had not.
    unexpected: Option<String>,
}

impl<'a> ReplyBuilder<'a> {
    /// Returns a builder for a reply with at most `max_bytes` of text, which ends at one of `stops`.
    pub fn new(
        stops: &'a [String],
        max_bytes: usize,
        redactor: &'a Redactor,
        watch: Watch<'a>,
    ) -> Self {
        Self {
            text: StopFilter::new(stops),
            redacting: redactor.prompt_stream(),
            redactor,
            pending: Vec::new(),
            received: 0,
            max_bytes,
            empty_items: 0,
            watch,
            finish: None,
            done: false,
            usage: None,
            model: None,
            recognised: false,
            unexpected: None,
        }
    }

    /// Processes the next item.
    pub fn push(&mut self, item: StreamItem) -> Result<(), ReplyError> {
        self.empty_items += 1;
        if self.empty_items > MAX_EMPTY_ITEMS {
            return Err(ReplyError::NoText(MAX_EMPTY_ITEMS));
        }
        let value = match item {
            StreamItem::Done => {
                self.done = true;
                return Ok(());
            }
            StreamItem::Json(Value::Null) => return Ok(()),
            StreamItem::Json(value @ Value::Object(_)) => value,
            StreamItem::Json(other) => {
                let text = excerpt(&other.to_string(), MAX_EXCERPT_CHARS);
                return Err(ReplyError::Format(format!("not an object: {text}")));
            }
        };
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(ReplyError::Server(ServerError::from_object(&value)));
        }
        if let Some(model) = value.get("model").and_then(Value::as_str)
            && !model.is_empty()
        {
            self.model = Some(excerpt(&self.redactor.text(model), 200));
        }
        if let Some(usage) = value.get("usage").and_then(usage) {
            self.usage = Some(usage);
        }
        let Some(choices) = value.get("choices").and_then(Value::as_array) else {
            if self.usage.is_none() && self.unexpected.is_none() {
                self.unexpected = Some(excerpt(&value.to_string(), MAX_EXCERPT_CHARS));
            }
            return Ok(());
        };
        self.recognised = true;
        let first = |choice: &&Value| {
            let index = choice.get("index").and_then(Value::as_u64);
            index.unwrap_or(0) == 0
        };
        for choice in choices.iter().filter(first) {
            let message = choice.get("delta").or_else(|| choice.get("message"));
            if let Some(content) = message.and_then(|message| message.get("content")) {
                self.push_content(content)?;
            }
            if message.is_some_and(has_reasoning) {
                self.empty_items = 0;
            }
            if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str)
                && !reason.is_empty()
            {
                self.finish = Some(excerpt(&self.redactor.text(reason), 100));
            }
        }
        Ok(())
    }

    /// Appends a text, or the text parts of an array.
    fn push_content(&mut self, content: &Value) -> Result<(), ReplyError> {
        match content {
            Value::String(text) => self.push_text(text),
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
                .try_for_each(|text| self.push_text(text)),
            _ => Ok(()),
        }
    }

    fn push_text(&mut self, text: &str) -> Result<(), ReplyError> {
        if self.is_stopped() {
            return Ok(());
        }
        if text.len() > self.max_bytes.saturating_sub(self.received) {
            return Err(ReplyError::TooLarge);
        }
        self.received += text.len();
        if !text.is_empty() {
            self.empty_items = 0;
        }
        self.redacting.push(text.as_bytes(), &mut self.pending);
        self.emit(false);
        Ok(())
    }

    /// Appends the redacted text, and reports it. An incomplete character at its end is kept unless it is the end.
    fn emit(&mut self, is_end: bool) {
        let complete = match std::str::from_utf8(&self.pending) {
            Err(e) if e.error_len().is_none() && !is_end => e.valid_up_to(),
            _ => self.pending.len(),
        };
        let rest = self.pending.split_off(complete);
        let redacted = std::mem::replace(&mut self.pending, rest);
        let text = self.text.push(&String::from_utf8_lossy(&redacted));
        if !text.is_empty() {
            (self.watch)(ModelEvent::Delta(text));
        }
    }

    /// Returns true if a stop sequence was found. The rest of the response is then not needed.
    pub fn is_stopped(&self) -> bool {
        self.text.hit().is_some()
    }

    /// Returns true if the stream has ended with `[DONE]`.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Returns true if the text is complete. The usage may still follow.
    pub fn is_complete(&self) -> bool {
        self.done || self.finish.is_some()
    }

    /// Ends the response and returns the reply. `requested_model` is used if the server gave no model.
    pub fn into_reply(mut self, requested_model: &str) -> Result<Reply, ReplyError> {
        if !self.is_stopped() {
            self.redacting.finish(&mut self.pending);
            self.emit(true);
        }
        let finish = match (self.text.hit(), self.finish) {
            (Some(stop), _) => FinishReason::StopSequence(stop.to_owned()),
            (None, Some(reason)) => finish_reason(reason),
            (None, None) if self.done && self.recognised => FinishReason::Stop,
            (None, None) if !self.recognised && (self.done || self.unexpected.is_some()) => {
                let text = self.unexpected.unwrap_or_default();
                return Err(ReplyError::Format(format!("it has no `choices`: {text}")));
            }
            (None, None) => return Err(ReplyError::Incomplete),
        };
        let held_back = self.text.finish();
        if !held_back.is_empty() {
            (self.watch)(ModelEvent::Delta(held_back));
        }
        let text = self.text.into_text();
        // Only a reply that ends at a stop sequence may be empty.
        if text.trim().is_empty() {
            match finish {
                FinishReason::StopSequence(_) => {}
                FinishReason::Stop => return Err(ReplyError::Empty("stop".into())),
                FinishReason::Length => return Err(ReplyError::Empty("length".into())),
                FinishReason::Other(reason) => return Err(ReplyError::Empty(reason)),
            }
        }
        Ok(Reply {
            text,
            finish,
            usage: self.usage,
            model: self.model.unwrap_or_else(|| requested_model.to_owned()),
        })
    }
}

/// True if a delta has text of the reasoning or of a tool call, in the names that servers use.
fn has_reasoning(delta: &Value) -> bool {
    let has_text = |value: &Value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(parts) => !parts.is_empty(),
        _ => false,
    };
    [
        "reasoning_content",
        "reasoning",
        "reasoning_details",
        "tool_calls",
    ]
    .iter()
    .any(|name| delta.get(name).is_some_and(has_text))
}

fn finish_reason(reason: String) -> FinishReason {
    match reason.as_str() {
        "stop" | "eos" | "eos_token" | "end_turn" | "stop_sequence" => FinishReason::Stop,
        "length" | "max_tokens" => FinishReason::Length,
        _ => FinishReason::Other(reason),
    }
}

fn usage(value: &Value) -> Option<TokenUsage> {
    let count = |name: &str| value.get(name).and_then(Value::as_u64);
    Some(TokenUsage {
        input_tokens: count("prompt_tokens").or_else(|| count("input_tokens"))?,
        output_tokens: count("completion_tokens")
            .or_else(|| count("output_tokens"))
            .unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(payloads: Vec<Value>) -> Result<Reply, ReplyError> {
        let redactor = Redactor::new([("sk-secret-0123".to_owned(), "***".to_owned())]);
        let mut answer = ReplyBuilder::new(&[], 100, &redactor, &|_| {});
        for item in payloads {
            answer.push(StreamItem::Json(item))?;
        }
        answer.into_reply("requested_model")
    }

    #[test]
    fn chunks_are_joined_without_reasoning() {
        let reply = reply(vec![
            json!({"model": "m", "choices": [{"delta": {"role": "assistant", "content": null}}]}),
            json!({"choices": [{"delta": {"reasoning_content": "hm", "reasoning": "hm"}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "X"}}]}),
            json!({"choices": [{"delta": {"content": [{"type": "text", "text": "b"}, {"type": "image"}, "c"]}}]}),
            json!({"choices": [{"delta": {}, "finish_reason": "length"}], "usage": null, "error": null}),
            json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
        ])
        .unwrap();
        assert_eq!(
            reply,
            Reply {
                text: "abc".into(),
                finish: FinishReason::Length,
                usage: Some(TokenUsage {
                    input_tokens: 3,
                    output_tokens: 4
                }),
                model: "m".into(),
            }
        );
    }

    #[test]
    fn a_secret_is_removed_from_all_texts() {
        let chunk = |text: &str| json!({"choices": [{"delta": {"content": text}}]});
        let mut payloads: Vec<_> = "é sk-secret-0123 sk-sé"
            .chars()
            .map(|c| chunk(&c.to_string()))
            .collect();
        payloads.push(json!({"model": "sk-secret-0123", "choices": [{"delta": {}, "finish_reason": "sk-secret-0123"}]}));
        let reply = reply(payloads).unwrap();
        assert_eq!((&*reply.text, &*reply.model), ("é *** sk-sé", "***"));
        assert_eq!(reply.finish, FinishReason::Other("***".into()));
    }

    #[test]
    fn items_without_text_are_limited() {
        let item = || json!({"choices": [{"delta": {"content": ""}}]});
        let many = vec![item(); 100_001];
        assert_eq!(reply(many).unwrap_err(), ReplyError::NoText(100_000));
        let reasoning = json!({"choices": [{"delta": {"reasoning_content": "hm"}}]});
        let mut many = vec![item(); 90_000];
        many.push(reasoning);
        many.extend(vec![item(); 90_000]);
        assert_eq!(reply(many).unwrap_err(), ReplyError::Incomplete);
    }

    #[test]
    fn a_complete_completion_is_a_reply() {
        let value = json!({"choices": [{"message": {"content": "x"}, "finish_reason": "eos"}]});
        let reply = reply(vec![value]).unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.finish),
            ("x", FinishReason::Stop)
        );
        assert_eq!(reply.model, "requested_model");
    }

    #[test]
    fn incomplete_and_invalid_responses_are_errors() {
        let chunk = |text: &str, finish: Option<&str>| json!({"choices": [{"delta": {"content": text}, "finish_reason": finish}]});
        let all = |values| reply(values).unwrap_err();
        assert_eq!(all(vec![chunk("a", None)]), ReplyError::Incomplete);
        assert_eq!(all(vec![]), ReplyError::Incomplete);
        let empty = ReplyError::Empty("content_filter".into());
        assert_eq!(all(vec![chunk("\n", Some("content_filter"))]), empty);
        let long = "x".repeat(101);
        assert_eq!(all(vec![chunk(&long, None)]), ReplyError::TooLarge);
        for unexpected in [json!([1]), json!({"response": "a"})] {
            assert!(matches!(all(vec![unexpected]), ReplyError::Format(_)));
        }
        assert!(matches!(
            all(vec![chunk("a", None), json!({"error": {"message": "m"}})]),
            ReplyError::Server(_)
        ));
    }
}
