//! Every `tests/cases/NAME.py` says the same in the sandbox and in a native CPython.
//!
//! `NAME.out` holds the expected stdout and exit code, made by a native CPython 3.13:
//! `CODEACT_BLESS=1 cargo test --test integration cases` writes them anew.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{cases_dir, exec};

const THREADS: usize = 2;

#[test]
fn every_case_says_what_a_native_cpython_says() {
    let cases = cases();
    assert!(cases.len() > 20, "cases are missing from {:?}", cases_dir());
    let native = native_python();
    let bless = std::env::var_os("CODEACT_BLESS").is_some();
    assert!(
        !bless || native.is_some(),
        "CODEACT_BLESS needs a native CPython 3.12 or later"
    );
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = check(case, native.as_deref(), bless) {
                        failures.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(
        failures.is_empty(),
        "{} of {} cases differ:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

#[test]
fn every_expected_output_has_its_case() {
    for entry in std::fs::read_dir(cases_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "out") {
            assert!(
                path.with_extension("py").exists(),
                "{path:?} has no case: remove it"
            );
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<_> = std::fs::read_dir(cases_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "py"))
        .collect();
    cases.sort();
    cases
}

fn check(case: &Path, native: Option<&Path>, bless: bool) -> Result<(), String> {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let out = case.with_extension("out");
    if let Some(python) = native {
        let said = run_native(python, case);
        if bless {
            std::fs::write(&out, &said).unwrap();
        } else {
            compare(&name, "native CPython", &expected(&out)?, &said)?;
        }
    }
    let expected = expected(&out)?;
    let done = exec().cwd(&cases_dir()).arg(&name).run();
    let said = with_exit(&done.stdout, done.exit);
    compare(&name, "the sandbox", &expected, &said)
        .map_err(|why| format!("{why}\n  stderr: {}", done.stderr.trim_end()))
}

fn expected(out: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(out)
        .map_err(|e| format!("{}: {e}; make it with CODEACT_BLESS=1", out.display()))?;
    // A checkout on Windows may have turned the line ends.
    Ok(text.replace("\r\n", "\n"))
}

/// In a folder of its own: some cases write files beside themselves.
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

fn compare(name: &str, who: &str, expected: &str, said: &str) -> Result<(), String> {
    if expected == said {
        return Ok(());
    }
    let (mut want, mut got) = (expected.lines(), said.lines());
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
        "{name}: {who} differs from the expected output\n{}",
        excerpt.join("\n")
    ))
}

/// A CPython 3.12 or later; 3.13, from which the `.out` files are, before others.
pub(crate) fn native_python() -> Option<PathBuf> {
    let mut names: Vec<PathBuf> = ["3.13", "3.14", "3.15", "3.12", "3"]
        .map(|version| format!("python{version}").into())
        .to_vec();
    let pyenv = std::env::home_dir()?.join(".pyenv/versions");
    let mut kept: Vec<_> = std::fs::read_dir(pyenv)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/python3")))
        .collect();
    kept.sort();
    names.extend(kept);
    let mut found: Vec<_> = names.iter().filter_map(|name| ask(name)).collect();
    found.sort_by_key(|(version, _)| version.abs_diff(13));
    found.into_iter().next().map(|(_, path)| path)
}

/// The minor version and the real path of `python`, by its own word: a shim may lead nowhere.
fn ask(python: &Path) -> Option<(u32, PathBuf)> {
    let script = "import sys
if sys.implementation.name == 'cpython' and sys.version_info >= (3, 12):
    print(sys.version_info.minor, sys.executable)";
    let output = Command::new(python).args(["-c", script]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (minor, path) = text.trim().split_once(' ')?;
    Some((minor.parse().ok()?, path.into()))
}
