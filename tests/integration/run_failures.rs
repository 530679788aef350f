//! Models that are unavailable, and retries.

use crate::model_server::{Exchange, KEY, MODEL, ModelServer, run, solve};
use crate::support::{Codeact, codeact, ready};

const ANSWER: &str = "```python\nfinal_answer(42)\n```";

#[test]
fn a_transient_failure_is_reported_and_retried() {
    for (first, reason) in [
        (
            Exchange::refuse(429, "retry-after: 0\r\n", "slow down"),
            "429",
        ),
        (Exchange::refuse(500, "", "oops"), "500"),
        (
            Exchange::refuse(503, "retry-after-ms: 0\r\n", "busy"),
            "503",
        ),
        (
            Exchange::break_off("```python\nfinal_answer(0)\n"),
            "was interrupted",
        ),
    ] {
        // The second attempt has nothing of the first in its history.
        let script = [first.roles("su"), Exchange::say(ANSWER).roles("su")];
        solve("t", &["-v"], script)
            .success()
            .stdout("42\n")
            .stderr_contains("attempt 1 failed: ")
            .stderr_contains(reason);
    }
}

#[test]
fn a_retry_in_a_later_step_keeps_the_history() {
    let script = [
        Exchange::say("```python\nx = 42\n```"),
        Exchange::refuse(500, "retry-after: 0\r\n", "oops").roles("suau"),
        Exchange::say("```python\nfinal_answer(x)\n```").roles("suau"),
    ];
    solve("t", &[], script).success().stdout("42\n");
}

#[test]
fn a_rejected_key_ends_the_run_and_is_not_shown() {
    for (status, args) in [(401, ["-v"]), (403, ["--json"]), (401, ["-q"])] {
        let message = format!("Incorrect API key provided: {KEY}.");
        solve("t", &args, [Exchange::refuse(status, "", &message)])
            .code(125)
            .stderr_contains("rejected the API key")
            .stderr_contains(&status.to_string())
            .stderr_contains("Incorrect API key provided: ***");
    }
}

#[test]
fn a_server_that_always_fails_ends_the_run_with_its_message() {
    let fail = || Exchange::refuse(503, "retry-after: 0\r\n", "down for repairs");
    solve("t", &[], (0..5).map(|_| fail()))
        .code(125)
        .stdout("")
        .stderr_contains("still fails after 5 attempts (503")
        .stderr_contains("down for repairs");
}

#[test]
fn a_retry_after_that_is_too_long_ends_the_run() {
    let script = [Exchange::refuse(429, "retry-after: 3600\r\n", "quota")];
    solve("t", &[], script)
        .code(125)
        .stderr_contains("requests a delay of 3600 s")
        .stderr_contains("use another model");
}

#[test]
fn without_a_model_name_the_servers_list_is_used() {
    ready();
    let script = [
        Exchange::list(200, &["nomic-embed-text", MODEL, "other"]),
        Exchange::say(ANSWER),
    ];
    let server = ModelServer::start(script);
    let done = codeact(["run", "t", "--base-url"])
        .arg(server.url())
        .host_env("OPENAI_API_KEY", KEY)
        .run();
    server.done();
    done.success().stdout("42\n").stderr_contains(MODEL);
}

#[test]
fn a_model_on_this_machine_needs_no_proxy() {
    let server = ModelServer::start([Exchange::say(ANSWER)]);
    let mut run = run(&server, "t");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        run = run.host_env(name, "http://127.0.0.1:1");
    }
    let done = run.run();
    server.done();
    done.success().stdout("42\n");
}

/// Variables that would choose a model; an empty one counts as not set.
const CHOOSING: [&str; 20] = [
    "CODEACT_MODEL",
    "OPENAI_BASE_URL",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "GROQ_API_KEY",
    "TOGETHER_API_KEY",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "OLLAMA_HOST",
    "LLAMACPP_BASE_URL",
    "VLLM_BASE_URL",
    "LMSTUDIO_BASE_URL",
    "OLLAMA_API_KEY",
    "VLLM_API_KEY",
    "LLAMA_API_KEY",
];

/// The variables with the addresses of local servers.
const LOCAL: [&str; 4] = [
    "OLLAMA_HOST",
    "LLAMACPP_BASE_URL",
    "VLLM_BASE_URL",
    "LMSTUDIO_BASE_URL",
];

/// Returns `codeact run` without a configured model. All local servers are at `server`, each with its own path,
/// so that no real server of this machine receives a request.
fn without_a_model(server: &ModelServer) -> Codeact {
    let unset = |run: Codeact, name: &&str| run.host_env(name, "");
    let run = CHOOSING.iter().fold(codeact(["run", "t"]), unset);
    LOCAL.iter().fold(run, |run, name| {
        run.host_env(name, format!("{}/{name}/v1", server.origin))
    })
}

#[test]
fn without_a_model_the_message_names_the_variables_and_servers() {
    let server = ModelServer::start((0..4).map(|_| Exchange::list(404, &[])));
    let mut done = without_a_model(&server).run().code(125).stdout("");
    let origin = server.origin.clone();
    server.done();
    done = done.stderr_contains("codeact: no model is configured");
    for name in CHOOSING
        .iter()
        .filter(|n| !n.ends_with("A_API_KEY") && **n != "VLLM_API_KEY")
    {
        done = done.stderr_contains(name);
    }
    for name in LOCAL {
        done = done.stderr_contains(&format!("{origin}/{name}/v1"));
    }
    done.stderr_contains("--base-url")
        .stderr_contains("`codeact demo`")
        .stderr_contains("`codeact exec`");
}

#[test]
fn a_local_server_without_models_is_reported() {
    let server = ModelServer::start((0..4).map(|_| Exchange::list(200, &[])));
    let done = without_a_model(&server).run();
    server.done();
    done.code(125)
        .stderr_contains("/OLLAMA_HOST/v1 (which runs, but has no model)");
}

#[test]
fn a_service_without_its_key_names_the_variable() {
    codeact(["run", "t", "--model", "groq/some-model"])
        .run()
        .code(125)
        .stderr_contains("groq needs an API key")
        .stderr_contains("GROQ_API_KEY");
}

#[test]
fn an_invalid_base_url_is_reported_without_its_password() {
    codeact([
        "run",
        "t",
        "--model",
        "m",
        "--base-url",
        "ftp://u:hunter2@h",
    ])
    .run()
    .code(125)
    .stderr_contains("--base-url is not valid")
    .stderr_lacks("hunter2");
}
