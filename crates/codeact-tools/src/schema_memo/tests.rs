use proptest::prelude::*;
use serde_json::json;

use super::*;

fn compile(schema: &Value) -> Option<Validator> {
    jsonschema::options().build(schema).ok()
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!(false)),
        Just(json!({})),
        prop::sample::select(vec!["integer", "string", "array", "object", "null"])
            .prop_map(|t| json!({ "type": t })),
        Just(json!({ "const": 1 })),
        Just(json!({ "enum": ["a", [], null] })),
        Just(json!({ "required": ["a"] })),
        Just(json!({ "minItems": 1, "uniqueItems": true })),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let list = || prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            list().prop_map(|all| json!({ "allOf": all })),
            list().prop_map(|all| json!({ "anyOf": all })),
            list().prop_map(|all| json!({ "oneOf": all })),
            inner.clone().prop_map(|one| json!({ "not": one })),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| json!({ "if": a, "then": b, "else": c })),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| json!({ "properties": { "a": a }, "additionalProperties": b })),
            (inner.clone(), inner.clone()).prop_map(
                |(a, b)| json!({ "patternProperties": { "^a": a }, "additionalProperties": b })
            ),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| json!({ "prefixItems": [a], "items": b })),
            inner.clone().prop_map(|one| json!({ "contains": one })),
            inner
                .clone()
                .prop_map(|one| json!({ "dependentSchemas": { "a": one } })),
            inner.prop_map(|one| json!({ "items": { "$ref": "#" }, "allOf": [one] })),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![json!(1), json!(2), json!("a"), json!(null)]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(vec!["a", "ab", "b"]), inner, 0..3)
                .prop_map(|map| map
                    .into_iter()
                    .map(|(key, one)| (key.to_owned(), one))
                    .collect::<Value>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_result_is_that_of_the_other_validator(schema in schema(), value in value()) {
        // A reference to the whole schema in one of its parts is resolved against that part by neither.
        let expected = compile(&schema).unwrap().is_valid(&value);
        prop_assert_eq!(is_valid(&schema, &value, &compile), Ok(expected), "{} {}", schema, value);
    }
}

#[test]
fn a_tree_with_alternatives_has_few_steps() {
    let way = |op: &str| {
        json!({
            "properties": { "args": { "items": { "$ref": "#/$defs/n" } }, "op": { "const": op } },
            "required": ["op"],
            "type": "object",
        })
    };
    let schema = json!({ "$ref": "#/$defs/n", "$defs": { "n": { "oneOf": [way("and"), way("or"), { "type": "integer" }] } } });
    for (leaf, expected) in [(json!(1), true), (json!("x"), false)] {
        let deep = (0..90).fold(leaf, |inner, _| json!({ "args": [inner], "op": "and" }));
        assert_eq!(is_valid(&schema, &deep, &compile), Ok(expected));
    }
}

#[test]
fn a_schema_without_an_end_or_with_other_keywords_is_refused() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "anyOf": [{ "$ref": "#" }] }),
        json!({ "unevaluatedProperties": false }),
        json!({ "propertyNames": {} }),
        json!({ "$ref": "#/missing" }),
    ] {
        assert_eq!(
            is_valid(&schema, &json!({}), &compile),
            Err(TooManySteps),
            "{schema}"
        );
    }
}
