//! Joins an answer's payloads to one [`Reply`], telling its text as it grows.

use serde_json::Value;

use super::decode::{EXCERPT, Payload};
use super::model::{FinishReason, ModelEvent, Reply, TokenUsage, Watch};
use super::refusal::Refusal;
use super::secret::excerpt;
use super::stop::StopFilter;

/// Why a payload ends the answer badly.
#[derive(Debug, PartialEq)]
pub(super) enum Unanswered {
    /// An error object in place of (or in the middle of) the answer.
    Refused(Refusal),
    /// More text than the bound.
    TooLarge,
    /// JSON that is neither a chunk nor a completion; says what it is.
    Format(String),
    /// The answer ended before it said that it was complete.
    Incomplete,
    /// It is complete and has no text; the finish reason in the server's word.
    Empty(String),
}

/// The answer so far.
pub(super) struct Answer<'a> {
    text: StopFilter<'a>,
    max_bytes: usize,
    watch: Watch<'a>,
    finish: Option<String>,
    done: bool,
    usage: Option<TokenUsage>,
    model: Option<String>,
    /// Whether anything was of the expected format.
    recognised: bool,
    /// The first object that was not.
    strange: Option<String>,
}

impl<'a> Answer<'a> {
    /// An empty answer of at most `max_bytes` of text, cut at `stops`.
    pub fn new(stops: &'a [String], max_bytes: usize, watch: Watch<'a>) -> Self {
        Self {
            text: StopFilter::new(stops),
            max_bytes,
            watch,
            finish: None,
            done: false,
            usage: None,
            model: None,
            recognised: false,
            strange: None,
        }
    }

    /// Takes the next payload.
    pub fn take(&mut self, payload: Payload) -> Result<(), Unanswered> {
        let value = match payload {
            Payload::Done => {
                self.done = true;
                return Ok(());
            }
            Payload::Json(Value::Null) => return Ok(()),
            Payload::Json(value @ Value::Object(_)) => value,
            Payload::Json(other) => {
                let shown = excerpt(&other.to_string(), EXCERPT);
                return Err(Unanswered::Format(format!("not an object: {shown}")));
            }
        };
        if value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(Unanswered::Refused(Refusal::in_answer(&value)));
        }
        if let Some(model) = value.get("model").and_then(Value::as_str)
            && !model.is_empty()
        {
            self.model = Some(excerpt(model, 200));
        }
        if let Some(usage) = value.get("usage").and_then(usage) {
            self.usage = Some(usage);
        }
        let Some(choices) = value.get("choices").and_then(Value::as_array) else {
            if self.usage.is_none() && self.strange.is_none() {
                self.strange = Some(excerpt(&value.to_string(), EXCERPT));
            }
            return Ok(());
        };
        self.recognised = true;
        let first = |choice: &&Value| {
            let index = choice.get("index").and_then(Value::as_u64);
            index.unwrap_or(0) == 0
        };
        for choice in choices.iter().filter(first) {
            let said = choice.get("delta").or_else(|| choice.get("message"));
            if let Some(content) = said.and_then(|said| said.get("content")) {
                self.say(content)?;
            }
            if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str)
                && !reason.is_empty()
            {
                self.finish = Some(excerpt(reason, 100));
            }
        }
        Ok(())
    }

    /// Text, or an array of parts of which the text ones count.
    fn say(&mut self, content: &Value) -> Result<(), Unanswered> {
        match content {
            Value::String(text) => self.push(text),
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
                .try_for_each(|text| self.push(text)),
            _ => Ok(()),
        }
    }

    fn push(&mut self, text: &str) -> Result<(), Unanswered> {
        if self.stopped() {
            return Ok(());
        }
        if text.len() > self.max_bytes.saturating_sub(self.text.len()) {
            return Err(Unanswered::TooLarge);
        }
        let shown = self.text.push(text);
        if !shown.is_empty() {
            (self.watch)(ModelEvent::Delta(shown));
        }
        Ok(())
    }

    /// Whether a stop sequence was found: nothing further is of interest.
    pub fn stopped(&self) -> bool {
        self.text.hit().is_some()
    }

    /// Whether the stream said its last word.
    pub fn done(&self) -> bool {
        self.done
    }

    /// Whether the text is known to be whole, though usage may still come.
    pub fn whole(&self) -> bool {
        self.done || self.finish.is_some()
    }

    /// The reply, given that nothing more comes; `asked` is the model's name if the server gave
    /// none.
    pub fn into_reply(mut self, asked: &str) -> Result<Reply, Unanswered> {
        let finish = match (self.text.hit(), self.finish) {
            (Some(stop), _) => FinishReason::StopSequence(stop.to_owned()),
            (None, Some(reason)) => finish_reason(reason),
            (None, None) if self.done && self.recognised => FinishReason::Stop,
            (None, None) if !self.recognised && (self.done || self.strange.is_some()) => {
                let shown = self.strange.unwrap_or_default();
                return Err(Unanswered::Format(format!("it has no `choices`: {shown}")));
            }
            (None, None) => return Err(Unanswered::Incomplete),
        };
        let held_back = self.text.finish();
        if !held_back.is_empty() {
            (self.watch)(ModelEvent::Delta(held_back));
        }
        let text = self.text.into_text();
        // Only a stop sequence may rightly leave nothing before it.
        if text.trim().is_empty() {
            match finish {
                FinishReason::StopSequence(_) => {}
                FinishReason::Stop => return Err(Unanswered::Empty("stop".into())),
                FinishReason::Length => return Err(Unanswered::Empty("length".into())),
                FinishReason::Other(reason) => return Err(Unanswered::Empty(reason)),
            }
        }
        Ok(Reply {
            text,
            finish,
            usage: self.usage,
            model: self.model.unwrap_or_else(|| asked.to_owned()),
        })
    }
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

    fn reply(payloads: Vec<Value>) -> Result<Reply, Unanswered> {
        let mut answer = Answer::new(&[], 100, &|_| {});
        for payload in payloads {
            answer.take(Payload::Json(payload))?;
        }
        answer.into_reply("asked")
    }

    #[test]
    fn chunks_are_joined_and_thinking_is_left_out() {
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
    fn a_whole_completion_is_a_reply() {
        let value = json!({"choices": [{"message": {"content": "x"}, "finish_reason": "eos"}]});
        let reply = reply(vec![value]).unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.finish),
            ("x", FinishReason::Stop)
        );
        assert_eq!(reply.model, "asked");
    }

    #[test]
    fn what_is_no_whole_reply_is_not_taken_for_one() {
        let chunk = |text: &str, finish: Option<&str>| json!({"choices": [{"delta": {"content": text}, "finish_reason": finish}]});
        let all = |values| reply(values).unwrap_err();
        assert_eq!(all(vec![chunk("a", None)]), Unanswered::Incomplete);
        assert_eq!(all(vec![]), Unanswered::Incomplete);
        let empty = Unanswered::Empty("content_filter".into());
        assert_eq!(all(vec![chunk("\n", Some("content_filter"))]), empty);
        let long = "x".repeat(101);
        assert_eq!(all(vec![chunk(&long, None)]), Unanswered::TooLarge);
        for strange in [json!([1]), json!({"response": "a"})] {
            assert!(matches!(all(vec![strange]), Unanswered::Format(_)));
        }
        assert!(matches!(
            all(vec![chunk("a", None), json!({"error": {"message": "m"}})]),
            Unanswered::Refused(_)
        ));
    }
}
