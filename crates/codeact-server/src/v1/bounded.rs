//! Collections of a request whose size is checked while they are read, so that a small text cannot become a large value.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A list of at most `N` items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List<T, const N: usize>(pub(super) Vec<T>);

/// An object of at most `N` members with different names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object<T, const N: usize>(pub(super) BTreeMap<String, T>);

impl<T, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> Default for Object<T, N> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for List<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for ListVisitor<T, N> {
    type Value = List<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {N} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == N {
                return Err(A::Error::custom(format_args!(
                    "the list has more than {N} items"
                )));
            }
            list.push(item);
        }
        Ok(List(list))
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for Object<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for ObjectVisitor<T, N> {
    type Value = Object<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {N} members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((name, value)) = members.next_entry::<String, T>()? {
            if object.len() == N {
                return Err(A::Error::custom(format_args!(
                    "the object has more than {N} members"
                )));
            }
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("the object has a member twice"));
            }
        }
        Ok(Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_beyond_their_bound_are_errors() {
        let list = serde_json::from_str::<List<u8, 2>>("[1, 2]");
        assert_eq!(list.ok(), Some(List(vec![1, 2])));
        let error = serde_json::from_str::<List<u8, 2>>("[1, 2, 3]").unwrap_err();
        assert!(error.to_string().contains("more than 2 items"), "{error}");
        let error = serde_json::from_str::<Object<u8, 1>>(r#"{"a": 1, "b": 2}"#).unwrap_err();
        assert!(error.to_string().contains("more than 1 members"), "{error}");
        let error = serde_json::from_str::<Object<u8, 9>>(r#"{"a": 1, "a": 2}"#).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }
}
