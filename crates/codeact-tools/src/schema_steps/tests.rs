use serde_json::json;

use super::*;

fn refused(schema: &Value) -> String {
    SchemaSteps::new(schema).err().unwrap_or_default()
}

#[test]
fn references_that_double_are_counted() {
    let mut defs = json!({ "l0": { "type": "string" } });
    for level in 1..40 {
        let below = json!({ "$ref": format!("#/$defs/l{}", level - 1) });
        defs[format!("l{level}")] = json!({ "allOf": [below, below] });
    }
    for (level, fits) in [(10, true), (39, false)] {
        let schema = json!({ "properties": { "x": { "$ref": format!("#/$defs/l{level}") } }, "$defs": defs });
        let steps = SchemaSteps::new(&schema).unwrap();
        assert_eq!(steps.count(&json!({ "x": "a" })).is_ok(), fits);
        // The definitions are not applied to other arguments.
        assert!(steps.count(&json!({ "y": "a" })).is_ok());
    }
}

#[test]
fn a_tree_with_alternatives_is_counted_for_each_level() {
    let node = json!({ "$ref": "#/$defs/node" });
    let branch = json!({ "properties": { "next": node } });
    let schema =
        json!({ "$ref": "#/$defs/node", "$defs": { "node": { "anyOf": [branch, branch] } } });
    let steps = SchemaSteps::new(&schema).unwrap();
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({ "next": inner }));
    assert!(steps.count(&nested(10)).is_ok());
    assert_eq!(steps.count(&nested(60)), Err(TooManySteps));
}

#[test]
fn ordinary_schemas_have_few_steps() {
    let value = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "$ref": "#/$defs/v" } },
        { "type": "object", "additionalProperties": { "$ref": "#/$defs/v" } }] });
    let schema = json!({ "properties": { "x": { "$ref": "#/$defs/v" } }, "$defs": { "v": value } });
    let steps = SchemaSteps::new(&schema).unwrap();
    let deep = (0..90).fold(json!("a"), |inner, _| json!([inner, "b"]));
    assert!(steps.count(&json!({ "x": deep })).unwrap() < 10_000);
    let wide = vec![json!(["a", "b"]); 100_000];
    assert!(steps.count(&json!({ "x": wide })).is_ok());
    let unique = SchemaSteps::new(&json!({ "uniqueItems": true })).unwrap();
    assert!(unique.count(&(0..1_000_000).collect()).is_ok());
    assert!(unique.count(&vec![json!({ "a": 1 }); 3000].into()).is_ok());
    assert_eq!(
        unique.count(&vec![json!([[]]); 300_000].into()),
        Err(TooManySteps)
    );
}

#[test]
fn a_schema_without_an_end_has_too_many_steps() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#/$defs/a" }], "$defs": { "a": { "not": { "$ref": "#/$defs/a" } } } }),
        json!({ "$dynamicAnchor": "a", "anyOf": [{ "$dynamicRef": "#a" }] }),
    ] {
        let steps = SchemaSteps::new(&schema).unwrap();
        assert_eq!(steps.count(&json!(1)), Err(TooManySteps), "{schema}");
    }
}

#[test]
fn large_and_incomplete_schemas_are_refused() {
    let chain = (0..200).map(|n| {
        (
            format!("l{n}"),
            json!({ "$ref": format!("#/$defs/l{}", n + 1) }),
        )
    });
    let mut defs: Map<_, _> = chain.collect();
    defs.insert("l200".into(), json!(true));
    let chain = json!({ "$ref": "#/$defs/l0", "$defs": defs });
    assert!(refused(&chain).contains("more than 100"));
    let many: Map<_, _> = (0..120_000).map(|n| (n.to_string(), json!({}))).collect();
    assert!(refused(&json!({ "properties": many })).contains("100000"));
    assert!(refused(&json!({ "$ref": "https://a.test/b.json" })).contains("another document"));
    assert!(refused(&json!({ "$ref": "#/$defs/missing" })).contains("does not have"));
    assert!(refused(&json!({ "properties": { "$ref": { "type": "string" } } })).is_empty());
}

#[test]
fn each_kind_of_reference_is_followed() {
    let target = json!({ "enum": vec![0; 1000], "$id": "https://a.test/t.json", "$anchor": "t", "$dynamicAnchor": "d" });
    for reference in [
        "#/$defs/a~1b%25",
        "#t",
        "#d",
        "t.json",
        "https://a.test/t.json#",
        "t.json#t",
    ] {
        let schema = json!({ "$defs": { "a/b%": target }, "items": { "$ref": reference } });
        let steps = SchemaSteps::new(&schema).unwrap();
        assert!(steps.count(&json!([1])).unwrap() > 1000, "{reference}");
    }
}

#[test]
fn nested_unevaluated_properties_are_refused() {
    let nested = |levels| {
        (0..levels).fold(json!({}), |inner, _| json!({ "allOf": [inner, { "type": "object" }], "unevaluatedProperties": false }))
    };
    assert!(refused(&nested(3)).is_empty());
    assert!(refused(&nested(40)).contains("too complex"));
}
