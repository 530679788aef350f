//! Bytes in arguments and results, also of a guest that chooses them with malice.

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
enum Part {
    Raw(Bytes),
    Named { text: String, data: Option<Bytes> },
    Empty,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Upload {
    name: String,
    size: Option<u64>,
    data: Bytes,
    parts: Vec<Part>,
    text: Option<String>,
}

fn arguments(value: Value) -> Arguments {
    Arguments::new(Payload::new(value))
}

#[test]
fn bytes_are_read_at_every_position() {
    let read: Upload = arguments(json!({
        "name": "a", "size": 3, "data": {"$bytes": "AAEC"},
        "parts": [{"Raw": {"$bytes": "/w=="}}, {"Named": {"text": "t", "data": {"$bytes": ""}}}, "Empty"],
        "text": {"$bytes": "eHl6"},
    }))
    .read()
    .expect("arguments");
    let expected = Upload {
        name: "a".into(),
        size: Some(3),
        data: Bytes(vec![0, 1, 2]),
        parts: vec![
            Part::Raw(Bytes(vec![255])),
            Part::Named {
                text: "t".into(),
                data: Some(Bytes(Vec::new())),
            },
            Part::Empty,
        ],
        // Bytes in place of text become base64 text, as in JSON.
        text: Some("eHl6".into()),
    };
    assert_eq!(read, expected);
}

#[test]
fn base64_text_is_read_as_bytes_and_other_text_is_an_error() {
    let read = |data: Value| arguments(json!({"data": data})).read::<serde_json::Map<_, _>>();
    assert_eq!(read(json!("x")).expect("a map")["data"], json!("x"));
    #[derive(Debug, Deserialize)]
    struct Only {
        data: Bytes,
    }
    let only: Only = arguments(json!({"data": "AAE="})).read().expect("base64");
    assert_eq!(only.data.0, [0, 1]);
    assert!(
        arguments(json!({"data": "no base64!"}))
            .read::<Only>()
            .is_err()
    );
    assert!(arguments(json!({"data": 1})).read::<Only>().is_err());
}

#[test]
fn bytes_of_results_are_separate_from_the_json() {
    let payload = to_payload(&json!({"a": 1})).expect("plain");
    assert_eq!(payload.into_json(), json!({"a": 1}));
    let payload = to_payload(&vec![Bytes(vec![1]), Bytes(vec![2, 3])]).expect("bytes");
    let (value, marker, blobs) = payload.clone().into_parts();
    assert_eq!(value, json!([{marker.as_str(): 0}, {marker.as_str(): 1}]));
    assert_eq!(blobs, [vec![1], vec![2, 3]]);
    assert_eq!(payload.into_json(), json!(["AQ==", "AgM="]));
    // Outside of a call they are base64.
    assert_eq!(
        serde_json::to_value(Bytes(vec![1])).expect("json"),
        json!({"$bytes": "AQ=="})
    );
}

/// Arguments as a hostile guest sends them: it chooses the marker, the numbers and the blobs.
fn hostile(value: Value, marker: &str, blobs: &[&[u8]]) -> Arguments {
    Arguments {
        value,
        marker: marker.to_owned(),
        blobs: blobs.iter().map(|blob| Some(blob.to_vec())).collect(),
    }
}

#[test]
fn only_the_first_place_of_a_blob_is_bytes_in_validation_and_reading() {
    let value = json!({
        "skipped": [{"m": 0}], "a": {"m": 0}, "b": {"m": 1}, "c": {"m": 1}, "d": {"m": 2},
        "e": {"m": -1}, "f": {"m": 1.0}, "g": {"m": {"m": 0}}, "h": {"m": u64::MAX}, "i": {"m": 0, "n": 1},
    });
    let described = json!({
        "skipped": ["eA=="], "a": {"m": 0}, "b": "eXo=", "c": {"m": 1}, "d": {"m": 2},
        "e": {"m": -1}, "f": {"m": 1.0}, "g": {"m": {"m": 0}}, "h": {"m": u64::MAX}, "i": {"m": 0, "n": 1},
    });
    let arguments = || hostile(value.clone(), "m", &[b"x", b"yz"]);
    assert_eq!(arguments().described(true), described);
    assert_eq!(arguments().described(false)["skipped"], json!(["bytes"]));
    assert_eq!(arguments().read::<Value>().expect("a value"), described);

    // A field that the type does not have uses up its blob.
    #[derive(Debug, Deserialize)]
    struct Partial {
        a: Value,
        b: Bytes,
    }
    let partial: Partial = arguments().read().expect("two fields");
    assert_eq!((partial.a, partial.b.0), (json!({"m": 0}), b"yz".to_vec()));
}

#[test]
fn a_marker_that_is_a_name_of_the_type_does_not_bypass_validation() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Field {
        choice: Choice,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    enum Choice {
        Count(u64),
    }
    let value = json!({"choice": {"Count": 0}});
    let plain: Field = hostile(value.clone(), "m", &[b"x"])
        .read()
        .expect("a count");
    assert_eq!(plain.choice, Choice::Count(0));
    let arguments = hostile(value, "Count", &[b"x"]);
    assert_eq!(arguments.described(false), json!({"choice": "bytes"}));
    assert!(arguments.read::<Field>().is_err());
}

#[test]
fn keys_are_read_as_numbers_also_next_to_bytes() {
    #[derive(Debug, PartialEq, Eq, Hash, Deserialize)]
    enum Name {
        One,
    }
    type Maps = (
        std::collections::HashMap<u8, Bytes>,
        std::collections::HashMap<Name, bool>,
    );
    let value = json!([{"7": {"m": 0}}, {"One": true}]);
    let (numbers, names): Maps = hostile(value, "m", &[b"x"]).read().expect("maps");
    assert_eq!((&numbers[&7].0[..], names[&Name::One]), (&b"x"[..], true));
    assert!(
        hostile(json!([{"300": {"m": 0}}, {}]), "m", &[b"x"])
            .read::<Maps>()
            .is_err()
    );
}

#[test]
fn constraints_on_text_need_the_base64() {
    assert!(!constrains_text(
        &json!({"properties": {"a": {"type": "string"}}})
    ));
    assert!(constrains_text(&json!({"anyOf": [{"maxLength": 1}]})));
}

#[test]
fn a_result_that_looks_like_a_place_does_not_take_bytes() {
    let forged = (json!({"$bytes": 0}), Bytes(vec![1]));
    let json = to_payload(&forged).expect("a result").into_json();
    assert_eq!(json, json!([{"$bytes": 0}, "AQ=="]));

    /// Bytes in JSON in a text.
    struct Nested(Bytes);
    impl Serialize for Nested {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let text = serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?;
            to.serialize_str(&text)
        }
    }
    let json = to_payload(&Nested(Bytes(vec![1])))
        .expect("a result")
        .into_json();
    assert_eq!(json, json!(r#"{"$bytes":"AQ=="}"#));
    let many = vec![Bytes::default(); MAX_BYTES_OBJECTS + 1];
    assert!(to_payload(&many).is_err());
    assert!(to_payload(&many[1..].to_vec()).is_ok());
}
