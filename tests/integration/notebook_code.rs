//! Code as notebooks have it: `display`, magics, installations of packages, and folders of other sandboxes.

use std::fs;

use crate::support::exec;

#[test]
fn lines_of_notebooks_run_as_statements() {
    for (code, expected) in [
        ("%matplotlib inline\nprint(1)", "1\n"),
        (
            "%load_ext autoreload\n%autoreload 2\n%config X.y = 'z'\nprint(2)",
            "2\n",
        ),
        ("!pip install -q numpy\nimport numpy\nprint(3)", "3\n"),
        ("%pip install pandas\nprint(4)", "4\n"),
        ("pip install pandas\nprint(5)", "5\n"),
        (
            "import sys\n!{sys.executable} -m pip install pandas --quiet\nprint(6)",
            "6\n",
        ),
        ("%cd /tmp\nx = %pwd\nprint(x)", "/tmp\n/tmp\n"),
        ("if True:\n    %time x = 7\nprint(x)", "7\n"),
        ("%%time\ny = 8\nprint(y)", "8\n"),
        ("%%capture\nprint(9)", "9\n"),
        (
            "len?",
            "Docstring: Return the number of items in a container.\n",
        ),
        ("%env A=b\nimport os\nprint(os.environ['A'])", "b\n"),
        ("%%writefile m.py\ndef f(): return 10\n", "Writing m.py\n"),
        (
            "%timeit -n 5 -r 2 sum(range(10))",
            "per loop (best of 2 runs, 5 loops each)\n",
        ),
    ] {
        let done = exec().code(code).run().success();
        assert!(done.stdout.contains(expected), "{code}: {}", done.stdout);
    }
}

#[test]
fn only_lines_that_start_statements_are_magics() {
    let code = "x = '''\n%time\n!ls\n?x\n'''\ny = (7\n%4)\nz = 9 \\\n% 5\n%matplotlib inline\nprint(x, y, z)";
    let done = exec().code(code).run().success();
    assert_eq!(done.stdout, "\n%time\n!ls\n?x\n 3 4\n");
    let done = exec()
        .code("%matplotlib inline\nx = (1\nprint(")
        .run()
        .code(1);
    assert!(
        done.stderr.contains("line 3\n    print(\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn what_a_sandbox_cannot_do_is_an_error_with_its_line() {
    for (code, line, error) in [
        (
            "x = 1\n!ls -la",
            "    !ls -la\n",
            "no processes and no shell",
        ),
        (
            "files = !ls",
            "    files = !ls\n",
            "no processes and no shell",
        ),
        ("%%bash\nls", "    %%bash\n", "%%bash is not available"),
        (
            "x = 1\n%nosuch x",
            "    %nosuch x\n",
            "%nosuch is not available",
        ),
        (
            "!pip install numpy nosuch1 nosuch2==3",
            "    !pip install numpy nosuch1 nosuch2==3\n",
            "cannot install nosuch1, nosuch2==3: packages cannot be installed from inside",
        ),
    ] {
        let done = exec().code(code).run().code(1);
        assert!(done.stderr.contains(line), "{}", done.stderr);
        assert!(done.stderr.contains(error), "{}", done.stderr);
    }
}

#[test]
fn an_installed_package_of_another_version_is_named() {
    let done = exec().code("!pip install pandas==1.5").run().success();
    let part = "pandas==1.5 is not available: the sandbox has pandas 3.";
    assert!(done.stdout.contains(part), "{}", done.stdout);
}

#[test]
fn display_prints_and_shows() {
    let code = "
import pandas as pd
from IPython.display import HTML, Image, Markdown, clear_output, display as show
df = pd.DataFrame({'a': [1]})
display(df)
show(HTML('<b>x</b>'))
show(Markdown('**m**'), 'text')
clear_output()
import base64
png = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')
show(Image(png))
open('p.png', 'wb').write(png)
Image('p.png')
";
    let done = exec().args(["--json"]).code(code).run().success();
    let value: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let stdout = value["stdout"].as_str().unwrap();
    for part in ["   a\n0  1\n", "**m**\n'text'\n"] {
        assert!(stdout.contains(part), "{stdout}");
    }
    let names: Vec<_> = (value["displays"].as_array().unwrap().iter())
        .filter_map(|display| display["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "value-1.html",
            "value-2.html",
            "figure-1.png",
            "figure-2.png"
        ]
    );
}

#[test]
fn libraries_see_no_notebook() {
    let code = "
from IPython import get_ipython
get_ipython().run_line_magic('matplotlib', 'inline')
names = {'__name__': 'library'}
exec('from IPython import get_ipython\\nfound = get_ipython()', names)
assert names['found'] is None
from tqdm.notebook import tqdm
assert sum(tqdm([1, 2])) == 3
import matplotlib.pyplot as plt
plt.ion()
";
    exec().code(code).run().success();
}

#[test]
fn a_styled_table_is_displayed_as_html() {
    let code = "import pandas as pd\npd.DataFrame({'a': [1]}).style.highlight_max()";
    let done = exec().args(["--json"]).code(code).run().success();
    assert!(done.stdout.contains("value-1.html"), "{}", done.stdout);
}

#[test]
fn the_home_folder_has_the_names_of_other_sandboxes() {
    let code = "
import os
import matplotlib; matplotlib.use('Agg')
import matplotlib.pyplot as plt
plt.plot([1, 2])
for path in ('/mnt/data/a.png', '/content/b.png', '/workspace/c.png', '/tmp/d.png'):
    plt.savefig(path)
print(sorted(os.listdir()), os.path.realpath('/content'))
assert 'content' not in os.listdir('/') and os.listdir('/mnt') == []
for path in ('/mnt/data', '/content', '/workspace'):
    for act in (os.remove, os.rmdir, lambda p: os.rename(p, '/tmp/x'), lambda p: os.symlink('/tmp', p)):
        try: act(path)
        except OSError: continue
        raise AssertionError(path)
";
    let done = exec().code(code).run().success();
    assert!(
        done.stdout
            .starts_with("['a.png', 'b.png', 'c.png'] /home/user\n"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_mount_takes_the_place_of_such_a_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/in.txt"), "in").unwrap();
    let mount = |guest: &str| format!("{}{guest}", folder.path().join("data").display());
    for (guest, path) in [
        ("", "/mnt/data"),
        (":/mnt/data/deep/er", "/mnt/data/deep/er"),
        (":/content", "/content"),
        (":/workspace/sub", "/workspace/sub"),
    ] {
        let code = format!("import os; print(open('{path}/in.txt').read(), os.listdir())");
        let done = (exec().args(["--mount", &mount(guest)]))
            .code(&code)
            .run()
            .success();
        assert_eq!(done.stdout, "in []\n", "{path}");
    }
}
