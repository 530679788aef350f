//! `--with`: packages in addition to those of the pack, fetched with the real client from the real index.

use codeact::Sandbox;
use codeact::pack::Requirement;

use crate::support::exec;

/// Pinned, so that all tests share the same cached wheels.
const TWO: [&str; 4] = ["--with", "rich==14.0.0", "--with", "python-slugify==8.0.4"];

#[test]
fn two_packages_and_their_dependencies_can_be_imported() {
    let code = "
import io, importlib.metadata, slugify
from rich.console import Console
from rich.table import Table
table = Table('name')
table.add_row(slugify.slugify('Grüße aus Köln'))
Console(width=30, file=(out := io.StringIO())).print(table)
assert 'grusse-aus-koln' in out.getvalue(), out.getvalue()
print(importlib.metadata.version('rich'), importlib.metadata.version('python-slugify'))
";
    let done = exec().args(TWO).code(code).run().success();
    assert_eq!(done.stdout, "14.0.0 8.0.4\n");
}

#[test]
fn cached_packages_need_no_network() {
    exec().args(TWO).code("pass").run().success();
    let done = (exec().args(TWO))
        .args(["--offline", "--quiet"])
        .code("import rich, slugify; print('there')")
        .run()
        .success();
    assert_eq!((&*done.stdout, &*done.stderr), ("there\n", ""));
}

#[test]
fn offline_a_package_that_is_not_cached_is_an_error() {
    let done = exec()
        .args(["--offline", "--with", "rich==13.0.1", "-c", "pass"])
        .run()
        .code(125);
    assert!(done.stderr.contains("rich==13.0.1"), "{}", done.stderr);
}

#[test]
fn packages_are_read_only_and_only_in_runs_that_request_them() {
    let code = "
import os, rich
for act in (lambda: open(rich.__file__, 'w'), lambda: os.remove(rich.__file__)):
    try: act()
    except PermissionError as e: print(type(e).__name__)
";
    let done = exec().args(TWO).code(code).run().success();
    assert_eq!(done.stdout, "PermissionError\nPermissionError\n");
    let done = exec().code("import rich").run().code(1);
    assert!(
        done.stderr.contains("No module named 'rich'"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("pure-Python package can be added"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_package_with_compiled_code_is_an_error_with_an_alternative() {
    let done = exec()
        .args(["--with", "polars", "-c", "pass"])
        .run()
        .code(125);
    for part in ["polars", "compiled code", "pandas"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
}

#[test]
fn a_package_of_the_pack_is_available_in_its_version_only() {
    let done = exec()
        .args(["--with", "numpy", "--offline"])
        .code("import numpy; print('there')")
        .run()
        .success();
    assert_eq!(done.stdout, "there\n");
    let done = exec()
        .args(["--with", "numpy==1.26", "-c", "pass"])
        .run()
        .code(125);
    assert!(
        done.stderr.contains("built into the pack"),
        "{}",
        done.stderr
    );
}

#[test]
fn an_invalid_requirement_is_a_usage_error() {
    for odd in ["a @ file:///x", "../x", "a b", "--pre", "x; y", ""] {
        exec()
            .arg(format!("--with={odd}"))
            .code("pass")
            .run()
            .code(2);
    }
}

#[test]
fn importing_pip_or_ensurepip_gives_advice() {
    for name in ["pip", "ensurepip"] {
        let done = exec().code(&format!("import {name}")).run().code(1);
        let last = done.stderr.lines().last().unwrap_or_default();
        assert!(
            last.contains("cannot be installed") && last.contains("the sandbox's packages"),
            "{last}"
        );
    }
}

#[tokio::test]
async fn the_library_adds_packages_and_lists_them() {
    exec().args(TWO).code("pass").run().success();
    let package: Requirement = "python-slugify==8.0.4".parse().unwrap();
    let sandbox = Sandbox::builder().package(package).build().await.unwrap();
    let names: Vec<_> = sandbox.packages().iter().map(|p| &*p.name).collect();
    assert_eq!(names, ["python-slugify", "text-unidecode"]);
    let mut session = sandbox.session().unwrap();
    session.run("import slugify").await.unwrap();
    let execution = session.run("slugify.slugify('a b')").await.unwrap();
    assert_eq!(execution.result.as_deref(), Some("'a-b'"));
}
