//! A model that replays replies from a file, for demonstrations and tests without a network.
//!
//! ```json
//! {"version": 1, "note": "a description", "exchanges": [
//!     {"expect": ["a part of the last message"], "reply": "the reply of the model"}
//! ]}
//! ```

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::api_key::excerpt;
use crate::error::ModelError;
use crate::model::{Completion, FinishReason, Model, ModelEvent, Reply, Request, Watch};
use crate::stop::StopFilter;

/// Maximum size of a recording: 16 MiB.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Version of the file format.
const VERSION: u64 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordingFile {
    #[serde(rename = "version")]
    _version: u64,
    /// Description for readers of the file.
    #[serde(default, rename = "note")]
    _note: Option<String>,
    exchanges: Vec<Exchange>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    #[serde(default)]
    expect: Vec<String>,
    reply: String,
    #[serde(default)]
    finish: Finish,
}

/// How a recorded reply ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finish {
    /// At its end, or at a stop sequence.
    #[default]
    Stop,
    /// At the token limit.
    Length,
    /// The caller dropped the call, because the reply was repetitive or the run was cancelled.
    Cut,
}

/// A model that replays a recording in order. It checks that the conversation matches the recording.
///
/// ```
/// use codeact_llm::{Message, Model, RecordedModel, Request, Role};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codeact_llm::ModelError> {
/// let model = RecordedModel::from_json(
///     r#"{"version": 1, "exchanges": [{"expect": ["primes"], "reply": "2 and 3"}]}"#,
/// )?;
/// let messages = [Message::new(Role::User, "Name two primes.")];
/// let reply = model.complete(Request::new(&messages), &|_| {}).await?;
/// assert_eq!(reply.text, "2 and 3");
/// assert_eq!(model.remaining(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RecordedModel {
    name: String,
    exchanges: Vec<Exchange>,
    next: Mutex<usize>,
}

impl RecordedModel {
    /// Reads a recording of at most 16 MiB from `path`.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::RecordingUnreadable`] if the file cannot be read or parsed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let bad = |reason: String| unreadable(path.to_owned(), reason);
        let file = File::open(path).map_err(|e| bad(e.to_string()))?;
        let mut text = String::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|e| bad(e.to_string()))?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(bad(format!("it is larger than {MAX_FILE_BYTES} bytes")));
        }
        Self::read(&text, path.to_owned())
    }

    /// Parses a recording from its JSON.
    ///
    /// # Errors
    ///
    /// Returns [`ModelError::RecordingUnreadable`] if the text is not a valid recording.
    pub fn from_json(text: &str) -> Result<Self, ModelError> {
        Self::read(text, PathBuf::from("<text>"))
    }

    fn read(text: &str, path: PathBuf) -> Result<Self, ModelError> {
        /// The version is read first, so that new fields of a later version do not hide it in the error.
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let name = match path.file_name() {
            Some(file) => format!("recorded:{}", file.to_string_lossy()),
            None => "recorded".to_owned(),
        };
        let read = || -> Result<RecordingFile, String> {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            let Versioned { version } = serde_json::from_str(text).map_err(|e| e.to_string())?;
            if version != VERSION {
                return Err(format!("it has version {version}, not {VERSION}"));
            }
            serde_json::from_str(text).map_err(|e| e.to_string())
        };
        let recording = read().map_err(|reason| unreadable(path, reason))?;
        Ok(Self {
            name,
            exchanges: recording.exchanges,
            next: Mutex::new(0),
        })
    }

    /// Returns a recording of `replies`, in this order, which matches any conversation.
    pub fn from_replies(name: &str, replies: impl IntoIterator<Item = (String, Finish)>) -> Self {
        let exchange = |(reply, finish)| Exchange {
            expect: Vec::new(),
            reply,
            finish,
        };
        Self {
            name: name.to_owned(),
            exchanges: replies.into_iter().map(exchange).collect(),
            next: Mutex::new(0),
        }
    }

    /// Returns the number of exchanges that were not replayed yet.
    pub fn remaining(&self) -> usize {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.exchanges.len() - next
    }

    fn replay(
        &self,
        request: Request<'_>,
        watch: Watch<'_>,
    ) -> Result<(Reply, Finish), ModelError> {
        let sent = request.messages.last().map_or("", |m| m.content.as_str());
        let exchange = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(exchange) = self.exchanges.get(*next) else {
                return Err(ModelError::RecordingEnded {
                    exchanges: self.exchanges.len(),
                    sent: head_and_tail(sent),
                });
            };
            if let Some(missing) = exchange.expect.iter().find(|part| !sent.contains(*part)) {
                return Err(ModelError::RecordingMismatch {
                    exchange: *next + 1,
                    exchanges: self.exchanges.len(),
                    expected: head_and_tail(missing),
                    sent: head_and_tail(sent),
                });
            }
            *next += 1;
            exchange
        };
        let mut text = StopFilter::new(request.stop);
        for piece in [
            text.push(&exchange.reply).to_owned(),
            text.finish().to_owned(),
        ] {
            if !piece.is_empty() {
                watch(ModelEvent::Delta(&piece));
            }
        }
        let finish = match (text.hit(), exchange.finish) {
            (_, Finish::Length) => FinishReason::Length,
            (Some(stop), _) => FinishReason::StopSequence(stop.to_owned()),
            (None, _) => FinishReason::Stop,
        };
        let reply = Reply {
            text: text.into_text(),
            finish,
            usage: None,
            model: self.name.clone(),
        };
        Ok((reply, exchange.finish))
    }
}

impl Model for RecordedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a> {
        Box::pin(async move {
            match self.replay(request, watch)? {
                // The caller that dropped the recorded call drops this one at the same point.
                (_, Finish::Cut) => std::future::pending().await,
                (reply, _) => Ok(reply),
            }
        })
    }
}

fn unreadable(path: PathBuf, reason: String) -> ModelError {
    ModelError::RecordingUnreadable { path, reason }
}

/// Returns the start and the end of a text on one line, because new content is usually at one of them.
fn head_and_tail(text: &str) -> String {
    const END: usize = 200;
    let count = text.chars().count();
    if count <= 2 * END {
        return excerpt(text, 2 * END);
    }
    let tail: String = text.chars().skip(count - END).collect();
    let head = excerpt(text, END);
    format!("{} … {}", head.trim_end_matches('…'), excerpt(&tail, END))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Role};

    async fn ask(model: &RecordedModel, last: &str) -> Result<Reply, ModelError> {
        let messages = [Message::new(Role::User, last)];
        let stop = ["</code>".to_owned()];
        let request = Request {
            messages: &messages,
            stop: &stop,
            ..Request::default()
        };
        model.complete(request, &|_| {}).await
    }

    #[tokio::test]
    async fn replies_come_in_order_and_end_at_a_stop_sequence() {
        let model = RecordedModel::from_json(
            r#"{"version":1,"note":"n","exchanges":[
                {"expect":["two","primes"],"reply":"<code>print(2)</code> and more"},
                {"reply":"2"}]}"#,
        )
        .unwrap();
        let first = ask(&model, "name two primes").await.unwrap();
        assert_eq!(first.text, "<code>print(2)");
        assert_eq!(first.finish, FinishReason::StopSequence("</code>".into()));
        assert_eq!(ask(&model, "").await.unwrap().finish, FinishReason::Stop);
        let error = ask(&model, "go on").await.unwrap_err();
        assert_eq!(
            error,
            ModelError::RecordingEnded {
                exchanges: 2,
                sent: "go on".into()
            }
        );
    }

    #[tokio::test]
    async fn another_conversation_is_rejected_and_replays_nothing() {
        let model = RecordedModel::from_json(
            r#"{"version":1,"exchanges":[{"expect":["primes"],"reply":"x"}]}"#,
        )
        .unwrap();
        let long = format!("begin{}end", "\n".repeat(5000));
        let error = ask(&model, &long).await.unwrap_err().to_string();
        for part in ["exchange 1 of 1", "`primes`", "begin", "end"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(error.len() < 600 && !error.contains('\n'), "{error}");
        assert_eq!(model.remaining(), 1);
    }

    #[test]
    fn the_error_for_a_malformed_file_has_the_reason() {
        for (text, reason) in [
            (r#"{"version":2,"turns":[]}"#, "version 2"),
            (r#"{"version":1,"exchanges":[],"x":1}"#, "unknown field `x`"),
            (
                r#"{"version":1,"exchanges":[{"reply":"a","expects":[]}]}"#,
                "`expects`",
            ),
            (r#"{"exchanges":[]}"#, "missing field `version`"),
            ("[1", "EOF"),
        ] {
            let error = RecordedModel::from_json(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let error = RecordedModel::open("/nonexistent/a.json").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/a.json"), "{error}");
    }
}
