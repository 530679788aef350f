//! Integers of more than 64 bits in results.
//!
//! Python has integers of any size, and JSON too, but a [`serde_json::Value`] has 64 bits, and reads larger ones as
//! floating-point numbers. So they travel as texts with a mark, which the guest replaces (`guest/hostcall.py`).

/// Start of the text of an integer.
const MARK: &str = "\\u0000codeact.int:";
/// Number of digits of the shortest integer of more than 64 bits.
const MIN_DIGITS: usize = 19;

/// Returns `json` with texts in place of integers of more than 64 bits; `None` if there are none. Other bytes stay as
/// they are, valid or not.
pub(crate) fn mark_long_integers(json: &str) -> Option<String> {
    let mut marked = String::new();
    let mut done = 0;
    let mut at = 0;
    let bytes = json.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at),
            b'-' | b'0'..=b'9' => {
                let start = at;
                let is_number =
                    |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                while bytes.get(at).is_some_and(is_number) {
                    at += 1;
                }
                let number = json.get(start..at).unwrap_or_default();
                if is_long(number) {
                    marked += json.get(done..start).unwrap_or_default();
                    marked += &format!("\"{MARK}{number}\"");
                    done = at;
                }
            }
            _ => at += 1,
        }
    }
    if done == 0 {
        return None;
    }
    marked += json.get(done..).unwrap_or_default();
    Some(marked)
}

fn is_long(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    digits.len() >= MIN_DIGITS
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0')
        && number.parse::<i64>().is_err()
        && number.parse::<u64>().is_err()
}

/// Returns the position after the string that begins at `start`, or the end.
pub(crate) fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_of_more_than_64_bits_are_marked() {
        for (json, expected) in [
            (
                "18446744073709551616",
                r#""\u0000codeact.int:18446744073709551616""#,
            ),
            (
                r#"{"a\"": [-9223372036854775809, 1]}"#,
                r#"{"a\"": ["\u0000codeact.int:-9223372036854775809", 1]}"#,
            ),
        ] {
            assert_eq!(mark_long_integers(json).unwrap(), expected);
            assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
        }
        for json in [
            "18446744073709551615",
            "-9223372036854775808",
            "123456789012345678901.5",
            "123456789012345678901e5",
            "00000000000000000000001",
            r#"{"123456789012345678901": "\"123456789012345678901"}"#,
            r#"["an open string \"#,
            "",
        ] {
            assert_eq!(mark_long_integers(json), None, "{json}");
        }
    }
}
