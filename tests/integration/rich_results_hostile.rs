//! Values whose representations fail, lie or are too large.

use codeact::sandbox::Outcome;
use serde_json::{Value, json};

use crate::rich_results_support::{bundles, rich};
use crate::support::{block_on, result, sandbox, shown};

#[test]
fn hostile_representations_are_left_out_and_the_turn_goes_on() {
    let start = "
class Value:
    def __repr__(self): return 'plain'
    def _repr_html_(self): return '<b>'
";
    let cycle = "d = {}; d['d'] = d\n";
    for (method, note) in [
        ("raise ValueError('x' * 10_000)", "ValueError"),
        ("return 5", ""),
        (
            "return {1: 'x', 'no media type': 'y', None: 'z'}",
            "not a media type",
        ),
        (
            "return {'application/json': {(1, 2): 3}}",
            "key of type tuple",
        ),
        (
            "return {'application/json': object()}",
            "object has no form",
        ),
        ("return {'application/json': d}", "nested more than 50"),
        (
            "return {'application/json': [0] * 1_000_000}",
            "100000 values",
        ),
        ("return {'application/json': 10 ** 5000}", "ValueError"),
        ("return {'text/markdown': 5}", "TypeError"),
        ("return {'image/png': 5}", "TypeError"),
        ("return {'text/x': 'x' * (20 << 20)}", "text/x"),
        ("return {'text/x': 'x'}, 5", ""),
        ("return {'text/x': 'x'}, {'a': object()}", "metadata"),
        ("return self._repr_mimebundle_()", "RecursionError"),
        (
            "x = []\n        for _ in range(100_000): x = [x]\n        return {'application/json': x}",
            "nested",
        ),
    ] {
        let code = format!(
            "{cycle}{start}    def _repr_mimebundle_(self, include=None, exclude=None):\n        {method}\nValue()"
        );
        let execution = rich(&code);
        assert_eq!(result(&execution), "plain", "{method}");
        let bundle = &execution.bundles[0];
        assert_eq!(
            (&bundle.data["text/plain"], &bundle.data["text/html"]),
            (&json!("plain"), &json!("<b>")),
            "{method}"
        );
        assert!(
            execution.stderr.text.contains(note),
            "{method}: {}",
            execution.stderr.text
        );
        assert!(execution.stderr.text.len() < 2000, "{method}");
    }
}

#[test]
fn hostile_objects_do_not_break_the_runner() {
    let code = r#"
class Anything:
    def __getattr__(self, name): return lambda *a, **k: self
    def __repr__(self): return 'any'
class Text(str):
    def __str__(self): raise RuntimeError
    def encode(self, *a): raise RuntimeError
class Number(int):
    def __int__(self): raise RuntimeError
    def __repr__(self): return '"injected"'
class Map(dict):
    def items(self): raise RuntimeError
class Shown:
    def _ipython_display_(self): display('itself')
class Broken:
    def _ipython_display_(self): raise OSError('no')
    def __repr__(self): return 'broken'
class NoText:
    def __repr__(self): raise OSError('no repr')
    def _repr_html_(self): return '\ud800<b>'
display(Anything()); display(Shown()); display(Broken()); display(NoText())
display({'application/json': Map(a=Number(5), b=Text('t'), c=10**30, d=2**64 - 1), Text('text/x'): Text('y')}, raw=True)
display({'image/png': 'not base64!'}, raw=True)
display(int); display({'a': 1})
"#;
    let execution = rich(code);
    assert_eq!(
        execution.outcome,
        Outcome::Completed,
        "{}",
        shown(&execution)
    );
    let data: Vec<_> = execution
        .bundles
        .iter()
        .map(|b| Value::from(b.data.clone()))
        .collect();
    assert_eq!(
        data,
        [
            json!({"text/plain": "any"}),
            json!({"text/plain": "'itself'"}),
            json!({"text/plain": "broken"}),
            json!({"text/html": "\\ud800<b>"}),
            json!({"application/json": {"a": 5, "b": "t", "c": "1000000000000000000000000000000", "d": u64::MAX}, "text/x": "y"}),
            json!({"text/plain": "<class 'int'>"}),
            json!({"text/plain": "{'a': 1}"}),
        ]
    );
    for note in ["_ipython_display_ failed", "__repr__ failed", "not base64"] {
        assert!(
            execution.stderr.text.contains(note),
            "{note}: {}",
            execution.stderr.text
        );
    }
}

#[test]
fn the_number_and_the_bytes_of_bundles_are_bounded_with_a_note() {
    let execution = rich("for i in range(150): display(i)\n'end'");
    assert_eq!(execution.bundles.len(), 100);
    assert_eq!(result(&execution), "'end'");
    assert_eq!(execution.stderr.text.matches("at most 100").count(), 1);
    let code = "class H:\n    def _repr_html_(self): return 'x' * (15 << 20)\nfor i in range(10): display(H())";
    let execution = rich(code);
    assert_eq!(
        execution.outcome,
        Outcome::Completed,
        "{}",
        shown(&execution)
    );
    assert!(execution.bundles.len() < 5);
    assert!(
        execution.stderr.text.contains("bytes in calls to the host"),
        "{}",
        execution.stderr.text
    );
    let code = "for i in range(30): display({'application/json': [0] * 90_000}, raw=True)";
    let execution = rich(code);
    assert!(execution.bundles.len() < 30 && execution.stderr.text.contains("2000000 values"));
    let code = "class B:\n    def __init__(self, n): self.n = n\n    def _repr_html_(self): raise ValueError(self.n)\nfor i in range(100): display(B(i))";
    assert!(rich(code).stderr.text.lines().count() < 30);
    // A hostile guest that talks to the host itself.
    let code = r#"
import _host
for frame in (b'{"op":"bundle"}', b'{"op":"bundle","data":5}', b'{"op":"bundle","data":{"a/b":' + b'[' * 200 + b']' * 200 + b'}}',
              b'{"op":"bundle","data":{"text/plain":5}}', b'{"op":"bundle","data":{"\xff":""}}', b'{"op":"bundle","result":1,"data":{}}'):
    assert b'error' in _host.call(frame), frame
"#;
    assert!(bundles(code).is_empty());
    let plain =
        block_on(sandbox().run(
            "import _host; _host.call(b'{\"op\":\"bundle\",\"data\":{\"text/plain\":\"x\"}}')",
        ))
        .unwrap();
    assert!(result(&plain).contains("does not know this request"));
}
