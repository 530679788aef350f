//! Tests of the rules that choose a model.

use super::*;
use crate::testserver::{Answer, TestServer};

const KEY: &str = "sk-very-secret-0123456789";

fn options(model: &str, base_url: &str) -> ModelOptions {
    ModelOptions::new().model(model).base_url(base_url)
}

fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| {
        let (_, value) = pairs.iter().find(|(key, _)| *key == name)?;
        Some((*value).to_owned())
    }
}

/// Returns the chosen server as `model|address|source|key or -`.
fn chosen(options: &ModelOptions, pairs: &[(&str, &str)]) -> String {
    match plan(options, &env(pairs)) {
        Ok(Plan::Server(server)) => summary_of(&server),
        other => panic!("{other:?}"),
    }
}

fn summary_of(server: &ServerChoice) -> String {
    let key = if server.key.is_some() { "key" } else { "-" };
    let model = server.model.as_deref().unwrap_or("?");
    format!("{model}|{}|{}|{key}", server.address, server.source)
}

#[test]
fn a_base_url_receives_the_complete_name() {
    let url = "http://127.0.0.1:9/v1";
    let chosen = |model, pairs: &[(&str, &str)]| chosen(&options(model, url), pairs);
    assert_eq!(
        chosen("ollama/x", &[]),
        "ollama/x|http://127.0.0.1:9/v1|the base URL|-"
    );
    assert_eq!(chosen("", &[]), "?|http://127.0.0.1:9/v1|the base URL|-");
    assert_eq!(
        chosen("", &[("OPENAI_API_KEY", KEY), ("CODEACT_MODEL", "m")]),
        "m|http://127.0.0.1:9/v1|the base URL|key"
    );
}

#[test]
fn a_key_goes_only_to_the_service_that_it_belongs_to() {
    let at = options("m", "https://api.groq.com/openai/v1");
    let address = "m|https://api.groq.com/openai/v1|the base URL";
    assert_eq!(
        chosen(&at, &[("OPENAI_API_KEY", KEY)]),
        format!("{address}|-")
    );
    assert_eq!(
        chosen(&at, &[("GROQ_API_KEY", KEY)]),
        format!("{address}|key")
    );
}

#[test]
fn a_preset_is_the_first_segment_of_a_name() {
    let pairs = [("OPENROUTER_API_KEY", KEY), ("OLLAMA_HOST", "0.0.0.0:99")];
    for (model, expected) in [
        (
            "openrouter/a/b",
            "a/b|https://openrouter.ai/api/v1|OPENROUTER_API_KEY|key",
        ),
        ("ollama/x:7b", "x:7b|http://127.0.0.1:99/v1|ollama|-"),
        ("vllm", "?|http://127.0.0.1:8000/v1|vllm|-"),
        (
            "openrouter/",
            "openrouter/auto|https://openrouter.ai/api/v1|OPENROUTER_API_KEY|key",
        ),
    ] {
        assert_eq!(chosen(&options(model, ""), &pairs), expected);
        let mut with_env = pairs.to_vec();
        with_env.push(("CODEACT_MODEL", model));
        assert_eq!(chosen(&ModelOptions::default(), &with_env), expected);
    }
    let error = plan(&options("groq/x", ""), &env(&pairs)).unwrap_err();
    assert!(error.to_string().contains("GROQ_API_KEY"), "{error}");
}

#[test]
fn a_router_receives_the_complete_openai_name() {
    let router = ("OPENAI_BASE_URL", "https://router.example/v1");
    let key = ("OPENAI_API_KEY", KEY);
    let ask = options("openai/gpt-x", "");
    assert_eq!(
        chosen(&ask, &[router, key]),
        "openai/gpt-x|https://router.example/v1|OPENAI_BASE_URL|key"
    );
    assert_eq!(
        chosen(&ask, &[key]),
        "gpt-x|https://api.openai.com/v1|OPENAI_API_KEY|key"
    );
    let direct = ("OPENAI_BASE_URL", "https://api.openai.com/v1");
    assert_eq!(
        chosen(&ask, &[key, direct]),
        "gpt-x|https://api.openai.com/v1|OPENAI_API_KEY|key"
    );
}

#[test]
fn a_key_alone_chooses_a_service_and_its_default_model() {
    let nothing = ModelOptions::default();
    for (pairs, expected) in [
        (
            &[("HF_TOKEN", KEY), ("OPENAI_API_KEY", KEY)][..],
            "gpt-5-mini|https://api.openai.com/v1|OPENAI_API_KEY|key",
        ),
        (
            &[("OPENAI_API_KEY", " "), ("GOOGLE_API_KEY", KEY)],
            "gemini-flash-latest|https://generativelanguage.googleapis.com/v1beta/openai|GOOGLE_API_KEY|key",
        ),
    ] {
        assert_eq!(chosen(&nothing, pairs), expected);
    }
    let given = ModelOptions::new().api_key(ApiKey::new(KEY));
    assert_eq!(
        chosen(&given, &[("HF_TOKEN", KEY)]),
        "gpt-5-mini|https://api.openai.com/v1|the given key|key"
    );
}

#[test]
fn local_servers_are_probed_before_another_services_key_is_used() {
    let Ok(Plan::Search(search)) = plan(&options("qwen", ""), &env(&[("HF_TOKEN", KEY)])) else {
        panic!("not a search");
    };
    assert_eq!(
        summary_of(&search.fallback.unwrap()),
        "qwen|https://router.huggingface.co/v1|HF_TOKEN|key"
    );
    assert_eq!(search.local.len(), 4);
    assert!(search.local.iter().all(|s| s.key.is_none()));
}

#[test]
fn the_error_for_an_invalid_address_names_its_setting() {
    let error = plan(&options("m", "localhost:80"), &env(&[])).unwrap_err();
    assert!(error.to_string().contains("the base URL"), "{error}");
    let options = options("m", "localhost:80").base_url_setting("--url");
    let error = plan(&options, &env(&[])).unwrap_err();
    assert!(
        error.to_string().starts_with("--url is not valid"),
        "{error}"
    );
    let pairs = [("OPENAI_BASE_URL", "nonsense")];
    let error = plan(&ModelOptions::default(), &env(&pairs)).unwrap_err();
    assert!(error.to_string().contains("OPENAI_BASE_URL"), "{error}");
}

#[tokio::test]
async fn a_recording_is_opened() {
    let options = options("recorded:/nonexistent/a.json", "http://127.0.0.1:9");
    let error = resolve(options, &env(&[])).await.unwrap_err();
    assert!(matches!(error, ModelError::RecordingUnreadable { .. }));
}

const LIST: &str =
    r#"{"object":"list","data":[{"id":"embed-1"},{"id":"one"},{"id":"two:latest"}]}"#;

#[tokio::test]
async fn without_a_name_the_servers_first_model_is_used() {
    let server = TestServer::start([Answer::new(200, &[], LIST)]).await;
    let resolved = resolve(options("", &server.url), &env(&[])).await.unwrap();
    assert_eq!(resolved.model.name(), "one");
    assert_eq!(
        resolved.summary,
        format!("one at {} (the base URL)", server.url)
    );
    assert!(server.seen()[0].head.starts_with("get /v1/models http/1.1"));

    let server = TestServer::start([Answer::new(200, &[], "<html>")]).await;
    let error = resolve(options("", &server.url), &env(&[]))
        .await
        .unwrap_err();
    assert!(matches!(error, ModelError::NoModelListed { .. }), "{error}");
}

fn local(server: &TestServer, model: Option<&str>) -> ServerChoice {
    ServerChoice {
        address: BaseUrl::parse(&server.url, "test").unwrap(),
        key: None,
        dialect: Dialect::default(),
        model: model.map(str::to_owned),
        source: "test".into(),
    }
}

fn search(local: Vec<ServerChoice>, fallback: Option<ServerChoice>) -> LocalSearch {
    LocalSearch {
        local,
        fallback,
        variables: vec!["OPENAI_API_KEY".into()],
        limit: Duration::from_secs(20),
    }
}

#[tokio::test]
async fn the_first_local_model_server_that_responds_is_used() {
    let jenkins = TestServer::start([Answer::new(404, &[], "")]).await;
    let ollama = TestServer::start([Answer::new(200, &[], LIST)]).await;
    let found = search(vec![local(&jenkins, None), local(&ollama, None)], None)
        .connect(ModelOptions::default())
        .await
        .unwrap();
    assert_eq!(
        found.summary,
        format!("one at {} (test responds there)", ollama.url)
    );
}

#[tokio::test]
async fn a_named_model_is_used_where_it_is_listed() {
    for (name, is_local) in [("two", true), ("three", false)] {
        let ollama = TestServer::start([Answer::new(200, &[], LIST)]).await;
        let hosted = TestServer::start([]).await;
        let name = Some(name);
        let found = search(vec![local(&ollama, name)], Some(local(&hosted, name)))
            .connect(ModelOptions::default())
            .await
            .unwrap();
        let expected = if is_local { &ollama.url } else { &hosted.url };
        assert!(found.summary.contains(expected), "{}", found.summary);
    }
}

#[tokio::test]
async fn the_error_without_a_model_lists_settings_and_addresses() {
    let silent = TestServer::start([]).await;
    let empty = TestServer::start([Answer::new(200, &[], r#"{"data":[]}"#)]).await;
    let error = search(vec![local(&silent, None), local(&empty, None)], None)
        .connect(ModelOptions::default())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("OPENAI_API_KEY") && text.contains(&silent.url),
        "{text}"
    );
}

#[test]
fn a_plan_prints_no_key() {
    let options = options("m", "http://127.0.0.1:9").api_key(ApiKey::new(KEY));
    let plan = plan(&options, &env(&[]));
    assert!(!format!("{options:?} {plan:?}").contains(KEY));
}
