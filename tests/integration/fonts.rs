//! Labels of matplotlib in scripts that its own fonts lack.

use crate::support::exec;

const LABELS: &str = "
import matplotlib.pyplot as plt
plt.rcParams['font.sans-serif'] = ['SimHei']
for i in range(3):
    fig, ax = plt.subplots()
    ax.set_title('销售数据 한국어 नमस्ते 😀')
    ax.set_xlabel('月份 年份')
    plt.savefig(f'{i}.png')
plt.close('all')
";

#[test]
fn missing_fonts_and_scripts_are_reported_once() {
    let done = exec().args(["--quiet"]).code(LABELS).run().success();
    let count = |part: &str| done.stderr.matches(part).count();
    assert_eq!(count("were found: SimHei"), 1, "{}", done.stderr);
    for script in ["CJK", "HANGUL", "DEVANAGARI"] {
        assert_eq!(count(&format!("(\\N{{{script} ")), 1, "{}", done.stderr);
    }
    // It names the line of the code.
    assert!(
        done.stderr.contains("<string>:8: UserWarning"),
        "{}",
        done.stderr
    );
}

#[test]
fn added_fonts_draw_the_scripts_that_matplotlibs_own_fonts_lack() {
    let done = exec()
        .args(["--quiet", "--fonts"])
        .code(LABELS)
        .run()
        .success();
    assert!(
        !done.stderr.contains("missing from font"),
        "{}",
        done.stderr
    );
}
