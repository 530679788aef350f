//! Python with packages from PyPI, for clients and validators that exist.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns a Python interpreter that has `packages`, pinned requirements; `None`, with a notice, if the machine has no
/// Python. They are installed once, into a virtual environment in the target folder. Blocks.
pub fn python(packages: &[&str]) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let lock = File::create(target.join("clients.lock")).unwrap();
    // Other test processes install into the same environment.
    lock.lock().unwrap();
    let folder = target.join("clients");
    let python = folder.join("bin/python");
    if !python.exists() {
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&folder)
            .stdout(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("python3 with venv is not installed: clients from PyPI are not tested");
            return None;
        }
    }
    for package in packages {
        let marker = folder.join(format!("installed-{package}"));
        if marker.exists() {
            continue;
        }
        let installed = Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                package,
            ])
            .output()
            .unwrap();
        assert!(
            installed.status.success(),
            "cannot install {package}: {installed:?}"
        );
        fs::write(marker, "").unwrap();
    }
    Some(python)
}
