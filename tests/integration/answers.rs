//! Values of `final_answer`.

use serde_json::{Value, json};

use crate::model_server::{Exchange, solve};

/// Returns the answer of a run whose only code calls `final_answer`.
fn answer(call: &str) -> Value {
    let reply = format!("```python\n{call}\n```");
    let done = solve("t", &["--json"], [Exchange::say(&reply)]).success();
    let last = done.stdout.lines().last().unwrap_or_default().to_owned();
    let event: Value = serde_json::from_str(&last).unwrap();
    event["answer"].clone()
}

#[test]
fn a_named_value_is_the_answer_and_several_are_a_dict() {
    assert_eq!(answer("final_answer(value=42)"), json!(42));
    assert_eq!(
        answer("final_answer(shop='a', price=1.5)"),
        json!({"shop": "a", "price": 1.5})
    );
    assert_eq!(
        answer("final_answer(value=1, unit='m')"),
        json!({"value": 1, "unit": "m"})
    );
}

#[test]
fn missing_values_are_null() {
    let code = "import pandas as pd\nnan = float('nan')\n\
                final_answer({'a': nan, 'b': [1.5, nan], 'c': pd.NaT, 'd': pd.NA, 'e': pd.Series([1.0, nan])})";
    let expected =
        json!({"a": null, "b": [1.5, null], "c": null, "d": null, "e": {"0": 1.0, "1": null}});
    assert_eq!(answer(code), expected);
    assert_eq!(answer("final_answer(float('nan'))"), json!(null));
}

#[test]
fn collections_are_lists_and_objects_with_a_text_are_text() {
    assert_eq!(
        answer("final_answer([range(2), {'a': 1}.keys()])"),
        json!([[0, 1], ["a"]])
    );
    let code = "import decimal, fractions\nfinal_answer([decimal.Decimal('1.10'), fractions.Fraction(1, 3)])";
    assert_eq!(answer(code), json!(["1.10", "1/3"]));
}

#[test]
fn a_value_that_is_no_answer_is_an_error_that_the_model_can_repair() {
    for (call, error) in [
        (
            "final_answer(object())",
            "TypeError: an object of type object cannot be an answer",
        ),
        (
            "final_answer(lambda: 1)",
            "TypeError: an object of type function cannot be an answer",
        ),
        ("final_answer(map(str, [1]))", "pass list(...) of it"),
        (
            "final_answer(1, 2)",
            "TypeError: final_answer() takes one value",
        ),
        (
            "final_answer(1, unit='m')",
            "TypeError: final_answer() takes one value",
        ),
        (
            "final_answer([float('inf')])",
            "ValueError: JSON has no infinity",
        ),
        (
            "final_answer(list(range(200_000)))",
            "ValueError: the answer has more than 100,000 values",
        ),
        ("x = []\nx.append(x)\nfinal_answer(x)", "or contains itself"),
    ] {
        let first = Exchange::say(&format!("```python\n{call}\n```"));
        let second = Exchange::say("```python\nfinal_answer('repaired')\n```").sees(error);
        solve("t", &[], [first, second])
            .success()
            .stdout("repaired\n");
    }
}
