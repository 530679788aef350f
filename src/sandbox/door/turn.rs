//! The frames that begin and end a turn.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::sandbox::execution::Exception;
use crate::sandbox::payload::is_too_deep;

/// The largest report of a turn's end, in bytes; the runner shortens what it sends to far less.
const MAX_END: usize = 4 << 20;
/// The most values in an answer; the runner sends no more.
const MAX_VALUES: usize = 500_000;

/// A turn, as the guest's runner gets it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TurnRequest {
    #[serde(serialize_with = "as_str")]
    pub(crate) code: Arc<str>,
    /// The file name in tracebacks, e.g. `<turn 3>`.
    pub(crate) name: String,
    /// `sys.argv`, set when given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) argv: Vec<String>,
    /// Added to `os.environ`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<(String, String)>,
    /// Names bound to strings before the code runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) bind: Vec<(String, String)>,
    /// The session's first turn: seed what is seeded.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) first: bool,
    /// The folder of packages beside the pack's own, on the first turn.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_str_option"
    )]
    pub(crate) site: Option<Arc<str>>,
    /// Nothing follows: run what `atexit` has registered.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) last: bool,
    /// Tell the variables at the end.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) variables: bool,
    /// Offer `final_answer`.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) agent: bool,
    /// `input()` asks whoever answers the turn's questions.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) asks: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn as_str_option<S: serde::Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}

fn as_str<S: serde::Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

/// How a turn ended, as the guest tells it. All of it is the guest's word: data, never trusted.
#[derive(Debug, Default)]
pub(crate) struct TurnEnd {
    /// The final expression's `repr`.
    pub(crate) result: Option<String>,
    /// The uncaught exception.
    pub(crate) error: Option<Exception>,
    /// The status given to `sys.exit`.
    pub(crate) exit: Option<i64>,
    /// The value given to `final_answer`, if it was called.
    pub(crate) answer: Option<Value>,
    /// Name, type and short form of each variable, where they were asked for.
    pub(crate) variables: Vec<(String, String, String)>,
}

/// The frame that tells it. Fields that are not asked for are skipped without being stored, and
/// an answer is taken apart only after its size is known.
#[derive(Deserialize)]
struct EndFrame<'a> {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    error: Option<Exception>,
    #[serde(default)]
    exit: Option<i64>,
    #[serde(default, borrow)]
    answer: Option<AnswerFrame<'a>>,
    #[serde(default)]
    variables: Vec<(String, String, String)>,
}

#[derive(Deserialize)]
struct AnswerFrame<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

impl TurnEnd {
    pub(super) fn read(frame: &[u8]) -> Result<Self, String> {
        if frame.len() > MAX_END {
            return Err(format!(
                "the turn's result and answer have {} bytes; at most {MAX_END} are taken",
                frame.len()
            ));
        }
        let unreadable = |e| format!("the host cannot read this report: {e}");
        let frame: EndFrame = serde_json::from_slice(frame).map_err(unreadable)?;
        let answer = match frame.answer {
            None => None,
            Some(AnswerFrame { value }) => {
                if count_values(value.get()) > MAX_VALUES {
                    return Err(format!("the answer has more than {MAX_VALUES} values"));
                }
                let value = serde_json::from_str(value.get()).map_err(unreadable)?;
                if is_too_deep(&value) {
                    return Err("the answer is nested too deeply".into());
                }
                Some(value)
            }
        };
        Ok(Self {
            result: frame.result,
            error: frame.error,
            exit: frame.exit,
            answer,
            variables: frame.variables,
        })
    }
}

/// The values in `json`, or more: each but the first follows one of these, and text may hold some as
/// well. Values take far more memory than their text, so they are counted before they are made.
pub(super) fn count_values(json: &str) -> usize {
    json.bytes().filter(|b| b",[{".contains(b)).count()
}
