//! LibreChat's agents from npm, against the server.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Served, config};

/// Returns the folder of LibreChat's agents from npm, installed once; `None`, with a notice, if npm is not installed.
fn agents() -> Option<PathBuf> {
    const PACKAGE: &str = "@librechat/agents@3.9.2";
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let lock = std::fs::File::create(target.join("clients-npm.lock")).unwrap();
    lock.lock().unwrap();
    let folder = target.join("clients-librechat-3.9.2");
    if folder.exists() {
        return Some(folder);
    }
    let new = tempfile::tempdir_in(target).unwrap();
    let install = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
        .args(["--prefix".as_ref(), new.path().as_os_str()])
        .arg(PACKAGE)
        .output();
    let Ok(output) = install else {
        eprintln!("npm is not installed: LibreChat's agents are not tested");
        return None;
    };
    assert!(
        output.status.success(),
        "npm cannot install {PACKAGE}: {output:?}"
    );
    std::fs::rename(new.keep(), &folder).unwrap();
    Some(folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn librechats_agents_run_code_and_call_tools_from_it() {
    let served = Served::start(config()).await;
    let run = || {
        let Some(folder) = agents() else {
            return;
        };
        // Modules are found from the script's folder.
        let script = folder.join("librechat.mjs");
        std::fs::write(&script, include_str!("clients/librechat.mjs")).unwrap();
        let output = Command::new("node")
            .arg(&script)
            .args([&served.url, &served.token])
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && stdout.ends_with("done\n"),
            "{stdout}\n{stderr}"
        );
    };
    tokio::task::block_in_place(run);
}
