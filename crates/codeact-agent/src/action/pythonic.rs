//! Calls of tools in the form of Python: `python(code="…")`.

use serde_json::{Map, Value};

use super::call::{Call, MAX_NAME_BYTES};
use super::loose_json;

/// Returns true for a character of a dotted name.
pub(super) fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// Reads `name(key="…", …)` and returns the text after it.
pub(super) fn pythonic_call(text: &str) -> Option<(Call, &str)> {
    let name_end = text
        .find(|c| !is_name_part(c))
        .filter(|end| (1..=MAX_NAME_BYTES).contains(end))?;
    let mut rest = text[name_end..].strip_prefix('(')?.trim_start();
    let mut members = Map::new();
    while !rest.starts_with(')') {
        let key_end = rest.find(|c| !is_name_part(c)).unwrap_or(0);
        let key = match rest[key_end..].trim_start().strip_prefix('=') {
            Some(after) if key_end > 0 => {
                let key = rest[..key_end].to_owned();
                rest = after.trim_start();
                key
            }
            _ if members.is_empty() => "code".to_owned(),
            _ => return None,
        };
        let (value, len) = match loose_json::string(rest) {
            Some((value, len)) => (Value::String(value), len),
            None => {
                let end = rest.find([',', ')'])?;
                (serde_json::from_str(rest[..end].trim()).ok()?, end)
            }
        };
        members.insert(key, value);
        rest = rest[len..].trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with(')') => {}
            None => return None,
        }
    }
    let call = Call {
        name: text[..name_end].to_owned(),
        arguments: Value::Object(members),
        is_complete: true,
    };
    Some((call, &rest[1..]))
}
