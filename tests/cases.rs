//! Runs each file `tests/cases/NAME.py` in the sandbox and in a native CPython, and compares the outputs.
//!
//! `NAME.out` has the expected stdout and exit code, made by a native CPython 3.13:
//! `CODEACT_BLESS=1 cargo test --test cases` writes them. Each file is a test: `cargo test --test cases sqlite` runs some.

#![allow(clippy::unwrap_used, reason = "a panic is how a test helper fails")]

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use support::{cases_dir, exec, native_python};

#[allow(dead_code, reason = "the integration tests use all of it")]
#[path = "integration/support.rs"]
mod support;

datatest_stable::harness! {
    { test = same_output_as_native_cpython, root = "tests/cases", pattern = r"\.py$" },
}

fn same_output_as_native_cpython(case: &Path) -> datatest_stable::Result<()> {
    static NATIVE: LazyLock<Option<std::path::PathBuf>> = LazyLock::new(native_python);
    let bless = std::env::var_os("CODEACT_BLESS").is_some();
    if bless && NATIVE.is_none() {
        return Err("CODEACT_BLESS needs a native CPython 3.12 or later".into());
    }
    let case = cases_dir().join(case.file_name().ok_or("the case has no file name")?);
    Ok(check(&case, NATIVE.as_deref(), bless)?)
}

fn check(case: &Path, native: Option<&Path>, bless: bool) -> Result<(), String> {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let out = case.with_extension("out");
    if let Some(python) = native {
        let output = run_native(python, case);
        if bless {
            std::fs::write(&out, &output).unwrap();
        } else {
            compare(&name, "native CPython", &expected(&out)?, &output)?;
        }
    }
    let expected = expected(&out)?;
    let done = exec().cwd(&cases_dir()).arg(&name).run();
    let output = with_exit(&done.stdout, done.exit);
    compare(&name, "the sandbox", &expected, &output)
        .map_err(|why| format!("{why}\n  stderr: {}", done.stderr.trim_end()))
}

fn expected(out: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(out)
        .map_err(|e| format!("{}: {e}; make it with CODEACT_BLESS=1", out.display()))?;
    // A checkout on Windows may have changed the line ends.
    Ok(text.replace("\r\n", "\n"))
}

/// Runs the case in a temporary folder, because some cases write files.
fn run_native(python: &Path, case: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let name = case.file_name().unwrap();
    std::fs::copy(case, folder.path().join(name)).unwrap();
    let output = Command::new(python)
        .arg("-B")
        .arg(name)
        .current_dir(folder.path())
        .env("PYTHONUTF8", "1")
        .env_remove("PYTHONPATH")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    with_exit(&stdout.replace("\r\n", "\n"), output.status.code())
}

fn with_exit(stdout: &str, exit: Option<i32>) -> String {
    let end = if stdout.is_empty() || stdout.ends_with('\n') {
        ""
    } else {
        "\n(no newline at the end)\n"
    };
    let exit = exit.map_or("none".to_owned(), |code| code.to_string());
    format!("{stdout}{end}exit: {exit}\n")
}

fn compare(name: &str, runner: &str, expected: &str, output: &str) -> Result<(), String> {
    if expected == output {
        return Ok(());
    }
    let (mut want, mut got) = (expected.lines(), output.lines());
    let mut line = 0;
    let mut excerpt = Vec::new();
    loop {
        line += 1;
        let pair = (want.next(), got.next());
        if pair == (None, None) || excerpt.len() >= 12 {
            break;
        }
        if pair.0 != pair.1 {
            let show = |sign, text: Option<&str>| {
                text.map(|text| {
                    let text: String = text.chars().take(300).collect();
                    format!("  {sign} {line}: {text}")
                })
            };
            excerpt.extend(show('-', pair.0));
            excerpt.extend(show('+', pair.1));
        }
    }
    Err(format!(
        "{name}: {runner} differs from the expected output\n{}",
        excerpt.join("\n")
    ))
}
