//! The forms of a value: byte strings whose characters are searched for in any spelling.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Smallest size of a form that is not the value itself, in bytes. Shorter ones occur by chance.
const MIN_DERIVED_BYTES: usize = 8;
/// Largest size of a value, in bytes, of which the base64 of all escaped forms is searched for. That of a longer value
/// is searched for as it is and escaped for JSON.
const MAX_ALL_FORMS_BYTES: usize = 256;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Returns the forms of `value`, each once.
pub(super) fn forms(value: &str) -> Vec<Vec<u8>> {
    let mut derived: BTreeSet<Vec<u8>> = BTreeSet::new();
    for text in escaped(value) {
        for before in 0..3 {
            derived.insert(base64(text.as_bytes(), before, BASE64));
            derived.insert(base64(text.as_bytes(), before, BASE64_URL));
        }
    }
    derived.insert(hex(value, "0123456789abcdef"));
    derived.insert(hex(value, "0123456789ABCDEF"));
    derived.insert(value.encode_utf16().flat_map(u16::to_le_bytes).collect());
    derived.insert(value.encode_utf16().flat_map(u16::to_be_bytes).collect());
    if let Ok(latin) = value
        .chars()
        .map(u8::try_from)
        .collect::<Result<Vec<_>, _>>()
    {
        derived.insert(latin);
    }
    derived.retain(|form| form.len() >= MIN_DERIVED_BYTES && form != value.as_bytes());
    let mut all = vec![value.as_bytes().to_vec()];
    all.extend(derived);
    all
}

/// Returns `value` as it is inserted in texts whose base64 is searched for.
fn escaped(value: &str) -> BTreeSet<String> {
    let json = |ascii: bool| {
        let mut text = String::new();
        for c in value.chars() {
            match c {
                '"' | '\\' => text.extend(['\\', c]),
                c if ascii && !c.is_ascii() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a string does not fail.
                        let _ = write!(text, "\\u{unit:04x}");
                    }
                }
                c => text.push(c),
            }
        }
        text
    };
    let mut all = BTreeSet::from([value.to_owned(), json(false), json(true)]);
    if value.len() <= MAX_ALL_FORMS_BYTES {
        let query = encode_query(value);
        all.insert(query.replace("%20", "+"));
        all.insert(query);
        all.insert(encode_path(value));
        let html = value.replace('&', "&amp;").replace('<', "&lt;");
        let html = html.replace('>', "&gt;").replace('"', "&quot;");
        all.insert(html.replace('\'', "&#x27;"));
        all.insert(html.replace('\'', "&#39;"));
    }
    all
}

/// Returns `value` percent-encoded as one value of a URL's query.
pub fn encode_query(value: &str) -> String {
    percent(value, "-._~")
}

/// Returns `value` percent-encoded as one segment of a URL's path.
pub fn encode_path(value: &str) -> String {
    percent(value, "-._~!$&'()*+,;=:@")
}

/// Percent-encodes all bytes except letters, digits and `unchanged`.
fn percent(value: &str, unchanged: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || unchanged.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn hex(value: &str, digits: &str) -> Vec<u8> {
    let digit = |index: u8| digits.as_bytes().get(usize::from(index)).copied();
    let bytes = value.bytes();
    bytes
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .flatten()
        .collect()
}

/// Returns the base64 characters that depend on `value` only, if `before` bytes (0 to 2) precede it in its group of
/// three.
fn base64(value: &[u8], before: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    // The first character that consists of bits of the value, and the number of bits before it.
    let skipped = (before * 8).div_ceil(6) * 6 - before * 8;
    let mut text = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for (index, byte) in value.iter().enumerate() {
        bits = bits << 8 | u32::from(*byte);
        count += if index == 0 { 8 - skipped } else { 8 };
        while count >= 6 {
            count -= 6;
            let index = usize::try_from(bits >> count & 63).unwrap_or(0);
            text.extend(alphabet.get(index));
        }
        bits &= 63;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_characters_of_the_value_only() {
        // The base64 of "pass", "upass" and "uspass" is cGFzcw==, dXBhc3M= and dXNwYXNz.
        for (before, expected) in [(0, "cGFzc"), (1, "Bhc3"), (2, "wYXNz")] {
            assert_eq!(base64(b"pass", before, BASE64), expected.as_bytes());
        }
        assert_eq!(base64(b"\xfb\xff", 0, BASE64_URL), b"-_");
    }

    #[test]
    fn forms_are_distinct_and_the_value_is_the_first() {
        let forms = forms("a-token-1");
        assert_eq!(forms[0], b"a-token-1");
        assert_eq!(forms.iter().collect::<BTreeSet<_>>().len(), forms.len());
        assert!(forms.contains(&b"612d746f6b656e2d31".to_vec()));
        // A short value has no forms that occur by chance.
        assert_eq!(super::forms("abc"), [b"abc"]);
    }
}
