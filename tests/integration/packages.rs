//! `--with`: packages in addition to those of the pack, fetched with the real client from the real index.

use codeact::Sandbox;
use codeact::pack::Requirement;

use crate::support::{codeact, exec};

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

#[test]
fn an_older_version_is_used_if_newer_ones_need_compiled_code() {
    let code = "import pydantic; print(pydantic.VERSION.split('.')[0])";
    let done = exec()
        .args(["--with", "pydantic"])
        .code(code)
        .run()
        .success();
    assert_eq!(done.stdout, "1\n");
    let done = exec()
        .args(["--with", "pydantic>=2", "-c", "pass"])
        .run()
        .code(125);
    for part in ["pydantic-core", "dependency of `pydantic`", "pydantic 1"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
}

#[test]
fn added_packages_have_bytecode() {
    let code = "
import importlib.util, os, rich.table, slugify
for module in rich.table, slugify:
    with open(module.__spec__.cached, 'rb') as file:
        # It belongs to its source without a check (PEP 552).
        assert int.from_bytes(file.read(8)[4:], 'little') == 1
print(importlib.util.MAGIC_NUMBER == open(slugify.__spec__.cached, 'rb').read(4))
";
    let done = exec().args(TWO).code(code).run().success();
    assert_eq!(done.stdout, "True\n");
}

#[test]
fn names_of_modules_are_those_of_their_packages() {
    let with = ["PIL", "yaml", "sklearn", "bs4", "dateutil"];
    let with = with.iter().flat_map(|name| ["--with", name]);
    let done = exec()
        .args(["--offline"])
        .args(with)
        .code("import PIL, yaml, sklearn, bs4, dateutil; print('there')")
        .run()
        .success();
    assert_eq!(done.stdout, "there\n");
    let done = exec().args(["--with", "cv2", "-c", "pass"]).run().code(125);
    assert!(done.stderr.contains("use pillow"), "{}", done.stderr);
}

#[test]
fn script_metadata_and_requirements_files_add_packages() {
    exec().args(TWO).code("pass").run().success();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.py");
    let text = "# /// script\n# requires-python = '>=3.11'\n# dependencies = ['rich==14.0.0', \
                'python-slugify==8.0.4', 'tomli; python_version < \"3.11\"']\n# ///\nimport rich, slugify\nprint('there')\n";
    std::fs::write(&script, text).unwrap();
    let path = script.display().to_string();
    codeact(["exec", &path, "--offline"])
        .run()
        .success()
        .stdout("there\n");
    // Code from elsewhere gets nothing unasked.
    codeact(["exec", "-", "--offline"])
        .stdin(text)
        .run()
        .code(1);
    std::fs::write(&script, text.replace(">=3.11", "<3.11")).unwrap();
    let done = codeact(["exec", &path, "--offline"]).run().code(125);
    assert!(
        done.stderr.contains("requires Python <3.11"),
        "{}",
        done.stderr
    );

    let file = folder.path().join("requirements.txt");
    std::fs::write(
        &file,
        "rich==14.0.0 # tables\npython-slugify==8.0.4\nnumpy\n",
    )
    .unwrap();
    let path = file.display().to_string();
    exec()
        .args(["--with-requirements", &path, "--offline"])
        .code("import rich, slugify; print('there')")
        .run()
        .success()
        .stdout("there\n");
    std::fs::write(&file, "rich==14.0.0\n-r other.txt\n").unwrap();
    let done = exec()
        .args(["--with-requirements", &path])
        .code("pass")
        .run()
        .code(2);
    assert!(done.stderr.contains("-r other.txt"), "{}", done.stderr);
}

#[test]
fn a_missing_module_names_the_flag_that_adds_it() {
    let hint = |code: &str| exec().code(code).run().code(1).stderr;
    assert!(hint("import jwt.algorithms").ends_with("codeact: --with pyjwt adds it\n"));
    assert!(hint("import requests").ends_with("codeact: --with requests adds it\n"));
    for none in [
        "import torch",
        "import pip",
        "import tkinter",
        "import json.nothing",
    ] {
        let text = hint(none);
        assert!(!text.contains("--with"), "{none}: {text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_children_of_a_package_client_end_with_the_command() {
    use std::os::unix::fs::PermissionsExt;

    crate::support::ready();
    let folder = tempfile::tempdir().unwrap();
    let (client, began) = (folder.path().join("uv"), folder.path().join("began"));
    // uv and the shims of version managers run pip as a child, too.
    let script = format!(
        "#!/bin/sh\nsleep 600 &\necho $! > '{0}.new'; mv '{0}.new' '{0}'\nwait\n",
        began.display()
    );
    std::fs::write(&client, script).unwrap();
    std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_codeact"))
        .args(["exec", "--with", "never-there-1", "-c", "pass"])
        .env("PATH", path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !began.exists() {
        std::thread::yield_now();
    }
    command.kill().unwrap();
    command.wait().unwrap();
    let id: i32 = std::fs::read_to_string(&began)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let stat = format!("/proc/{id}/stat");
    // A process that nobody has waited for yet is a zombie.
    let runs = || std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z"));
    while runs() {
        std::thread::yield_now();
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
