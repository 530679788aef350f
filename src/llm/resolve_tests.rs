use super::*;
use crate::llm::testserver::{Answer, TestServer};

const KEY: &str = "sk-very-secret-0123456789";

fn options(model: &str, base_url: &str) -> ModelOptions {
    ModelOptions {
        model: Some(model.to_owned()),
        base_url: Some(base_url.to_owned()),
        ..ModelOptions::default()
    }
}

fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    move |name| {
        let (_, value) = pairs.iter().find(|(key, _)| *key == name)?;
        Some((*value).to_owned())
    }
}

/// `model|address|because|key or not` of the chosen server.
fn chosen(options: &ModelOptions, pairs: &[(&str, &str)]) -> String {
    match plan(options, &env(pairs)) {
        Ok(Plan::Server(server)) => shown(&server),
        other => panic!("{other:?}"),
    }
}

fn shown(server: &Server) -> String {
    let key = if server.key.is_some() { "key" } else { "-" };
    let model = server.model.as_deref().unwrap_or("?");
    format!("{model}|{}|{}|{key}", server.address, server.because)
}

#[test]
fn a_base_url_takes_any_name_whole() {
    let url = "http://127.0.0.1:9/v1";
    let chosen = |model, pairs: &[(&str, &str)]| chosen(&options(model, url), pairs);
    assert_eq!(
        chosen("ollama/x", &[]),
        "ollama/x|http://127.0.0.1:9/v1|--base-url|-"
    );
    assert_eq!(chosen("", &[]), "?|http://127.0.0.1:9/v1|--base-url|-");
    assert_eq!(
        chosen("", &[("OPENAI_API_KEY", KEY), ("CODEACT_MODEL", "m")]),
        "m|http://127.0.0.1:9/v1|--base-url|key"
    );
}

#[test]
fn a_key_goes_only_to_the_service_that_it_belongs_to() {
    let at = options("m", "https://api.groq.com/openai/v1");
    let address = "m|https://api.groq.com/openai/v1|--base-url";
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
fn a_name_with_openai_in_front_is_whole_to_a_router() {
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
    let given = ModelOptions {
        api_key: Some(Secret::new(KEY)),
        ..ModelOptions::default()
    };
    assert_eq!(
        chosen(&given, &[("HF_TOKEN", KEY)]),
        "gpt-5-mini|https://api.openai.com/v1|the given key|key"
    );
}

#[test]
fn a_bare_name_is_looked_for_locally_before_another_services_key_is_used() {
    let Ok(Plan::Search(search)) = plan(&options("qwen", ""), &env(&[("HF_TOKEN", KEY)])) else {
        panic!("not a search");
    };
    assert_eq!(
        shown(&search.otherwise.unwrap()),
        "qwen|https://router.huggingface.co/v1|HF_TOKEN|key"
    );
    assert_eq!(search.local.len(), 4);
    assert!(search.local.iter().all(|s| s.key.is_none()));
}

#[test]
fn an_address_that_is_none_names_what_gave_it() {
    let error = plan(&options("m", "localhost:80"), &env(&[])).unwrap_err();
    assert!(error.to_string().contains("--base-url"), "{error}");
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
async fn a_server_without_a_named_model_is_asked_which_it_has() {
    let server = TestServer::start([Answer::new(200, &[], LIST)]).await;
    let resolved = resolve(options("", &server.url), &env(&[])).await.unwrap();
    assert_eq!(resolved.model.name(), "one");
    assert_eq!(
        resolved.summary,
        format!("one at {} (--base-url)", server.url)
    );
    assert!(server.seen()[0].head.starts_with("get /v1/models http/1.1"));

    let server = TestServer::start([Answer::new(200, &[], "<html>")]).await;
    let error = resolve(options("", &server.url), &env(&[]))
        .await
        .unwrap_err();
    assert!(matches!(error, ModelError::NoModelListed { .. }), "{error}");
}

fn local(server: &TestServer, model: Option<&str>) -> Server {
    Server {
        address: BaseUrl::parse(&server.url, "test").unwrap(),
        key: None,
        dialect: Dialect::default(),
        model: model.map(str::to_owned),
        because: "test".into(),
    }
}

fn search(local: Vec<Server>, otherwise: Option<Server>) -> Search {
    Search {
        local,
        otherwise,
        looked_for: vec!["OPENAI_API_KEY".into()],
        limit: Duration::from_secs(20),
    }
}

#[tokio::test]
async fn the_first_local_model_server_that_answers_is_used() {
    let jenkins = TestServer::start([Answer::new(404, &[], "")]).await;
    let ollama = TestServer::start([Answer::new(200, &[], LIST)]).await;
    let found = search(vec![local(&jenkins, None), local(&ollama, None)], None)
        .ready(ModelOptions::default())
        .await
        .unwrap();
    assert_eq!(
        found.summary,
        format!("one at {} (test answers there)", ollama.url)
    );
}

#[tokio::test]
async fn a_named_model_goes_where_it_is_listed() {
    for (name, is_local) in [("two", true), ("three", false)] {
        let ollama = TestServer::start([Answer::new(200, &[], LIST)]).await;
        let hosted = TestServer::start([]).await;
        let name = Some(name);
        let found = search(vec![local(&ollama, name)], Some(local(&hosted, name)))
            .ready(ModelOptions::default())
            .await
            .unwrap();
        let expected = if is_local { &ollama.url } else { &hosted.url };
        assert!(found.summary.contains(expected), "{}", found.summary);
    }
}

#[tokio::test]
async fn nothing_found_says_where_it_looked() {
    let silent = TestServer::start([]).await;
    let empty = TestServer::start([Answer::new(200, &[], r#"{"data":[]}"#)]).await;
    let error = search(vec![local(&silent, None), local(&empty, None)], None)
        .ready(ModelOptions::default())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("OPENAI_API_KEY") && text.contains(&silent.url),
        "{text}"
    );
}

#[test]
fn what_is_resolved_shows_no_key() {
    let options = ModelOptions {
        api_key: Some(Secret::new(KEY)),
        ..options("m", "http://127.0.0.1:9")
    };
    let plan = plan(&options, &env(&[]));
    assert!(!format!("{options:?} {plan:?}").contains(KEY));
}
