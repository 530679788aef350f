//! The frames that begin and end a turn.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::hostcall::frames::count_values;
use crate::types::payload::is_too_deep;
use crate::types::traceback::Exception;

/// Limit of an end frame, in bytes. The runner sends far less.
const MAX_END: usize = 4 << 20;
/// Limit of the values in an answer. The runner sends no more.
const MAX_ANSWER_VALUES: usize = 500_000;

/// A turn, as the guest's runner receives it. It borrows from the turn's specification, so that the source is copied
/// only once, into the frame.
#[derive(Debug, Serialize)]
pub(crate) struct TurnFrame<'a> {
    pub(crate) code: &'a str,
    /// True if each character of `code` is one byte of a source file.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) encoded: bool,
    /// The file name in tracebacks, such as `<turn 3>`.
    pub(crate) name: &'a str,
    /// `sys.argv`; empty: unchanged.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) argv: &'a [String],
    /// Added to `os.environ`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) env: &'a [(String, String)],
    /// Global names and the strings to which they are bound before the code runs.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) bind: &'a [(String, String)],
    /// True for the first turn of a session: the runner seeds its generators.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) first: bool,
    /// Folder of the added packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) site: Option<&'a str>,
    /// True for the last turn of a session: the runner calls the functions of `atexit`.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) last: bool,
    /// True if the end frame lists the variables.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) variables: bool,
    /// True if the code has `final_answer`.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) agent: bool,
    /// True if `input()` is a request for user input.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) asks: bool,
    /// True if everything that the code shows is a bundle.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) rich: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Report of the guest on the end of its turn. Untrusted.
#[derive(Debug, Default)]
pub(crate) struct TurnEnd {
    /// `repr` of the value of the final expression.
    pub(crate) result: Option<String>,
    /// Uncaught exception.
    pub(crate) error: Option<Exception>,
    /// Status passed to `sys.exit`.
    pub(crate) exit: Option<i64>,
    /// Value passed to `final_answer`, if it was called.
    pub(crate) answer: Option<Value>,
    /// Name, type and short form of each variable, if requested.
    pub(crate) variables: Vec<(String, String, String)>,
}

/// The end frame. Unknown fields are ignored. The answer is parsed after its size has been checked.
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
    /// Parses an end frame.
    pub(super) fn read(frame: &[u8]) -> Result<Self, String> {
        if frame.len() > MAX_END {
            return Err(format!(
                "the turn's result and answer have {} bytes; at most {MAX_END} are allowed",
                frame.len()
            ));
        }
        let unreadable = |e| format!("the host cannot read this report: {e}");
        let frame: EndFrame = serde_json::from_slice(frame).map_err(unreadable)?;
        let answer = match frame.answer {
            None => None,
            Some(AnswerFrame { value }) => {
                if count_values(value.get()) > MAX_ANSWER_VALUES {
                    return Err(format!(
                        "the answer has more than {MAX_ANSWER_VALUES} values"
                    ));
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
