//! Texts of `codeact exec`: outcomes, displays, files and changes.

use crate::support::FinishedCommand;
use crate::texts::Page;

/// Code with a deterministic outcome, and options.
const ENDINGS: [(&str, &[&str]); 14] = [
    ("print('out')\n40 + 2", &[]),
    ("def f(x):\n    return 1 / x\nf(0)", &[]),
    ("x = = 1", &[]),
    ("import sys; sys.exit(7)", &[]),
    ("import sys; sys.exit('why')", &[]),
    ("raise KeyboardInterrupt", &[]),
    ("while True: pass", &["--fuel", "100000000"]),
    ("while True: pass", &["--timeout", "2s"]),
    ("x = bytearray(10 ** 9)", &[]),
    ("import os; os.abort()", &[]),
    ("input('name? ')", &[]),
    ("print('x' * 5000)", &["--max-output", "1K"]),
    (
        "import sys; print('x' * 5000, file=sys.stderr)",
        &["--max-output", "1K", "--quiet"],
    ),
    (
        "x = 1\nraise ValueError('two\\nlines')",
        &["--transactional"],
    ),
];

#[test]
fn outcomes_as_text() {
    let mut page = Page::with_pack();
    for (code, options) in ENDINGS {
        page.run(&[&["exec", "-c", code], options].concat());
    }
    page.pinned("exec_endings");
}

#[test]
fn outcomes_as_json() {
    let mut page = Page::with_pack();
    for (code, options) in ENDINGS {
        page.run_json(&[&["exec", "--json", "-c", code], options].concat());
    }
    page.pinned("exec_json");
}

#[test]
fn a_file_and_its_arguments() {
    let mut page = Page::with_pack();
    page.write(
        "a.py",
        "import os, sys\nprint(sys.argv, os.environ.get('K'))\nraise OSError(2, 'no')\n",
    );
    page.run(&["exec", "a.py", "--arg", "-x", "--env", "K=V", "--", "rest"]);
    page.typed(&["exec", "-"], "import sys\nprint(sys.argv)\n1 / 0\n");
    page.pinned("exec_files");
}

#[test]
fn displays_and_files() {
    let mut page = Page::with_pack();
    let code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nopen('a b.txt', 'w').write('x')";
    page.run_all(&[
        &["exec", "-c", code],
        &["exec", "-c", code, "--out", "saved"],
        &["exec", "-c", code, "--out", "saved"],
        &["exec", "-c", code, "--quiet"],
    ]);
    assert!(page.path("saved/a b.txt").is_file());
    page.pinned("exec_pictures");
}

/// Adds, changes and removes each kind of file in `/m` and in the home folder.
const CHANGES: &str = "import os
open('/m/a.txt', 'a').write('three\\n')
os.remove('/m/gone.txt')
os.mkdir('/m/d')
open('/m/d/n.txt', 'w').write('new\\n')
os.symlink('n.txt', '/m/d/l')
open('/m/b.bin', 'wb').write(b'\\0\\1')
open('own.txt', 'w').write('mine\\n')";

fn with_data() -> Page {
    let page = Page::with_pack();
    page.write("data/a.txt", "one\ntwo\n");
    page.write("data/gone.txt", "bye\n");
    page.write("data/b.bin", [0]);
    page
}

#[test]
fn a_diff_of_changes() {
    let mut page = with_data();
    page.run_all(&[
        &["exec", "--diff", "-c", CHANGES, "--mount", "data:/m:commit"],
        &[
            "exec",
            "--diff",
            "-c",
            CHANGES,
            "--mount",
            "data:/m:overlay",
        ],
        &["exec", "--diff", "-c", "pass", "--mount", "data:/m:overlay"],
    ]);
    page.run_json(&[
        "exec",
        "--diff",
        "--json",
        "-c",
        CHANGES,
        "--mount",
        "data:/m:commit",
    ]);
    page.pinned("exec_diff");
}

#[test]
fn changes_with_and_without_a_commit() {
    let mut page = with_data();
    let commit = ["--mount", "data:/m:commit", "--yes"];
    let mut exec = |code: &str, options: &[&str]| -> FinishedCommand {
        page.run(&[&["exec", "-c", code], options].concat())
    };
    exec(CHANGES, &["--mount", "data:/m:overlay"]);
    exec("open('/m/a.txt', 'w')", &["--mount", "data:/m:ro"]);
    exec("open('/m/a.txt', 'a').write('x')\n1 / 0", &commit);
    exec("pass", &commit);
    exec(CHANGES, &commit);
    exec("open('/m/a.txt', 'a').write('x')", &commit);
    exec(
        "open('/m/a.txt', 'a').write('x')",
        &[&commit[..], &["--quiet"]].concat(),
    );
    exec("import os; os.symlink('/etc/passwd', '/m/out')", &commit);
    exec("open('/m/a:b?', 'w').write('x')", &commit);
    page.run_json(
        &[
            &["exec", "--json", "-c", "open('/m/j', 'w').write('x')"],
            &commit[..],
        ]
        .concat(),
    );
    page.pinned("exec_commit");
}

#[test]
fn conflicting_changes() {
    let mut page = with_data();
    page.write("data/d/x.txt", "x\n");
    page.script("outside", "[ \"$1\" = --describe ] && { echo '{}'; exit; }\nread input\neval \"$(echo \"$input\" | cut -d'\"' -f4)\" >&2\n");
    let seen = "import shutil\nopen('/m/a.txt').read(), open('/m/d/x.txt').read(), open('/m/gone.txt').read()\n";
    for (inside, outside) in [
        (
            "open('/m/a.txt', 'a').write('x')",
            "echo other > data/a.txt",
        ),
        (
            "open('/m/new.txt', 'w').write('x')",
            "echo other > data/new.txt",
        ),
        ("shutil.rmtree('/m/d')", "echo other > data/d/y.txt"),
        ("open('/m/d/x.txt', 'a').write('x')", "rm -r data/d"),
        ("open('/m/gone.txt', 'a').write('x')", "rm data/gone.txt"),
    ] {
        let code = format!("{seen}{inside}\n_ = tools.outside(run={outside:?})");
        page.run(&[
            "exec",
            "--quiet",
            "-c",
            &code,
            "--tool",
            "outside=./outside",
            "--mount",
            "data:/m:commit",
            "--yes",
        ]);
        page.write("data/a.txt", "one\ntwo\n");
        page.write("data/d/x.txt", "x\n");
    }
    page.pinned("exec_conflicts");
}

#[test]
fn code_that_is_stopped() {
    let mut page = Page::with_pack();
    let code = "print('begun', flush=True); input()";
    for args in [&["exec", "-c", code][..], &["exec", "--quiet", "-c", code]] {
        page.interrupted(args, "begun\n");
    }
    page.pinned("exec_stopped");
}

#[test]
fn limits_of_files_and_calls() {
    let mut page = Page::with_pack();
    page.script(
        "echo",
        "if [ \"$1\" = --describe ]; then echo '{}'; exit; fi\ncat\n",
    );
    let tool = ["--tool", "echo=./echo"];
    page.run_all(&[
        &[
            "exec",
            "--max-files",
            "3",
            "-c",
            "for i in range(9): open(str(i), 'w')",
        ],
        &[
            "exec",
            "--max-file-bytes",
            "1K",
            "-c",
            "open('f', 'w').write('x' * 5000)",
        ],
        &[
            "exec",
            "--max-open-files",
            "5",
            "-c",
            "all = [open('f', 'w') for i in range(9)]",
        ],
    ]);
    let many = "for i in range(9): tools.echo(i=i)";
    let big = "tools.echo(text='x' * 5000)";
    page.run(&[&["exec", "--max-host-calls", "3", "-c", many][..], &tool].concat());
    page.run(
        &[
            &["exec", "--max-host-call-bytes", "1K", "-c", big][..],
            &tool,
        ]
        .concat(),
    );
    page.pinned("exec_limits");
}

#[test]
fn the_demo() {
    let mut page = Page::with_pack();
    page.run_all(&[
        &["demo", "--offline"],
        &["demo", "--quiet"],
        &["demo", "--verbose"],
        &["demo", "--json"],
    ]);
    page.pinned("demo");
}

#[test]
fn the_list_of_packs() {
    let mut page = Page::with_pack();
    // The folder of packs depends on the machine.
    let path = page
        .command(crate::support::codeact(["pack", "path"]))
        .run();
    page.hide(path.stdout.trim(), "<pack>");
    page.run_all(&[&["pack", "list"], &["pack", "path"], &["pack", "install"]]);
    page.pinned("pack_list");
}
