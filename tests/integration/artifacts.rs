//! Displays and files of the code, and where they are saved.

use codeact::sandbox::Turn;

use crate::support::{exec, sandbox};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn displays(code: &str) -> Vec<(String, String, Vec<u8>)> {
    let execution = sandbox().run_blocking(Turn::new(code)).unwrap();
    (execution.displays.into_iter())
        .map(|d| (d.mime, d.name, d.bytes))
        .collect()
}

#[test]
fn shown_and_open_figures_are_displays_in_order() {
    let shown = displays(
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()\nplt.figure(); plt.bar([1], [2])",
    );
    let names: Vec<_> = shown.iter().map(|d| d.1.as_str()).collect();
    assert_eq!(names, ["figure-1.png", "figure-2.png"]);
    assert!(
        shown
            .iter()
            .all(|d| d.0 == "image/png" && d.2.starts_with(PNG))
    );
}

#[test]
fn a_figure_is_shown_once_also_as_the_final_value_or_before_an_error() {
    for code in [
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nfig",
        "from matplotlib.figure import Figure\nf = Figure(); f.subplots(); f",
        "import matplotlib.pyplot as plt\nplt.plot([1])\n1 / 0",
        "import matplotlib.pyplot as plt, sys\nplt.plot([1])\nsys.exit(3)",
        "import pandas as pd\nax = pd.Series([1, 2]).plot()",
        "from PIL import Image\nImage.new('RGB', (2, 2))",
    ] {
        let shown = displays(code);
        assert_eq!(shown.len(), 1, "{code}");
        assert!(shown[0].2.starts_with(PNG), "{code}");
    }
}

#[test]
fn a_table_is_text_and_html_and_plain_values_are_only_text() {
    let shown = displays("import pandas as pd\npd.DataFrame({'a': [1]})");
    assert_eq!(
        (shown[0].0.as_str(), shown[0].1.as_str()),
        ("text/html", "value-1.html")
    );
    assert!(String::from_utf8_lossy(&shown[0].2).contains("<table"));
    assert!(displays("[1, 2]").is_empty() && displays("'text'").is_empty());
}

#[test]
fn invalid_and_excess_displays_are_rejected() {
    let code = "import _host
for frame in [b'{\"op\":\"display\"}', b'{\"op\":\"display\",\"mime\":\"text/x\",\"data\":\"\"}',
              b'{\"op\":\"display\",\"mime\":\"image/png\",\"data\":\"%%\"}']:
    assert b'error' in _host.call(frame), frame
ok = b'{\"op\":\"display\",\"mime\":\"image/png\",\"data\":\"\"}'
print(sum(_host.call(ok) == b'{}' for _ in range(500)))";
    let execution = sandbox().run_blocking(Turn::new(code)).unwrap();
    assert_eq!(execution.stdout.text, "100\n");
    assert_eq!(execution.displays.len(), 100);
}

#[test]
fn out_saves_displays_and_files_and_overwrites_only_with_force() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("made");
    let out = out.to_str().unwrap();
    let code = "import matplotlib.pyplot as plt, os
plt.plot([1])
os.makedirs('a/b')
open('a/b/x.txt', 'w').write('one')
open('/tmp/y.txt', 'w').write('not in the home folder')
os.symlink('/etc/passwd', 'link')";
    exec().code(code).arg("--out").arg(out).run().success();
    let read = |name: &str| std::fs::read(dir.path().join("made").join(name));
    assert!(read("figure-1.png").unwrap().starts_with(PNG));
    assert_eq!(read("a/b/x.txt").unwrap(), b"one");
    assert_eq!(std::fs::read_dir(out).unwrap().count(), 2);

    let again = "import os; os.makedirs('a/b'); open('a/b/x.txt', 'w').write('two')";
    let refused = exec().code(again).arg("--out").arg(out).run();
    refused.code(125).stderr_contains("--force");
    assert_eq!(read("a/b/x.txt").unwrap(), b"one");
    let forced = exec()
        .code(again)
        .arg("--out")
        .arg(out)
        .arg("--force")
        .run();
    forced.success();
    assert_eq!(read("a/b/x.txt").unwrap(), b"two");
}

#[test]
fn without_out_a_display_is_named_and_json_contains_it() {
    let code = "import matplotlib.pyplot as plt; plt.plot([1])";
    let done = exec().code(code).run();
    done.success().stderr_contains("figure-1.png");
    let json = exec().code(code).arg("--json").run().json();
    assert_eq!(json["displays"][0]["name"], "figure-1.png");
    assert!(
        json["displays"][0]["base64"]
            .as_str()
            .unwrap()
            .starts_with("iVBOR")
    );
}

#[cfg(unix)]
#[test]
fn out_does_not_follow_existing_links() {
    let dir = tempfile::tempdir().unwrap();
    let (out, victim) = (dir.path().join("out"), dir.path().join("victim"));
    std::fs::create_dir(&out).unwrap();
    std::fs::create_dir(&victim).unwrap();
    std::fs::write(victim.join("v"), "theirs").unwrap();
    std::os::unix::fs::symlink("../victim", out.join("sub")).unwrap();
    std::os::unix::fs::symlink("../victim/v", out.join("r")).unwrap();
    let save = |code: &str, more: &[&str]| {
        let args = more.iter().copied();
        exec().arg("--out").arg(&out).args(args).code(code).run()
    };
    let code = "import os; os.mkdir('sub'); open('sub/evil', 'w').write('x')";
    save(code, &[]).code(125);
    save("open('r', 'w').write('x')", &["--force"]).success();
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(victim.join("v")).unwrap(), "theirs");
    assert_eq!(std::fs::read_to_string(out.join("r")).unwrap(), "x");
}

#[test]
fn files_whose_sanitized_names_collide_are_all_saved() {
    let dir = tempfile::tempdir().unwrap();
    let code = "
import matplotlib.pyplot as plt
plt.plot([1, 2]); open('figure-1.png', 'w').write('my own')
for name in ('a:b', 'a?b'): open(name, 'w').write(name)";
    exec()
        .arg("--out")
        .arg(dir.path())
        .code(code)
        .run()
        .success();
    let mut saved: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    saved.sort();
    assert_eq!(saved, ["a_b", "a_b-2", "figure-1-2.png", "figure-1.png"]);
}
