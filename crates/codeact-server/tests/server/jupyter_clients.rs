//! Real clients of Jupyter: Open WebUI's requests, AutoGen, jupyter-kernel-client, smolagents' requests.

use std::path::Path;
use std::process::Command;

use crate::clients;
use crate::support::{Served, config};

/// Runs a script of `clients/`, which prints `done` at its end.
fn run(script: &str, packages: &[&str], args: &[&str]) {
    let Some(python) = clients::python(packages) else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/server/clients")
        .join(script);
    let output = Command::new(python)
        .arg(script)
        .args(args)
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stdout.ends_with("done\n"),
        "{stdout}\n{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn open_webui_runs_code_by_token_and_by_password() {
    let served = Served::start(config()).await;
    let packages = ["aiohttp==3.14.5", "websockets==17.4"];
    tokio::task::block_in_place(|| run("openwebui.py", &packages, &[&served.url, &served.token]));
}

#[tokio::test(flavor = "multi_thread")]
async fn autogen_runs_code_blocks_and_saves_figures() {
    let served = Served::start(config()).await;
    let (host, port) = ("127.0.0.1", served.address.port().to_string());
    let packages = ["autogen-ext[docker-jupyter-executor]==0.7.5"];
    tokio::task::block_in_place(|| run("autogen.py", &packages, &[host, &port, &served.token]));
}

#[tokio::test(flavor = "multi_thread")]
async fn jupyter_kernel_client_and_smolagents_run_code() {
    let served = Served::start(config()).await;
    let packages = [
        "jupyter-kernel-client==1.0.2",
        "jupyter_server==2.21.1",
        "requests==2.34.2",
        "websocket-client==1.9.2",
    ];
    tokio::task::block_in_place(|| run("jupyter.py", &packages, &[&served.url, &served.token]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reward_function_of_verl_classifies_results() {
    let served = Served::start(config()).await;
    tokio::task::block_in_place(|| {
        run(
            "verl.py",
            &["requests==2.34.2"],
            &[&served.url, &served.token],
        )
    });
}
