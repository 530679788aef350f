//! Bytes in the arguments and results of typed tools, without base64 on the way.
//!
//! JSON has no bytes, so a [`Payload`] carries them separately as blobs, and its value has a place for each: an object
//! whose only key is the marker and whose value is the number of the blob. [`Arguments::read`] reads a type from both;
//! [`to_payload`] collects the bytes of a type while it is serialised.
//!
//! This file is a security boundary: the guest chooses the value, the marker and the blobs. Validation and reading
//! agree on the places. A blob belongs to the first place in document order that names it, and is never copied. Any
//! other place is an ordinary object.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codeact_sandbox::Payload;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{
    MapAccessDeserializer, MapDeserializer, SeqDeserializer, StringDeserializer,
};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, forward_to_deserialize_any};
use serde_json::{Error, Map, Value, json};

/// Bytes in the arguments or the result of a tool: `bytes` in Python. In JSON they are base64 text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

/// Key of the place of bytes in the JSON of a result.
const MARKER: &str = "$bytes";

/// Largest number of [`Bytes`] in one result. A payload carries no more.
const MAX_BYTES_OBJECTS: usize = 10_000;

/// Keywords of JSON Schema whose result depends on the content of a text.
const TEXT_KEYWORDS: [&str; 7] = [
    "const",
    "enum",
    "format",
    "maxLength",
    "minLength",
    "pattern",
    "uniqueItems",
];

thread_local! {
    /// The bytes that [`to_payload`] has collected so far; `None` outside of it.
    static COLLECTED: RefCell<Option<Vec<Vec<u8>>>> = const { RefCell::new(None) };
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let number = COLLECTED.with_borrow_mut(|collected| {
            let collected = collected.as_mut()?;
            collected.push(self.0.clone());
            Some(collected.len() - 1)
        });
        let mut map = to.serialize_map(Some(1))?;
        match number {
            Some(number) => map.serialize_entry(MARKER, &number)?,
            None => map.serialize_entry(MARKER, &STANDARD.encode(&self.0))?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct BytesVisitor;

        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes, or base64 text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                STANDARD.decode(text).map(Bytes).map_err(E::custom)
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }

        from.deserialize_byte_buf(BytesVisitor)
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "contentEncoding": "base64" })
    }
}

/// Returns true if `schema` has a keyword for which [`Arguments::described`] needs the text of bytes.
pub(super) fn constrains_text(schema: &Value) -> bool {
    match schema {
        Value::Array(list) => list.iter().any(constrains_text),
        Value::Object(map) => {
            (map.iter()).any(|(key, one)| TEXT_KEYWORDS.contains(&&**key) || constrains_text(one))
        }
        _ => false,
    }
}

/// Arguments of a call: a value with places, and the blobs.
pub(super) struct Arguments {
    value: Value,
    marker: String,
    blobs: Vec<Option<Vec<u8>>>,
}

impl Arguments {
    pub(super) fn new(payload: Payload) -> Self {
        let (value, marker, blobs) = payload.into_parts();
        Self {
            value,
            marker,
            blobs: blobs.into_iter().map(Some).collect(),
        }
    }

    /// Returns the value for validation, with text in the places of bytes: their base64 if `exact`, else a fixed
    /// text, which costs less.
    pub(super) fn described(&self, exact: bool) -> Value {
        if self.blobs.is_empty() {
            return self.value.clone();
        }
        let mut described: Vec<bool> = vec![false; self.blobs.len()];
        self.describe(&self.value, exact, &mut described)
    }

    fn describe(&self, value: &Value, exact: bool, described: &mut [bool]) -> Value {
        if let Some(number) = place(value, &self.marker)
            && let Some(done @ false) = described.get_mut(number)
        {
            *done = true;
            let blob = self.blobs[number].as_deref().unwrap_or_default();
            return match exact {
                true => STANDARD.encode(blob).into(),
                false => json!("bytes"),
            };
        }
        match value {
            Value::Array(list) => (list.iter())
                .map(|one| self.describe(one, exact, described))
                .collect(),
            Value::Object(map) => (map.iter())
                .map(|(key, one)| (key.clone(), self.describe(one, exact, described)))
                .collect(),
            other => other.clone(),
        }
    }

    /// Reads a `T`.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        if self.blobs.is_empty() {
            return serde_json::from_value(self.value);
        }
        let blobs = RefCell::new(self.blobs);
        T::deserialize(Node {
            value: self.value,
            marker: &self.marker,
            blobs: &blobs,
        })
    }
}

/// Serialises `value`, and moves its bytes out of the JSON.
///
/// # Errors
///
/// Returns an error if `value` is not a JSON value or has more than [`MAX_BYTES_OBJECTS`] [`Bytes`].
pub(super) fn to_payload<T: Serialize>(value: &T) -> Result<Payload, Error> {
    let (json, blobs) = collect(value)?;
    if blobs.len() > MAX_BYTES_OBJECTS {
        let why = format!("more than {MAX_BYTES_OBJECTS} bytes objects");
        return Err(serde::ser::Error::custom(why));
    }
    let mut places = vec![0; blobs.len()];
    count_places(&json, &mut places);
    if places.iter().any(|count| *count != 1) {
        // A part of the value looks like a place, or was serialised to text. Base64 is unambiguous.
        return Ok(Payload::new(serde_json::to_value(value)?));
    }
    Ok(Payload::with_blobs(json, blobs))
}

/// Serialises `value`, with places `{"$bytes": N}` for the returned bytes.
fn collect<T: Serialize>(value: &T) -> Result<(Value, Vec<Vec<u8>>), Error> {
    /// Restores the outer collection, also if serialising panics.
    struct Outer(Option<Vec<Vec<u8>>>);
    impl Drop for Outer {
        fn drop(&mut self) {
            COLLECTED.set(self.0.take());
        }
    }
    let _outer = Outer(COLLECTED.replace(Some(Vec::new())));
    let json = serde_json::to_value(value)?;
    Ok((json, COLLECTED.take().unwrap_or_default()))
}

/// Counts the places of each number below `places.len()`.
fn count_places(value: &Value, places: &mut [usize]) {
    if let Some(count) = place(value, MARKER).and_then(|number| places.get_mut(number)) {
        *count += 1;
        return;
    }
    match value {
        Value::Array(list) => list.iter().for_each(|one| count_places(one, places)),
        Value::Object(map) => map.values().for_each(|one| count_places(one, places)),
        _ => {}
    }
}

/// Returns the number of the blob whose place `value` is.
fn place(value: &Value, marker: &str) -> Option<usize> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    usize::try_from(map.get(marker)?.as_u64()?).ok()
}

/// A value of the arguments, as a deserializer.
struct Node<'a> {
    value: Value,
    marker: &'a str,
    blobs: &'a RefCell<Vec<Option<Vec<u8>>>>,
}

impl<'a> Node<'a> {
    fn with(&self, value: Value) -> Node<'a> {
        Node { value, ..*self }
    }

    /// Takes the blob whose place this is. Each can be taken once: the guest could name a large one in many places.
    fn take(&self) -> Option<Vec<u8>> {
        self.take_at(&self.value)
    }

    fn take_at(&self, value: &Value) -> Option<Vec<u8>> {
        let number = place(value, self.marker)?;
        self.blobs.borrow_mut().get_mut(number)?.take()
    }

    /// Takes all blobs of `value`, so that no later place gets one of them.
    fn discard(&self, value: &Value) {
        if self.take_at(value).is_some() {
            return;
        }
        match value {
            Value::Array(list) => list.iter().for_each(|one| self.discard(one)),
            Value::Object(map) => map.values().for_each(|one| self.discard(one)),
            _ => {}
        }
    }

    /// Returns the entries of `map`.
    fn entries(&self, map: Map<String, Value>) -> impl Iterator<Item = (Key, Node<'a>)> {
        map.into_iter().map(|(key, one)| (Key(key), self.with(one)))
    }
}

impl<'de> IntoDeserializer<'de, Error> for Node<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if let Some(bytes) = self.take() {
            return visitor.visit_string(STANDARD.encode(bytes));
        }
        match self.value.take() {
            Value::Array(list) => {
                let nodes = list.into_iter().map(|one| self.with(one));
                SeqDeserializer::new(nodes).deserialize_any(visitor)
            }
            Value::Object(map) => MapDeserializer::new(self.entries(map)).deserialize_any(visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.take() {
            Some(bytes) => visitor.visit_byte_buf(bytes),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Some(bytes) = self.take() {
            let text = Value::String(STANDARD.encode(bytes));
            return text.deserialize_enum(name, variants, visitor);
        }
        match self.value.take() {
            Value::Object(map) if map.len() == 1 => {
                let entries = MapDeserializer::new(self.entries(map));
                MapAccessDeserializer::new(entries).deserialize_enum(name, variants, visitor)
            }
            other @ Value::String(_) => other.deserialize_enum(name, variants, visitor),
            _ => Err(Error::custom(format!("expected a variant of {name}"))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.discard(&self.value);
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// A key of an object, as a deserializer. As in `serde_json`, it can be a number or a boolean in quotes.
struct Key(String);

impl IntoDeserializer<'_, Error> for Key {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Reads the key as the type of each method if it has that form.
macro_rules! parsed_keys {
    ($($method:ident => $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => visitor.visit_string(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key {
    type Error = Error;

    parsed_keys! {
        deserialize_bool => visit_bool,
        deserialize_i8 => visit_i8,
        deserialize_i16 => visit_i16,
        deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64,
        deserialize_i128 => visit_i128,
        deserialize_u8 => visit_u8,
        deserialize_u16 => visit_u16,
        deserialize_u32 => visit_u32,
        deserialize_u64 => visit_u64,
        deserialize_u128 => visit_u128,
        deserialize_f32 => visit_f32,
        deserialize_f64 => visit_f64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        (self.0.into_deserializer() as StringDeserializer<Error>)
            .deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests;
