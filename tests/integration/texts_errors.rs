//! Texts of invalid command lines and files.

use crate::texts::Page;

#[test]
fn usage_errors() {
    let mut page = Page::new();
    page.run_all(&[
        &[],
        &["frob"],
        &["exce", "a.py"],
        &["exec"],
        &["exec", "--frob", "a.py"],
        &["exec", "a.py", "-c", "1"],
        &["exec", "a.py", "b.py"],
        &["exec", "-c", "1", "--seed", "x"],
        &["exec", "-c", "1", "--seed", "1", "--session", "s"],
        &["exec", "-c", "1", "--force"],
        &["exec", "-c", "1", "--quiet=yes"],
        &["run"],
        &["run", "t", "--interactive"],
        &["run", "t", "--session", "s", "--once"],
        &["run", "t", "--max-steps", "0"],
        &["repl", "--session", "s", "--seed", "1"],
        &["replay"],
        &["replay", "a", "--check", "--until", "1"],
        &["replay", "a", "--until", "x"],
        &["session"],
        &["session", "frob"],
        &["session", "show"],
        &["session", "undo", "s", "x"],
        &["session", "export", "s"],
        &["session", "rm"],
        &["session", "resume", "s", "--max-steps", "0"],
        &["pack"],
        &["pack", "frob"],
        &["tools", "extra"],
        &["demo", "extra"],
    ]);
    page.pinned("errors_command_lines");
}

#[test]
fn invalid_times_and_sizes() {
    let mut page = Page::new();
    for (option, values) in [
        (
            "--timeout",
            &["", "s", "-1s", "10 parsecs", "1e400s", "1..5s"][..],
        ),
        (
            "--max-memory",
            &["", "M", "-1", "1.5M", "99999999999G", "3X"],
        ),
        ("--max-output", &["lots"]),
        ("--max-host-call-bytes", &["5Q"]),
        ("--max-file-bytes", &["x"]),
        ("--fuel", &["1M", "-1"]),
        ("--max-host-calls", &["x"]),
        ("--max-files", &["x"]),
        ("--max-open-files", &["-3"]),
    ] {
        for value in values {
            // Not `exec`, to which the support module adds a timeout.
            page.run(&["demo", &format!("{option}={value}")]);
        }
    }
    page.pinned("errors_times_and_sizes");
}

#[test]
fn invalid_values_of_options() {
    let mut page = Page::new();
    for (option, values) in [
        ("--env", &["x", "=x"][..]),
        ("--tool", &["nothing", "=x", "a="]),
        ("--mcp", &["", "x=", "x='unclosed", "http://", "x=https://"]),
        ("--approve", &["perhaps", "ask:"]),
        ("--secret", &["TOKEN=@x.org", "TOKEN@", "TOKEN@a b"]),
        (
            "--allow-net",
            &[
                "",
                "a b",
                "https://example.com/",
                "example.com:x",
                "example.com:0",
                "*",
                "a.*.com",
                "*.127.0.0.1",
                "a..b",
                "::1",
                ":80",
                "example.com/x",
            ],
        ),
        (
            "--with",
            &[
                "",
                "a b",
                "--index-url",
                "./wheel.whl",
                "a@https://example.com/a.whl",
                "a==",
                "a>1,",
                "a[x",
                "a; python_version > '3'",
            ],
        ),
    ] {
        for value in values {
            page.run(&["exec", "-c", "1", &format!("{option}={value}")]);
        }
    }
    page.pinned("errors_values");
}

#[test]
fn files_that_cannot_be_run() {
    let mut page = Page::with_pack();
    page.write("latin.py", b"print('\xe9')\n");
    page.write("folder/a.py", "1");
    page.run_all(&[
        &["exec", "missing.py"],
        &["exec", "folder"],
        &["exec", "latin.py"],
        &["exec", "missing.py", "--json"],
    ]);
    page.run_with(&["exec", "-"], |command| command.stdin(b"\xff\n"));
    page.typed(&["exec", "-"], "x = = 1\n");
    page.pinned("errors_files");
}

#[test]
fn invalid_mounts() {
    let mut page = Page::with_pack();
    page.write("data/a.txt", "one\n");
    page.write("data/sub/b.txt", "two\n");
    for specs in [
        &["missing"][..],
        &["missing:/data:ro"],
        &["data:rw"],
        &["data:/data:write"],
        &["data:data:ro"],
        &[":ro"],
        &[""],
        &["data:/a/../b"],
        &["data:/"],
        &["data:/usr/lib"],
        &["data:/home/user"],
        &["data:/home"],
        &["data", "data"],
        &["data:/m", "data/sub:/m/sub"],
        &["data:/m:commit"],
    ] {
        let mut args = vec!["exec", "-c", "print('ran')"];
        args.extend(specs.iter().flat_map(|spec| ["--mount", spec]));
        page.run(&args);
    }
    page.pinned("errors_mounts");
}

#[test]
fn missing_packs() {
    let mut page = Page::new();
    let empty = page.path("empty");
    page.set("CODEACT_HOME", empty);
    page.write("wrong.whl", "no wheel");
    page.run_all(&[
        &["pack", "path"],
        &["pack", "path", "frob"],
        &["pack", "install", "frob"],
        &["pack", "remove", "frob"],
        &["pack", "remove"],
        &["--offline", "pack", "install"],
        &["pack", "install", "--from", "missing.whl"],
        &["pack", "install", "--from", "wrong.whl"],
        &["exec", "--offline", "-c", "1"],
        &["repl", "--offline"],
        &["demo", "--offline"],
        &["pack", "list"],
    ]);
    page.set("PATH", "");
    page.run(&["exec", "-c", "1"]);
    page.pinned("errors_packs");
}

#[test]
fn unusable_pack_folders() {
    use std::os::unix::fs::PermissionsExt;
    let mut page = Page::new();
    page.write("plain", "no folder");
    let below = page.path("plain/home");
    page.set("CODEACT_HOME", below);
    page.run_all(&[
        &["--offline", "pack", "install"],
        &["pack", "list"],
        &["exec", "-c", "1"],
    ]);
    page.write("open/file", "");
    let open = page.path("open");
    let everybodys = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&open, everybodys).expect("the folder is the test's own");
    page.set("CODEACT_HOME", open);
    page.set("PATH", "");
    page.run(&["exec", "-c", "1"]);
    page.pinned("errors_pack_folders");
}

#[test]
fn packages_that_cannot_be_added() {
    let mut page = Page::with_pack();
    page.run_all(&[
        &["exec", "--offline", "--with", "numpy==0.1", "-c", "1"],
        &[
            "exec",
            "--offline",
            "--with",
            "no-such-package-of-codeact",
            "-c",
            "1",
        ],
        &[
            "exec",
            "--offline",
            "--with",
            "no-such-package-of-codeact==1.0",
            "--with",
            "another-of-codeact",
            "-c",
            "1",
        ],
    ]);
    page.set("PATH", "");
    page.run(&["exec", "--with", "no-such-package-of-codeact", "-c", "1"]);
    page.pinned("errors_packages");
}

#[test]
fn existing_files_in_the_output_folder() {
    let mut page = Page::with_pack();
    page.write("there/left.txt", "mine\n");
    page.write("plain", "no folder\n");
    let code = "_ = open('left.txt', 'w').write('new')";
    page.run_all(&[
        &["exec", "-c", code, "--out", "there"],
        &["exec", "-c", code, "--out", "there", "--force"],
        &["exec", "-c", code, "--out", "plain"],
        &["exec", "-c", code, "--out", "fresh/deep"],
        &["exec", "-c", "pass", "--out", "nothing"],
        &["exec", "-c", code, "--out", "quiet", "--quiet"],
    ]);
    page.pinned("errors_out");
}

#[test]
fn limits_that_are_too_low() {
    let mut page = Page::with_pack();
    page.run_all(&[
        &["exec", "-c", "1", "--max-memory", "1M"],
        &["exec", "-c", "print(1)", "--fuel", "0"],
        &["exec", "-c", "print(1)", "--max-output", "0"],
    ]);
    page.pinned("errors_limits");
}
