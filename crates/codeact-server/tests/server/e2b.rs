//! E2B's SDKs against the server, as users run them: three environment variables are the whole change.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::clients::python;
use crate::support::{Served, config};

/// The SDKs from PyPI.
const PACKAGES: [&str; 2] = ["e2b==2.63.0", "e2b-code-interpreter==2.11.5"];
/// The SDK from npm.
const NPM: &str = "@e2b/code-interpreter@2.8.0";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/server/clients")
        .join(name)
}

/// Runs `command` with the settings of an E2B user.
async fn run(server: &Served, mut command: Command) -> Output {
    for name in [
        "E2B_DEBUG",
        "E2B_DOMAIN",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command
        .env("E2B_API_URL", &server.url)
        .env("E2B_SANDBOX_URL", &server.url)
        .env("E2B_API_KEY", &server.token)
        .stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

async fn run_python(server: &Served, packages: &[&'static str], name: &str, args: &[&str]) {
    let packages = packages.to_vec();
    let Some(python) = tokio::task::spawn_blocking(move || python(&packages))
        .await
        .unwrap()
    else {
        return;
    };
    let mut command = Command::new(python);
    command.arg(script(name)).args(args);
    let output = run(server, command).await;
    assert!(
        output.status.success(),
        "{name}: {}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Starts a server whose tenant may add packages.
pub async fn server() -> Served {
    let mut config = config();
    if let Some(tenant) = config.tenants.first_mut() {
        tenant.may_install = true;
    }
    Served::start(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_interpreter_of_the_python_sdk() {
    run_python(&server().await, &PACKAGES, "e2b_interpreter.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_of_the_python_sdk() {
    run_python(&server().await, &PACKAGES, "e2b_control.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_async_client_of_the_python_sdk() {
    run_python(&server().await, &PACKAGES, "e2b_async.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn smolagents_with_e2b_as_its_executor() {
    let packages = [PACKAGES[0], PACKAGES[1], "smolagents==1.26.0"];
    run_python(&server().await, &packages, "e2b_smolagents.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_sdk() {
    let Some(modules) = tokio::task::spawn_blocking(node_modules).await.unwrap() else {
        return;
    };
    // A module is looked for next to the script.
    let folder = tempfile::tempdir_in(modules.parent().unwrap()).unwrap();
    let copy = folder.path().join("e2b_interpreter.mjs");
    std::fs::copy(script("e2b_interpreter.mjs"), &copy).unwrap();
    let mut command = Command::new("node");
    command.arg(copy);
    let output = run(&server().await, command).await;
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_in_debug_mode() {
    // The ports are the SDK's choice.
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    if ![49983, 49999, 3000].into_iter().all(is_free) {
        eprintln!("a port of E2B's debug mode is in use: debug mode is not tested");
        return;
    }
    let mut config = config();
    config.e2b_debug = true;
    let _server = Served::start(config).await;
    let python = tokio::task::spawn_blocking(|| python(&PACKAGES))
        .await
        .unwrap();
    let Some(python) = python else {
        return;
    };
    let mut command = Command::new(python);
    command.arg(script("e2b_debug.py")).env("E2B_DEBUG", "true");
    for name in [
        "E2B_API_URL",
        "E2B_SANDBOX_URL",
        "E2B_API_KEY",
        "E2B_DOMAIN",
    ] {
        command.env_remove(name);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Returns the folder of the SDK from npm, which is installed once; `None`, with a notice, if npm is not installed.
pub fn node_modules() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = target.join(format!("npm-{}", NPM.replace(['@', '/'], "_")));
    if !folder.exists() {
        let new = tempfile::tempdir_in(target).unwrap();
        let installed = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .args(["--prefix".as_ref(), new.path().as_os_str()])
            .arg(NPM)
            .output();
        let Ok(installed) = installed else {
            eprintln!("npm is not installed: E2B's SDK for JavaScript is not tested");
            return None;
        };
        assert!(
            installed.status.success(),
            "npm cannot install {NPM}: {installed:?}"
        );
        if let Err(error) = std::fs::rename(new.keep(), &folder) {
            assert!(folder.exists(), "{error}");
        }
    }
    Some(folder.join("node_modules"))
}
