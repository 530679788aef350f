//! Rich turns: what notebook clients get of a value, a figure and a call of `display`.

use std::sync::{Arc, Mutex};

use codeact::event::{Event, EventSink};
use codeact::sandbox::{Outcome, Turn};
use serde_json::{Value, json};

use crate::rich_results_support::{bundles, only, rich, types};
use crate::support::{block_on, result, sandbox, shown};

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
