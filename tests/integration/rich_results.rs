//! Rich turns: what notebook clients get of a value, a figure and a call of `display`.

use std::sync::{Arc, Mutex};

use codeact::event::{Event, EventSink};
use codeact::sandbox::{Bundle, Execution, Outcome, Turn};
use serde_json::{Value, json};

use crate::support::{block_on, limits, result, sandbox, shown};

fn rich(code: &str) -> Execution {
    block_on(sandbox().run(Turn::new(code).limits(limits(|_| ())).rich(true))).unwrap()
}

#[track_caller]
fn bundles(code: &str) -> Vec<Bundle> {
    let execution = rich(code);
    assert_eq!(
        execution.outcome,
        Outcome::Completed,
        "{}",
        shown(&execution)
    );
    assert_eq!(execution.stderr.text, "", "{}", shown(&execution));
    execution.bundles
}

#[track_caller]
fn only(code: &str) -> Bundle {
    let mut all = bundles(code);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn types(bundle: &Bundle) -> Vec<&str> {
    let mut types: Vec<_> = bundle.data.keys().map(String::as_str).collect();
    types.sort_unstable();
    types
}

/// Returns the chart of the only figure of `code`.
#[track_caller]
fn chart(code: &str) -> Value {
    let bundle = only(&format!(
        "import matplotlib.pyplot as plt, numpy as np\n{code}\n0;"
    ));
    assert_eq!(
        types(&bundle),
        [
            "application/vnd.codeact.chart+json",
            "image/png",
            "text/plain"
        ]
    );
    assert!(!bundle.is_result);
    bundle.data["application/vnd.codeact.chart+json"].clone()
}

#[test]
fn the_final_value_is_the_result_with_its_text() {
    let execution = rich("print('before')\n[1, 'a']");
    assert_eq!(result(&execution), "[1, 'a']");
    assert_eq!(execution.bundles.len(), 1);
    assert!(execution.bundles[0].is_result && execution.displays.is_empty());
    assert_eq!(
        Value::from(execution.bundles[0].data.clone()),
        json!({"text/plain": "[1, 'a']"})
    );
    assert!(bundles("x = 1").is_empty() && bundles("None").is_empty() && bundles("5;").is_empty());
    let long = only("'x' * 1_000_000");
    assert!(long.data["text/plain"].as_str().unwrap().len() < 110_000);
}

#[test]
fn a_turn_that_is_not_rich_has_no_bundles() {
    let code = "display({'text/html': '<b>'}, raw=True); display(5); import pandas as pd; pd.DataFrame({'a': [1]})";
    let execution = block_on(sandbox().run(code)).unwrap();
    assert!(execution.bundles.is_empty());
    assert_eq!(execution.displays.len(), 2);
    assert_eq!(execution.stdout.text, "5\n");
    let rich = rich(code);
    assert_eq!(rich.displays, execution.displays);
    assert_eq!((rich.bundles.len(), rich.stdout.text.as_str()), (3, ""));
    // A rich turn and a plain one take turns in a session.
    let mut session = sandbox().session().unwrap();
    for (is_rich, expected) in [(true, 1), (false, 0), (true, 1)] {
        let execution = block_on(session.run(Turn::new("5").rich(is_rich))).unwrap();
        assert_eq!(execution.bundles.len(), expected);
    }
}

#[test]
fn all_forms_of_a_value_are_one_bundle_as_in_ipython() {
    let code = r#"
class Everything:
    def __repr__(self): return "everything"
    def _repr_html_(self): return "<b>é</b>"
    def _repr_markdown_(self): return "**m**", {"kind": 1}
    def _repr_latex_(self): return "$l$"
    def _repr_svg_(self): return "<svg/>"
    def _repr_png_(self): return b"png"
    def _repr_jpeg_(self): return "anBn\nZWc="
    def _repr_pdf_(self): return b"%PDF"
    def _repr_json_(self): return {"a": [1, 2.5, None, True], 3: float("nan")}
    def _repr_javascript_(self): return "alert()"
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": "<i>", "application/vnd.x+json": {"k": (1,)}}, {"text/html": {"isolated": True}}
Everything()"#;
    let bundle = only(code);
    assert_eq!(
        Value::from(bundle.data),
        json!({
            "text/plain": "everything",
            // Of the bundle of its own, as in IPython.
            "text/html": "<i>",
            "application/vnd.x+json": {"k": [1]},
            "text/markdown": "**m**",
            "text/latex": "$l$",
            "image/svg+xml": "<svg/>",
            "image/png": "cG5n",
            "image/jpeg": "anBnZWc=",
            "application/pdf": "JVBERg==",
            "application/json": {"a": [1, 2.5, null, true], "3": null},
            "application/javascript": "alert()",
        })
    );
    assert_eq!(
        Value::from(bundle.metadata),
        json!({"text/html": {"isolated": true}, "text/markdown": {"kind": 1}})
    );
}

#[test]
fn classes_of_ipython_display_have_their_media_types() {
    let code = r#"
from IPython.display import *
display(HTML("<b>h</b>"), Markdown("*m*"), Latex("$x$"), Math("x^2"), SVG("<svg/>"))
display(JSON({"a": 1}), JSON('[1]'), Javascript("f()"), Image(b"\x89PNG...", width=10), Image(b"GIF8x"))
handle = display("first", display_id="d", metadata={"tags": ["a"]})
handle.update("second")
update_display("third", display_id="d")
publish_display_data({"text/plain": "p", "text/html": "<p>"}, {"m": 1})
display(HTML("<b>"), include=["text/html"])
display(HTML("<b>"), exclude=["text/html"])
print("printed")"#;
    let execution = rich(code);
    assert_eq!(
        execution.outcome,
        Outcome::Completed,
        "{}",
        shown(&execution)
    );
    assert_eq!(execution.stdout.text, "printed\n");
    let shown = execution.bundles;
    let with = |at: usize, mime: &str| shown[at].data.get(mime).cloned().unwrap_or_default();
    assert_eq!(with(0, "text/html"), "<b>h</b>");
    assert_eq!(with(1, "text/markdown"), "*m*");
    assert_eq!(with(2, "text/latex"), "$x$");
    assert_eq!(with(3, "text/latex"), "$\\displaystyle x^2$");
    assert_eq!(with(4, "image/svg+xml"), "<svg/>");
    assert_eq!(with(5, "application/json"), json!({"a": 1}));
    assert_eq!(with(6, "application/json"), json!([1]));
    assert_eq!(with(7, "application/javascript"), "f()");
    assert_eq!(with(8, "image/png"), "iVBORy4uLg==");
    assert_eq!(
        Value::from(shown[8].metadata.clone()),
        json!({"image/png": {"width": 10}})
    );
    assert_eq!(with(9, "image/gif"), "R0lGOHg=");
    let texts: Vec<_> = (10..13).map(|at| with(at, "text/plain")).collect();
    assert_eq!(texts, ["'first'", "'second'", "'third'"]);
    assert_eq!(
        Value::from(shown[10].metadata.clone()),
        json!({"tags": ["a"]})
    );
    assert_eq!(
        Value::from(shown[13].data.clone()),
        json!({"text/plain": "p", "text/html": "<p>"})
    );
    assert_eq!(Value::from(shown[13].metadata.clone()), json!({"m": 1}));
    assert_eq!(types(&shown[14]), ["text/html"]);
    assert_eq!(types(&shown[15]), ["text/plain"]);
    assert!(shown.iter().all(|bundle| !bundle.is_result));
    assert_eq!(shown.len(), 16);
}

#[test]
fn bundles_are_events_in_order_with_the_output() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let events = EventSink::new(move |event| {
        let line = match event {
            Event::Output { text, .. } => text,
            Event::Bundle {
                is_result, data, ..
            } => format!("{is_result} {}", data["text/plain"]),
            _ => return,
        };
        sink.lock().unwrap().push(line);
    });
    let code = "print('a')\ndisplay(1)\nprint('b')\ndisplay(2)\n3";
    block_on(sandbox().run(Turn::new(code).rich(true).events(events))).unwrap();
    let seen = seen.lock().unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(seen, ["a", "false \"1\"", "b", "false \"2\"", "true \"3\""]);
}

#[test]
fn a_data_frame_has_its_columns_as_data() {
    let code = "
import pandas as pd, numpy as np, datetime, decimal
pd.DataFrame({
    'i': [1, 2], 'f': [1.5, np.nan], 'inf': [np.inf, 0.0], 's': ['a', None], 'b': [True, False],
    't': pd.to_datetime(['2026-01-02 03:04:05', None]), 'c': pd.Categorical(['x', 'y']),
    'n': pd.array([1, None], dtype='Int64'), 'o': [decimal.Decimal('1.5'), [1, {'k': 2}]],
    'd': [datetime.date(2026, 1, 2), pd.Timedelta(1, 's')], 'u': np.array([2**64 - 1, 0], dtype='uint64'), 7: [0, 0],
})";
    let bundle = only(code);
    assert!(bundle.is_result);
    assert_eq!(
        types(&bundle),
        [
            "application/vnd.codeact.data+json",
            "text/html",
            "text/plain"
        ]
    );
    assert_eq!(
        bundle.data["application/vnd.codeact.data+json"],
        json!({
            "i": [1, 2], "f": [1.5, null], "inf": [null, 0.0], "s": ["a", null], "b": [true, false],
            "t": ["2026-01-02T03:04:05", null], "c": ["x", "y"], "n": [1, null], "o": ["1.5", [1, {"k": 2}]],
            "d": ["2026-01-02", "0 days 00:00:01"], "u": [u64::MAX, 0], "7": [0, 0],
        })
    );
    let twice = only("import pandas as pd; pd.DataFrame([[1, 2]], columns=['a', 'a'])");
    assert_eq!(
        twice.data["application/vnd.codeact.data+json"],
        json!({"a": [1], "a.1": [2]})
    );
    let large = rich("import pandas as pd, numpy as np; pd.DataFrame(np.zeros((60_000, 2)))");
    let data = &large.bundles[0].data["application/vnd.codeact.data+json"];
    assert_eq!(data["0"].as_array().unwrap().len(), 25_000);
    assert!(
        large.stderr.text.contains("35000 rows are left out"),
        "{}",
        large.stderr.text
    );
}

#[test]
fn a_line_chart_has_its_points_and_axes() {
    let chart = chart(
        "plt.plot([1, 2, 3], [4.0, np.nan, 6], label='A'); plt.plot([1, 3], [4, 4]); plt.axhline(5)
plt.title('T'); plt.xlabel('Time (s)'); plt.ylabel('Speed [m/s]'); plt.yscale('log')",
    );
    assert_eq!(chart["type"], "line");
    assert_eq!(chart["title"], "T");
    assert_eq!(
        (&chart["x_label"], &chart["x_unit"]),
        (&json!("Time (s)"), &json!("s"))
    );
    assert_eq!(
        (&chart["y_label"], &chart["y_unit"]),
        (&json!("Speed [m/s]"), &json!("m/s"))
    );
    assert_eq!(
        (&chart["x_scale"], &chart["y_scale"]),
        (&json!("linear"), &json!("log"))
    );
    assert_eq!(
        chart["elements"],
        json!([
            {"label": "A", "points": [[1.0, 4.0], [2.0, null], [3.0, 6.0]]},
            {"label": "Line 1", "points": [[1.0, 4.0], [3.0, 4.0]]},
        ])
    );
    let ticks = chart["x_ticks"].as_array().unwrap().len();
    assert!(ticks > 1 && chart["x_tick_labels"].as_array().unwrap().len() == ticks);
}

#[test]
fn dates_and_categories_of_charts_are_values_of_the_code() {
    let lines =
        chart("import datetime as d\nplt.plot([d.date(2026, 1, 1), d.date(2026, 2, 1)], [1, 2])");
    assert_eq!(lines["x_scale"], "datetime");
    assert_eq!(
        lines["elements"][0]["points"][0],
        json!(["2026-01-01", 1.0])
    );
    assert!(lines["x_ticks"][0].as_str().unwrap().starts_with("202"));
    let lines = chart("plt.plot(['a', 'b'], [1, 2])");
    assert_eq!(lines["x_scale"], "categorical");
    assert_eq!(
        lines["elements"][0]["points"],
        json!([["a", 1.0], ["b", 2.0]])
    );
    let lines = chart(
        "import pandas as pd\npd.Series([1, 2], index=pd.to_datetime(['2026-01-01', '2026-06-01'])).plot()",
    );
    assert_eq!(lines["type"], "line", "{lines}");
    let scatter = chart("plt.scatter(['a', 'b', 'a'], [1, 2, 3], label='S')");
    assert_eq!(scatter["type"], "scatter");
    assert_eq!(
        scatter["elements"],
        json!([{"label": "S", "points": [["a", 1.0], ["b", 2.0], ["a", 3.0]]}])
    );
}

#[test]
fn bars_have_their_categories_groups_and_values() {
    let bars = chart("plt.bar(['p', 'q'], [3, -1]); plt.ylabel('n')");
    assert_eq!(
        (&bars["type"], &bars["y_label"]),
        (&json!("bar"), &json!("n"))
    );
    assert_eq!(
        bars["elements"],
        json!([
            {"label": "p", "group": "Group 0", "value": 3.0},
            {"label": "q", "group": "Group 0", "value": -1.0},
        ])
    );
    // Equal bars, horizontal bars, grouped bars, error bars, and bars at numbers.
    let bars = chart("plt.barh(['p', 'q'], [2, 2], xerr=[0.1, 0.2]); plt.xlabel('n')");
    assert_eq!(
        (&bars["x_label"], &bars["y_label"]),
        (&Value::Null, &json!("n"))
    );
    assert_eq!(
        bars["elements"][1],
        json!({"label": "q", "group": "Group 0", "value": 2.0})
    );
    let bars = chart(
        "x = np.arange(2)\nplt.bar(x - 0.2, [1, 2], 0.4, label='m'); plt.bar(x + 0.2, [3, 4], 0.4, label='w'); plt.xticks(x, ['A', 'B'])",
    );
    assert_eq!(
        bars["elements"][3],
        json!({"label": "B", "group": "w", "value": 4.0})
    );
    let bars = chart("plt.bar([10, 20.5], [1, 2])");
    assert_eq!(
        (&bars["elements"][0]["label"], &bars["elements"][1]["label"]),
        (&json!("10"), &json!("20.5"))
    );
    let bars = chart(
        "import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': [3, 4]}, index=['r', 's']).plot.bar()",
    );
    assert_eq!(
        bars["elements"][2],
        json!({"label": "r", "group": "b", "value": 3.0})
    );
    let bars = chart("plt.hist([1, 1, 2, 3], bins=2)");
    assert_eq!(
        (&bars["type"], &bars["elements"][0]["value"]),
        (&json!("bar"), &json!(2.0))
    );
}

#[test]
fn pies_and_boxes_have_their_numbers() {
    let pie = chart("plt.pie([1, 3], labels=['a', 'b'])");
    assert_eq!(
        pie["elements"],
        json!([{"label": "a", "angle": 90.0, "radius": 1.0}, {"label": "b", "angle": 270.0, "radius": 1.0}])
    );
    for style in ["", ", patch_artist=True", ", orientation='horizontal'"] {
        let boxes = chart(&format!(
            "plt.boxplot([[1, 2, 3, 4, 5], [1, 2, 3, 4, 50]], tick_labels=['u', 'v']{style}); plt.ylabel('Y')"
        ));
        assert_eq!(boxes["type"], "box_and_whisker", "{style}");
        assert_eq!(
            boxes["elements"][1],
            json!({"label": "v", "min": 1.0, "first_quartile": 2.0, "median": 3.0, "third_quartile": 4.0, "max": 4.0, "outliers": [50.0]})
        );
        let label = if style.contains("horizontal") {
            "x_label"
        } else {
            "y_label"
        };
        assert_eq!(boxes[label], "Y", "{style}");
    }
    let cleared = chart("plt.boxplot([1, 2, 3]); plt.cla(); plt.plot([1, 2], [3, 4])");
    assert_eq!(cleared["type"], "line");
}

#[test]
fn several_axes_are_a_superchart_and_other_figures_are_unknown() {
    let both = chart(
        "f, (a, b) = plt.subplots(1, 2); a.plot([1, 2]); b.bar(['x'], [1]); f.suptitle('Two')",
    );
    assert_eq!(
        (&both["type"], &both["title"]),
        (&json!("superchart"), &json!("Two"))
    );
    assert_eq!(
        (&both["elements"][0]["type"], &both["elements"][1]["type"]),
        (&json!("line"), &json!("bar"))
    );
    let image = chart("plt.imshow(np.zeros((2, 2))); plt.colorbar(); plt.title('I')");
    assert_eq!(
        image,
        json!({"type": "unknown", "title": "I", "elements": []})
    );
    assert_eq!(
        chart("plt.plot([1, 2]); plt.bar([1], [2])")["type"],
        "unknown"
    );
    assert_eq!(chart("plt.subplots(subplot_kw={'projection': '3d'})[1].plot([1, 2], [1, 2], [1, 2])")["elements"].as_array().map(Vec::len).is_some(), true);
    let empty = only("import matplotlib.pyplot as plt; plt.figure(); 0;");
    assert_eq!(types(&empty), ["image/png", "text/plain"]);
    let many =
        rich("import matplotlib.pyplot as plt, numpy as np; plt.plot(np.arange(30_000)); 0;");
    assert!(
        many.stderr.text.contains("10000 points are left out"),
        "{}",
        many.stderr.text
    );
}

#[test]
fn a_figure_is_shown_once_and_is_the_result_if_it_is_the_final_value() {
    let code =
        "import matplotlib.pyplot as plt\nf1, _ = plt.subplots()\nf2, _ = plt.subplots()\nf2";
    let shown = bundles(code);
    assert_eq!(shown.len(), 2);
    assert_eq!((shown[0].is_result, shown[1].is_result), (false, true));
    let closed = only("import matplotlib.pyplot as plt\nf, _ = plt.subplots(); plt.close(f)\nf");
    assert!(closed.is_result);
    let shown = bundles(
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show(); print('x'); plt.plot([3, 4])",
    );
    let kinds: Vec<_> = shown
        .iter()
        .map(|b| (b.is_result, b.data.contains_key("image/png")))
        .collect();
    assert_eq!(kinds, [(false, true), (true, false), (false, true)]);
    let raised = rich("import matplotlib.pyplot as plt\nplt.plot([1, 2])\n1 / 0");
    assert!(matches!(raised.outcome, Outcome::Raised(_)) && raised.bundles.len() == 1);
}

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

#[test]
fn a_rich_turn_is_recorded_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    let mut session = sandbox().session().unwrap();
    let recorder = codeact::sandbox::Recorder::create(&path, &session, Value::Null).unwrap();
    session.record(&recorder);
    let code = "import time\ndisplay(time.time())\n{'a': 1}";
    let first = block_on(session.run(Turn::new(code).rich(true))).unwrap();
    let recording = codeact::sandbox::Recording::load(&path).unwrap();
    let replayed = block_on(recording.replay(&sandbox())).unwrap();
    assert_eq!(replayed[0].bundles, first.bundles);
}
