//! The charts of figures, as data.

use serde_json::{Value, json};

use crate::rich_results_support::{only, rich, types};

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
    for (projection, columns) in [("3d", 3), ("polar", 2)] {
        let other = chart(&format!(
            "plt.subplots(subplot_kw={{'projection': '{projection}'}})[1].plot(*[[1, 2]] * {columns})"
        ));
        let unknown = json!({"type": "unknown", "title": null, "elements": []});
        assert_eq!(other, unknown, "{projection}");
    }
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
