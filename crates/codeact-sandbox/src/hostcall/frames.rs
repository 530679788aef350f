//! Common parts of frames.

use serde_json::{Value, json};

/// Limit of a frame of either side, in bytes.
pub(super) const MAX_FRAME: u32 = 32 << 20;

/// Limit of the values in a question, or in the arguments of a call.
pub(super) const MAX_VALUES: usize = 200_000;

/// Returns an answer that the guest raises as an exception with the message `why`.
pub(super) fn refusal(why: &str) -> Vec<u8> {
    json!({ "error": why }).to_string().into_bytes()
}

/// Returns `value` as the bytes of a frame.
pub(super) fn json_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Returns an upper bound of the number of values in `json`: every value but the first follows one of the counted
/// characters, which texts may contain as well. Values are counted before they are parsed, because a parsed value takes
/// far more memory than its text.
pub(super) fn count_values(json: &str) -> usize {
    json.bytes().filter(|b| b",[{".contains(b)).count()
}
