//! Arguments and results of tool calls: JSON values with attached bytes.
//!
//! JSON has no bytes. A frame is therefore a JSON head, a zero byte, and the attached byte strings (blobs). In the JSON
//! each blob has a placeholder: an object whose only key is the frame's marker, and whose value is the number of the
//! blob. The writer of a frame chooses a marker that is not a key of the value. The head is JSON and not a binary format
//! because CPython's C module `json` is the only fast codec in the guest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::types::bytes::Bytes;

/// Key of bytes as base64 in a value that is plain JSON.
const MARKER: &str = "$bytes";

/// Limit of the blobs of one value.
const MAX_BLOBS: usize = 10_000;

/// Limit of the nesting of a value. Journals and files contain it within other values, and `serde_json` reads no more
/// than 128 levels.
const MAX_DEPTH: usize = 100;
/// Approximate size of a map without its entries, and overhead of an entry, in bytes.
const TABLE_BYTES: usize = 40;

/// A JSON value with bytes in it.
///
/// ```
/// use codeact_sandbox::Payload;
/// use serde_json::json;
///
/// let mut payload = Payload::new(json!({"name": "a.bin", "data": {"$bytes": "aGVsbG8="}}));
/// assert_eq!(payload.take_bytes("data").as_deref(), Some(&b"hello"[..]));
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Payload {
    value: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blobs: Vec<Bytes>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    marker: String,
    /// Pictures to show, each with its media type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    displays: Vec<(String, Bytes)>,
}

impl Payload {
    /// Returns the payload of `value`, in which objects `{"$bytes": "BASE64"}` are bytes.
    pub fn new(value: Value) -> Self {
        Self::with_blobs(value, Vec::new())
    }

    /// As [`Payload::new`]. Objects `{"$bytes": N}` are the bytes `blobs[N]`.
    pub fn with_blobs(mut value: Value, blobs: Vec<Vec<u8>>) -> Self {
        // Most values have no bytes. They are walked once only.
        if !has_marked(&value) {
            return Self {
                value,
                ..Self::default()
            };
        }
        let mut extraction = Extraction {
            named: blobs.into_iter().map(Some).collect(),
            blobs: Vec::new(),
            marker: unused_marker(&value),
        };
        extraction.walk(&mut value);
        Self {
            value,
            blobs: extraction.blobs.into_iter().map(Bytes).collect(),
            marker: extraction.marker,
            displays: Vec::new(),
        }
    }

    /// Returns the payload of a guest's frame: its parsed head, and the bytes after it in `tail`. All are untrusted.
    pub(crate) fn received(
        value: Value,
        sizes: &[u32],
        marker: String,
        mut tail: &[u8],
    ) -> Result<Self, String> {
        if sizes.len() > MAX_BLOBS {
            return Err(format!("at most {MAX_BLOBS} bytes objects fit in a call"));
        }
        // A placeholder is replaced by bytes, and the arguments have to be an object.
        if !sizes.is_empty() && placeholder(&value, &marker).is_some() {
            return Err("the arguments of a call are named, not bytes".into());
        }
        let mut blobs = Vec::with_capacity(sizes.len());
        for size in sizes {
            let (blob, rest) = (tail.split_at_checked(*size as usize))
                .ok_or("this call is followed by fewer bytes than it declares")?;
            blobs.push(Bytes(blob.to_vec()));
            tail = rest;
        }
        if !tail.is_empty() {
            return Err("this call is followed by more bytes than it declares".into());
        }
        Ok(Self {
            value,
            blobs,
            marker,
            displays: Vec::new(),
        })
    }

    /// Adds a picture to show.
    pub fn show(&mut self, mime: &str, bytes: Vec<u8>) {
        self.displays.push((mime.to_owned(), Bytes(bytes)));
    }

    /// Returns the pictures to show, each with its media type.
    pub fn displays(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.displays
            .iter()
            .map(|(mime, bytes)| (&**mime, &*bytes.0))
    }

    /// Returns the value, the marker and the blobs: an object `{MARKER: N}` in the value is a placeholder of blob N.
    pub fn into_parts(self) -> (Value, String, Vec<Vec<u8>>) {
        let blobs = self.blobs.into_iter().map(|blob| blob.0).collect();
        (self.value, self.marker, blobs)
    }

    /// Returns the value as plain JSON, with bytes as base64 text.
    pub fn into_json(self) -> Value {
        let Self {
            mut value,
            blobs,
            marker,
            ..
        } = self;
        if !blobs.is_empty() {
            // Each blob is inserted once. A guest could refer to a large one a thousand times.
            let mut blobs: Vec<_> = blobs.into_iter().map(Some).collect();
            replace(&mut value, &marker, &mut |number| {
                let blob = blobs.get_mut(number)?.take()?;
                Some(Value::String(STANDARD.encode(blob.0)))
            });
        }
        value
    }

    /// Takes the bytes at `key` out of the value. A text gives its UTF-8.
    pub fn take_bytes(&mut self, key: &str) -> Option<Vec<u8>> {
        match self.value.get_mut(key)?.take() {
            Value::String(text) => Some(text.into_bytes()),
            value => {
                let number = placeholder(&value, &self.marker)?;
                let blob = self.blobs.get_mut(number)?;
                Some(std::mem::take(&mut blob.0))
            }
        }
    }

    /// Returns the payload with `text` applied to all texts and keys, and `bytes` to all blobs and pictures.
    pub fn map_text(
        mut self,
        text: &dyn Fn(&str) -> String,
        bytes: &dyn Fn(Vec<u8>) -> Vec<u8>,
    ) -> Self {
        fn walk(value: &mut Value, text: &dyn Fn(&str) -> String) {
            match value {
                Value::String(one) => *one = text(one),
                Value::Array(list) => list.iter_mut().for_each(|one| walk(one, text)),
                Value::Object(map) => {
                    let all = std::mem::take(map).into_iter();
                    map.extend(all.map(|(key, mut one)| {
                        walk(&mut one, text);
                        (text(&key), one)
                    }));
                }
                _ => {}
            }
        }
        walk(&mut self.value, text);
        let shown = self.displays.iter_mut().map(|(_, blob)| blob);
        for blob in self.blobs.iter_mut().chain(shown) {
            blob.0 = bytes(std::mem::take(&mut blob.0));
        }
        self
    }

    /// Returns the value for display, with `<N bytes>` for each blob.
    pub fn summary(&self) -> Value {
        let mut value = self.value.clone();
        if !self.blobs.is_empty() {
            replace(&mut value, &self.marker, &mut |number| {
                let blob = self.blobs.get(number)?;
                Some(Value::String(format!("<{} bytes>", blob.0.len())))
            });
        }
        value
    }

    /// Returns the value, with placeholders for its bytes.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns the approximate size of the text and the bytes, in bytes.
    pub fn size(&self) -> usize {
        let bytes: usize = self.blobs.iter().map(|blob| blob.0.len()).sum();
        let shown: usize = self.displays.iter().map(|(_, blob)| blob.0.len()).sum();
        bytes + shown + text_size(&self.value)
    }

    /// Returns the approximate size in memory, in bytes. Small values take far more than their text.
    pub fn weight(&self) -> usize {
        self.size() + weight(&self.value)
    }

    /// Returns true if the value is nested more deeply than a host call can carry.
    pub fn is_too_deep(&self) -> bool {
        is_too_deep(&self.value)
    }

    /// Appends the value and the bytes to `frame`, which ends in an open object.
    pub(crate) fn write(&self, frame: &mut Vec<u8>) -> serde_json::Result<()> {
        frame.extend_from_slice(b"\"value\":");
        serde_json::to_writer(&mut *frame, &self.value)?;
        if self.blobs.is_empty() {
            frame.push(b'}');
            return Ok(());
        }
        let sizes: Vec<_> = self.blobs.iter().map(|blob| blob.0.len()).collect();
        frame.extend_from_slice(b",\"blobs\":");
        serde_json::to_writer(&mut *frame, &sizes)?;
        frame.extend_from_slice(b",\"marker\":");
        serde_json::to_writer(&mut *frame, &self.marker)?;
        frame.extend_from_slice(b"}\0");
        for blob in &self.blobs {
            frame.extend_from_slice(&blob.0);
        }
        Ok(())
    }
}

/// Returns the approximate length of `value` as JSON text.
fn text_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(list) => 2 + list.iter().map(|one| 1 + text_size(one)).sum::<usize>(),
        Value::Object(map) => {
            2 + (map.iter())
                .map(|(key, one)| key.len() + 4 + text_size(one))
                .sum::<usize>()
        }
        _ => 8,
    }
}

/// Returns the approximate memory of `value` in addition to its text.
fn weight(value: &Value) -> usize {
    // A map allocates four entries at once, and a hash table.
    let entries = |len: usize| TABLE_BYTES + len.max(4) * (size_of::<Value>() + TABLE_BYTES);
    size_of::<Value>()
        + match value {
            Value::Array(list) => list.iter().map(weight).sum(),
            Value::Object(map) => entries(map.len()) + map.values().map(weight).sum::<usize>(),
            _ => 0,
        }
}

/// Returns true if `value` is nested more deeply than a host call can carry.
pub(crate) fn is_too_deep(value: &Value) -> bool {
    is_deeper(value, MAX_DEPTH)
}

/// Returns true if the lists and objects of `value` are nested more than `levels` deep.
pub fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(list) => list.iter().any(|one| is_deeper(one, left)),
        Value::Object(map) => map.values().any(|one| is_deeper(one, left)),
        _ => false,
    }
}

/// Extracts the bytes of a value.
struct Extraction {
    /// Blobs that the value refers to by number; `None` if one was extracted already.
    named: Vec<Option<Vec<u8>>>,
    /// Extracted blobs.
    blobs: Vec<Vec<u8>>,
    /// Key of the placeholders; not a key of the value.
    marker: String,
}

impl Extraction {
    /// Replaces bytes by placeholders.
    fn walk(&mut self, value: &mut Value) {
        if let Some(blob) = self.blob(value) {
            let number = Value::from(self.blobs.len());
            *value = Value::Object(Map::from_iter([(self.marker.clone(), number)]));
            self.blobs.push(blob);
            return;
        }
        match value {
            Value::Array(list) => list.iter_mut().for_each(|one| self.walk(one)),
            Value::Object(map) => map.values_mut().for_each(|one| self.walk(one)),
            _ => {}
        }
    }

    /// Returns the bytes that `value` represents, if it does.
    fn blob(&mut self, value: &Value) -> Option<Vec<u8>> {
        let marked = marked(value, MARKER)?;
        if self.blobs.len() >= MAX_BLOBS {
            return None;
        }
        match marked {
            Value::String(text) => STANDARD.decode(text).ok(),
            marked => {
                let number = usize::try_from(marked.as_u64()?).ok()?;
                self.named.get_mut(number)?.take()
            }
        }
    }
}

fn has_marked(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(has_marked),
        Value::Object(map) => map.contains_key(MARKER) || map.values().any(has_marked),
        _ => false,
    }
}

/// Returns the member `marker` of `value`, if it is an object without other members.
fn marked<'a>(value: &'a Value, marker: &str) -> Option<&'a Value> {
    let map = value.as_object()?;
    (map.len() == 1).then(|| map.get(marker)).flatten()
}

/// Returns the number of the blob of which `value` is a placeholder.
fn placeholder(value: &Value, marker: &str) -> Option<usize> {
    usize::try_from(marked(value, marker)?.as_u64()?).ok()
}

/// Returns a marker that is not a key of `value`.
fn unused_marker(value: &Value) -> String {
    fn has_key(value: &Value, key: &str) -> bool {
        match value {
            Value::Array(list) => list.iter().any(|one| has_key(one, key)),
            Value::Object(map) => map.contains_key(key) || map.values().any(|v| has_key(v, key)),
            _ => false,
        }
    }
    let mut marker = format!("{MARKER}_");
    while has_key(value, &marker) {
        marker.push('_');
    }
    marker
}

/// Replaces each placeholder by the value that `with` returns for its number.
fn replace(value: &mut Value, marker: &str, with: &mut impl FnMut(usize) -> Option<Value>) {
    if let Some(new) = placeholder(value, marker).and_then(&mut *with) {
        *value = new;
        return;
    }
    match value {
        Value::Array(list) => list.iter_mut().for_each(|one| replace(one, marker, with)),
        Value::Object(map) => (map.values_mut()).for_each(|one| replace(one, marker, with)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn frame(payload: &Payload) -> String {
        let mut frame = b"{".to_vec();
        payload.write(&mut frame).unwrap();
        String::from_utf8(frame).unwrap()
    }

    #[test]
    fn bytes_follow_the_json_which_has_a_placeholder() {
        let payload = Payload::new(json!({"a": [{"$bytes": "aGVsbG8="}, 1]}));
        assert_eq!(
            frame(&payload),
            "{\"value\":{\"a\":[{\"$bytes_\":0},1]},\"blobs\":[5],\"marker\":\"$bytes_\"}\0hello"
        );
        assert_eq!(payload.into_json(), json!({"a": ["aGVsbG8=", 1]}));
    }

    #[test]
    fn objects_that_only_look_like_bytes_are_unchanged() {
        let value = json!([{"$bytes": 0}, {"$bytes": "no base64!"}, {"$bytes": "eA==", "b": 1}]);
        let payload = Payload::new(value.clone());
        assert_eq!(frame(&payload), format!("{{\"value\":{value}}}"));
        let mixed = Payload::new(json!([{"$bytes": 0}, {"$bytes": "eA=="}]));
        assert_eq!(
            frame(&mixed),
            "{\"value\":[{\"$bytes\":0},{\"$bytes_\":0}],\"blobs\":[1],\"marker\":\"$bytes_\"}\0x"
        );
    }

    #[test]
    fn sizes_that_do_not_match_the_bytes_are_refused() {
        let received = |sizes: &[u32], tail: &[u8]| {
            Payload::received(json!({"x": {"$bytes": 0}}), sizes, "$bytes".into(), tail)
        };
        assert!(received(&[3], b"ab").is_err());
        assert!(received(&[1], b"ab").is_err());
        assert!(received(&[u32::MAX, u32::MAX], b"ab").is_err());
        let mut whole = received(&[2], b"ab").unwrap();
        assert_eq!(whole.clone().into_json(), json!({"x": "YWI="}));
        assert_eq!(whole.take_bytes("x").as_deref(), Some(&b"ab"[..]));
        assert_eq!(whole.take_bytes("y"), None);
    }

    #[test]
    fn a_blob_with_two_placeholders_is_inserted_once() {
        let value = json!([{"b": 0}, {"b": 0}, {"b": 7}]);
        let payload = Payload::received(value, &[1], "b".into(), b"x").unwrap();
        assert_eq!(payload.into_json(), json!(["eA==", {"b": 0}, {"b": 7}]));
    }
}
