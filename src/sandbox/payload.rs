//! Values that cross the door: JSON, and bytes beside it.
//!
//! JSON has no bytes. A frame is therefore a head of JSON and, behind a zero byte, the bytes themselves;
//! in the JSON each has a place, an object whose only key is the frame's marker and whose value is the
//! number of the piece. Whoever makes a frame chooses a marker that the value has no key of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tape::Bytes;

/// The key that marks bytes, as base64, in a value that is given as plain JSON.
const MARKER: &str = "$bytes";

/// The most pieces of bytes in one value.
const MAX_BLOBS: usize = 10_000;

/// How deep a value that crosses the door may be. Tapes and files have it within others, and nothing that
/// is deeper than 128 is read again.
const MAX_DEPTH: usize = 100;
/// What a map takes beside what is in it, and each place of it, in bytes, about.
const TABLE_SIZE: usize = 40;

/// A value that may have bytes in it.
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
    /// `value`, in which bytes are objects `{"$bytes": "BASE64"}`.
    pub fn new(value: Value) -> Self {
        Self::with_blobs(value, Vec::new())
    }

    /// As [`Payload::new`], where objects `{"$bytes": N}` are also the pieces of `blobs`.
    pub(crate) fn with_blobs(mut value: Value, blobs: Vec<Vec<u8>>) -> Self {
        // Most values have none, and are not walked through twice.
        if !has_marked(&value) {
            return Self {
                value,
                ..Self::default()
            };
        }
        let mut taken = Taken {
            given: blobs.into_iter().map(Some).collect(),
            blobs: Vec::new(),
            marker: free_marker(&value),
        };
        taken.walk(&mut value);
        Self {
            value,
            blobs: taken.blobs.into_iter().map(Bytes).collect(),
            marker: taken.marker,
            displays: Vec::new(),
        }
    }

    /// What a guest has sent: a head that was read, and the bytes behind it.
    pub(crate) fn received(
        value: Value,
        sizes: &[u32],
        marker: String,
        mut tail: &[u8],
    ) -> Result<Self, String> {
        if sizes.len() > MAX_BLOBS {
            return Err(format!("at most {MAX_BLOBS} bytes objects fit in a call"));
        }
        // With the bytes in its place it would be no object any more.
        if !sizes.is_empty() && place(&value, &marker).is_some() {
            return Err("the arguments of a call are named, not bytes".into());
        }
        let mut blobs = Vec::with_capacity(sizes.len());
        for size in sizes {
            let (blob, rest) = (tail.split_at_checked(*size as usize))
                .ok_or("the bytes behind this call are not as many as it says")?;
            blobs.push(Bytes(blob.to_vec()));
            tail = rest;
        }
        if !tail.is_empty() {
            return Err("there are more bytes behind this call than it says".into());
        }
        Ok(Self {
            value,
            blobs,
            marker,
            displays: Vec::new(),
        })
    }

    /// Adds a picture to show.
    pub(crate) fn show(&mut self, mime: &str, bytes: Vec<u8>) {
        self.displays.push((mime.to_owned(), Bytes(bytes)));
    }

    pub(crate) fn displays(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.displays
            .iter()
            .map(|(mime, bytes)| (&**mime, &*bytes.0))
    }

    /// The value as plain JSON, with bytes as base64 text.
    pub fn into_json(self) -> Value {
        let Self {
            mut value,
            blobs,
            marker,
            ..
        } = self;
        if !blobs.is_empty() {
            // Each once: a guest could name one large piece in a thousand places.
            let mut blobs: Vec<_> = blobs.into_iter().map(Some).collect();
            replace(&mut value, &marker, &mut |number| {
                let blob = blobs.get_mut(number)?.take()?;
                Some(Value::String(STANDARD.encode(blob.0)))
            });
        }
        value
    }

    /// The value at `key` as bytes, taken out of it; text is its UTF-8.
    pub(crate) fn take_bytes(&mut self, key: &str) -> Option<Vec<u8>> {
        match self.value.get_mut(key)?.take() {
            Value::String(text) => Some(text.into_bytes()),
            value => {
                let number = place(&value, &self.marker)?;
                let blob = self.blobs.get_mut(number)?;
                Some(std::mem::take(&mut blob.0))
            }
        }
    }

    /// All text, and all bytes, changed.
    pub(crate) fn map_text(
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

    /// The value for people: of bytes only their number.
    pub(crate) fn shown(&self) -> Value {
        let mut value = self.value.clone();
        if !self.blobs.is_empty() {
            replace(&mut value, &self.marker, &mut |number| {
                let blob = self.blobs.get(number)?;
                Some(Value::String(format!("<{} bytes>", blob.0.len())))
            });
        }
        value
    }

    /// The value, with places for the bytes.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// About what it has in bytes.
    pub(crate) fn size(&self) -> usize {
        let bytes: usize = self.blobs.iter().map(|blob| blob.0.len()).sum();
        let shown: usize = self.displays.iter().map(|(_, blob)| blob.0.len()).sum();
        bytes + shown + text_size(&self.value)
    }

    /// About what it takes in memory, in bytes: small values take far more than their text.
    pub(crate) fn weight(&self) -> usize {
        self.size() + weight(&self.value)
    }

    /// Whether it is deeper than any value may be.
    pub(crate) fn is_too_deep(&self) -> bool {
        is_too_deep(&self.value)
    }

    /// Adds the answer's head and bytes to `frame`, which has an open object.
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

/// About the bytes of `value` as JSON text, without making it.
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

/// What the values of `value` take beside their text, about.
fn weight(value: &Value) -> usize {
    // A map makes room for four at once, and has a table beside them.
    let entries = |len: usize| TABLE_SIZE + len.max(4) * (size_of::<Value>() + TABLE_SIZE);
    size_of::<Value>()
        + match value {
            Value::Array(list) => list.iter().map(weight).sum(),
            Value::Object(map) => entries(map.len()) + map.values().map(weight).sum::<usize>(),
            _ => 0,
        }
}

/// Whether `value` is deeper than any that crosses the door may be.
pub(crate) fn is_too_deep(value: &Value) -> bool {
    is_deeper(value, MAX_DEPTH)
}

/// Whether lists and objects are in one another more than `than` times.
pub(crate) fn is_deeper(value: &Value, than: usize) -> bool {
    let Some(left) = than.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(list) => list.iter().any(|one| is_deeper(one, left)),
        Value::Object(map) => map.values().any(|one| is_deeper(one, left)),
        _ => false,
    }
}

/// The pieces that were found in a value.
struct Taken {
    given: Vec<Option<Vec<u8>>>,
    blobs: Vec<Vec<u8>>,
    /// No key of the value.
    marker: String,
}

impl Taken {
    /// Leaves a place where each piece was.
    fn walk(&mut self, value: &mut Value) {
        if let Some(piece) = self.piece(value) {
            let number = Value::from(self.blobs.len());
            *value = Value::Object(Map::from_iter([(self.marker.clone(), number)]));
            self.blobs.push(piece);
            return;
        }
        match value {
            Value::Array(list) => list.iter_mut().for_each(|one| self.walk(one)),
            Value::Object(map) => map.values_mut().for_each(|one| self.walk(one)),
            _ => {}
        }
    }

    fn piece(&mut self, value: &Value) -> Option<Vec<u8>> {
        let marked = marked(value, MARKER)?;
        if self.blobs.len() >= MAX_BLOBS {
            return None;
        }
        match marked {
            Value::String(text) => STANDARD.decode(text).ok(),
            marked => {
                let number = usize::try_from(marked.as_u64()?).ok()?;
                self.given.get_mut(number)?.take()
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

/// What `value` holds, if it is an object whose only key is `marker`.
fn marked<'a>(value: &'a Value, marker: &str) -> Option<&'a Value> {
    let map = value.as_object()?;
    (map.len() == 1).then(|| map.get(marker)).flatten()
}

/// The number of the piece that `value` is the place of.
fn place(value: &Value, marker: &str) -> Option<usize> {
    usize::try_from(marked(value, marker)?.as_u64()?).ok()
}

fn free_marker(value: &Value) -> String {
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

/// Puts what `with` gives for a number where `marker` marks it.
fn replace(value: &mut Value, marker: &str, with: &mut impl FnMut(usize) -> Option<Value>) {
    if let Some(new) = place(value, marker).and_then(&mut *with) {
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
    fn bytes_are_written_behind_the_json_with_a_place_in_it() {
        let payload = Payload::new(json!({"a": [{"$bytes": "aGVsbG8="}, 1]}));
        assert_eq!(
            frame(&payload),
            "{\"value\":{\"a\":[{\"$bytes_\":0},1]},\"blobs\":[5],\"marker\":\"$bytes_\"}\0hello"
        );
        assert_eq!(payload.into_json(), json!({"a": ["aGVsbG8=", 1]}));
    }

    #[test]
    fn what_only_looks_like_bytes_stays_as_it_is() {
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
    fn sizes_that_do_not_fit_are_refused() {
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
    fn a_piece_that_is_named_twice_is_there_once() {
        let value = json!([{"b": 0}, {"b": 0}, {"b": 7}]);
        let payload = Payload::received(value, &[1], "b".into(), b"x").unwrap();
        assert_eq!(payload.into_json(), json!(["eA==", {"b": 0}, {"b": 7}]));
    }
}
