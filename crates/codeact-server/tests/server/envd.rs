//! envd: E2B's SDKs against files and commands of a sandbox.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients;
use crate::envd_support::small_config;
use crate::support::{Served, TOKEN, config};

const SDK: &str = "e2b==2.63.0";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/server/clients")
        .join(name)
}

/// Runs a script with the SDK for Python against `served`.
async fn run_script(served: &Served, name: &'static str) {
    let python = tokio::task::spawn_blocking(|| clients::python(&[SDK]))
        .await
        .unwrap();
    if let Some(python) = python {
        let mut command = Command::new(python);
        command.arg(script(name));
        run(served, command).await;
    }
}

/// Runs a script, with the settings of an E2B user. It prints `done` at its end.
async fn run(served: &Served, mut command: Command) {
    command
        .env("E2B_API_URL", &served.url)
        .env("E2B_SANDBOX_URL", &served.url)
        .env("E2B_API_KEY", TOKEN)
        .env_remove("E2B_DEBUG");
    for name in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    let shown = format!("{command:?}");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && output.stdout.ends_with(b"done\n"),
        "{shown}: {text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_uses_the_files_of_a_sandbox() {
    let served = Served::start(small_config()).await;
    run_script(&served, "envd_files.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_runs_commands_in_a_sandbox() {
    let served = Served::start(small_config()).await;
    run_script(&served, "envd_commands.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_sdk_uses_files_and_commands() {
    let served = Served::start(small_config()).await;
    let Some(modules) = tokio::task::spawn_blocking(crate::e2b::node_modules)
        .await
        .unwrap()
    else {
        return;
    };
    // Node looks for packages next to the script.
    let folder = tempfile::tempdir_in(modules.parent().unwrap()).unwrap();
    let to = folder.path().join("envd.mjs");
    std::fs::copy(script("envd.mjs"), &to).unwrap();
    let mut command = Command::new("node");
    command.arg(to);
    run(&served, command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pip_adds_packages_if_the_tenant_may() {
    let mut config = config();
    for tenant in &mut config.tenants {
        tenant.may_install = true;
    }
    let served = Served::start(config).await;
    run_script(&served, "envd_install.py").await;
}
