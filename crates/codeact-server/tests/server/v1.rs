//! The own API: code and sessions.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{api, api_with, refused};

#[tokio::test(flavor = "multi_thread")]
async fn code_runs_with_its_surroundings() {
    let api = api().await;
    let body = json!({
        "code": "import os, sys\nprint(sys.stdin.read(), sys.argv[1:], os.environ['A'])\nprint('e', file=sys.stderr)\n6 * 7",
        "stdin": "in",
        "argv": ["x.py", "3"],
        "env": {"A": "b"},
        "seed": 1,
    });
    let execution = api.done("/v1/execute", body).await;
    assert_eq!(execution["status"], "ok", "{execution}");
    assert_eq!(execution["stdout"], "in ['3'] b\n");
    assert_eq!(execution["stderr"], "e\n");
    assert_eq!(execution["result"], "42");
    assert!(execution["usage"]["fuel"].as_u64() > Some(0));
    assert!(execution.get("session").is_none() && execution.get("files").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_the_code_are_results() {
    let api = api().await;
    let raised = api.done("/v1/execute", json!({"code": "1 / 0"})).await;
    assert_eq!(raised["status"], "error");
    assert_eq!(raised["error"]["type"], "ZeroDivisionError");
    let code = "while True: pass";
    let limits = json!({"wall_ms": 300});
    let stopped = api
        .done("/v1/execute", json!({"code": code, "limits": limits}))
        .await;
    assert_eq!(stopped["status"], "timeout", "{stopped}");
    let exit = api
        .done("/v1/execute", json!({"code": "raise SystemExit(3)"}))
        .await;
    assert_eq!(
        (&exit["status"], &exit["exit_code"]),
        (&json!("exit"), &json!(3))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_in_and_come_out() {
    let api = api().await;
    let body = json!({
        "code": "import os\nos.makedirs('out')\ndata = open('in.txt').read() + open('/tmp/b', 'rb').read().hex()\n\
                 open('out/a.txt', 'w').write(data)\nopen('out/b.bin', 'wb').write(b'\\xff')\nopen('c', 'w')",
        "files": {"in.txt": {"text": "é"}, "/tmp/b": {"base64": "AP8="}},
        "return_files": ["out/*"],
    });
    let execution = api.done("/v1/execute", body.clone()).await;
    let files = json!([
        {"path": "out/a.txt", "bytes": 6, "text": "é00ff"},
        {"path": "out/b.bin", "bytes": 1, "base64": "/w=="},
    ]);
    assert_eq!(execution["files"], files, "{execution}");
    api.session("s").await;
    let execution = api.done("/v1/sessions/s/execute", body).await;
    assert_eq!(execution["files"], files, "{execution}");
    assert_eq!(execution["session"], "s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_its_state_and_can_be_undone() {
    let api = api().await;
    let body = json!({
        "id": "s", "env": {"A": "1"}, "seed": 7, "ttl_s": 3600, "metadata": {"user": "u"},
        "files": {"a.txt": {"text": "hello"}}, "limits": {"wall_ms": 9000},
    });
    let made = api.done("/v1/sessions", body).await;
    assert_eq!((&made["id"], &made["seed"]), (&json!("s"), &json!(7)));
    assert_eq!(made["metadata"], json!({"user": "u"}));
    assert_eq!(made["limits"]["wall_ms"], 9000);
    let life = made["expires_ms"].as_u64().unwrap() - made["created_ms"].as_u64().unwrap();
    assert!((3_590_000..3_610_000).contains(&life), "{made}");
    assert_eq!(api.run("s", "x = 1; open('a.txt').read()").await, "'hello'");
    assert_eq!(
        api.run("s", "import os; x += 1; x, os.environ['A']").await,
        "(2, '1')"
    );
    let variables = api.get("/v1/sessions/s/variables").await.1;
    assert_eq!(
        variables["variables"],
        json!([{"name": "x", "type": "int", "short": "2"}])
    );
    let undone = api.done("/v1/sessions/s/undo", json!({})).await;
    assert_eq!(api.run("s", "x").await, "1");
    // The files, one turn, and the turn after the undo.
    assert_eq!(undone["turn"], 2);
    let turns = api.get("/v1/sessions/s/turns?limit=2").await.1;
    assert_eq!(turns["turns"][0]["code"], "");
    assert_eq!(turns["turns"][1]["result"], "'hello'");
    assert_eq!(turns["next"], 2);
    let rest = api.get("/v1/sessions/s/turns?after=2").await.1;
    assert_eq!(rest["turns"].as_array().unwrap().len(), 1);
    assert!(rest.get("next").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_described_changed_paused_restarted_and_removed() {
    let api = api().await;
    api.session("s").await;
    refused(
        &api.post("/v1/sessions", json!({"id": "s"})).await,
        409,
        "exists",
    );
    refused(
        &api.post("/v1/sessions", json!({"id": "../s"})).await,
        400,
        "invalid_id",
    );
    api.run("s", "x = 1").await;
    assert_eq!(api.get("/v1/sessions/s").await.1["status"], "live");
    let paused = api.done("/v1/sessions/s/pause", json!({})).await;
    assert_eq!(
        (&paused["status"], &paused["memory_bytes"]),
        (&json!("idle"), &json!(0))
    );
    let patch = json!({"env": {"B": "2"}, "metadata": {"k": [1]}, "ttl_s": null});
    let (status, changed) = api.call(Method::PATCH, "/v1/sessions/s", Some(patch)).await;
    assert!(status.is_success(), "{changed}");
    assert_eq!(
        (&changed["env"], &changed["expires_ms"]),
        (&json!({"B": "2"}), &Value::Null)
    );
    assert_eq!(
        api.run("s", "import os; x, os.environ['B']").await,
        "(1, '2')"
    );
    api.run("s", "open('kept.txt', 'w').write('k')").await;
    api.done("/v1/sessions/s/restart", json!({})).await;
    assert_eq!(
        api.run("s", "'x' in globals(), open('kept.txt').read()")
            .await,
        "(False, 'k')"
    );
    assert_eq!(
        api.call(Method::DELETE, "/v1/sessions/s", None).await.0,
        204
    );
    refused(&api.get("/v1/sessions/s").await, 404, "missing_session");
    refused(
        &api.call(Method::DELETE, "/v1/sessions/s", None).await,
        404,
        "missing_session",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_in_pages() {
    let api = api().await;
    for i in 0..5 {
        api.session(&format!("s{i}")).await;
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/sessions?limit=2".to_owned());
    loop {
        let page = api.get(&path).await.1;
        let sessions = page["sessions"].as_array().unwrap();
        assert!(sessions.len() <= 2);
        seen.extend(
            sessions
                .iter()
                .map(|s| s["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/sessions?limit=2&after={next}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["s0", "s1", "s2", "s3", "s4"]);
    for limit in ["0", "1001", "x", "-1"] {
        let path = format!("/v1/sessions?limit={limit}");
        refused(&api.get(&path).await, 400, "bad_request");
    }
    refused(&api.get("/v1/sessions?after=x").await, 400, "bad_request");
    refused(&api.get("/v1/sessions?unknown=1").await, 400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn forks_do_not_see_each_other() {
    let api = api().await;
    api.session("s").await;
    api.run("s", "x = [1]").await;
    api.run("s", "x.append(2)").await;
    let forks = api
        .done(
            "/v1/sessions/s/fork",
            json!({"count": 3, "metadata": {"n": 1}}),
        )
        .await;
    let ids: Vec<&str> = (forks["sessions"].as_array().unwrap().iter())
        .map(|s| s["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(forks["sessions"][0]["metadata"], json!({"n": 1}));
    api.run(ids[0], "x.append(3)").await;
    assert_eq!(api.run(ids[1], "x").await, "[1, 2]");
    let body = json!({"turn": 1, "id": "early"});
    api.done("/v1/sessions/s/fork", body.clone()).await;
    assert_eq!(api.run("early", "x").await, "[1]");
    refused(&api.post("/v1/sessions/s/fork", body).await, 409, "exists");
    refused(
        &api.post("/v1/sessions/s/fork", json!({"turn": 99})).await,
        409,
        "no_turn",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_makes_an_equal_session() {
    let api = api().await;
    api.session("s").await;
    api.run("s", "import os; x = os.urandom(3_000_000); h = hash(x)")
        .await;
    let expected = api.run("s", "h").await;
    let response = api
        .request(Method::GET, "/v1/sessions/s/export")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "application/zip");
    let length = response.content_length();
    let archive = response.bytes().await.unwrap();
    assert_eq!(length, Some(archive.len() as u64));
    assert!(archive.len() > 3_000_000);
    let import = |body: Vec<u8>| {
        let request = api.request(Method::POST, "/v1/sessions/import?id=t&ttl_s=60");
        request.body(body).send()
    };
    let response = import(archive.to_vec()).await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], "/v1/sessions/t");
    assert_eq!(api.run("t", "h").await, expected);
    assert_eq!(import(archive.to_vec()).await.unwrap().status(), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_the_running_turn_and_undoes_it() {
    let api = api().await;
    api.session("s").await;
    api.run("s", "x = 1").await;
    let none = api.done("/v1/sessions/s/interrupt", json!({})).await;
    assert_eq!(none["interrupted"], false);
    let running = api.clone();
    let body = json!({"code": "x = 2\nwhile True: pass"});
    let turn = tokio::spawn(async move { running.done("/v1/sessions/s/execute", body).await });
    api.wait_for("s", "running").await;
    let stopped = api.done("/v1/sessions/s/interrupt", json!({})).await;
    assert_eq!(stopped["interrupted"], true);
    assert_eq!(turn.await.unwrap()["status"], "cancelled");
    assert_eq!(api.run("s", "x").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn rich_turns_return_bundles() {
    let api = api().await;
    let body = json!({"code": "from IPython.display import display, Markdown\ndisplay(Markdown('*hi*'))\n1", "rich": true});
    let execution = api.done("/v1/execute", body).await;
    assert_eq!(
        execution["bundles"][0]["data"]["text/markdown"], "*hi*",
        "{execution}"
    );
    assert_eq!(execution["bundles"][1]["is_result"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_linked_below_the_session() {
    let api = api().await;
    api.session("s").await;
    let code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()";
    let inline = api
        .done("/v1/sessions/s/execute", json!({"code": code}))
        .await;
    assert!(inline["displays"][0]["base64"].is_string(), "{inline}");
    let path = "/v1/sessions/s/execute?pictures=link";
    let linked = api.done(path, json!({"code": code, "rich": true})).await;
    let display = &linked["displays"][0];
    assert!(display.get("base64").is_none(), "{display}");
    for url in [&display["url"], &linked["bundles"][0]["links"]["image/png"]] {
        let url = url.as_str().unwrap();
        let response = api.request(Method::GET, url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "image/png");
        assert!(
            response.headers()["content-security-policy"]
                .to_str()
                .unwrap()
                .contains("sandbox")
        );
        assert!(response.bytes().await.unwrap().starts_with(b"\x89PNG"));
        let other = url.replace("/s/", "/t/");
        refused(&api.get(&other).await, 404, "missing_session");
    }
    refused(
        &api.get("/v1/sessions/s/pictures/x.png").await,
        404,
        "not_found",
    );
    let once = api
        .post("/v1/execute?pictures=link", json!({"code": code}))
        .await;
    refused(&once, 400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_has_one_form() {
    let api = api_with(|config| config.body = 10_000).await;
    refused(&api.get("/v1/nothing").await, 404, "not_found");
    refused(&api.get("/v1").await, 404, "not_found");
    let response = api
        .request(Method::PUT, "/v1/sessions")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["allow"], "POST, GET");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "method_not_allowed");
    let execute = || api.request(Method::POST, "/v1/execute");
    for (request, status, code) in [
        (execute().body(r#"{"code": "1"}"#), 415, "content_type"),
        (
            execute().header("content-type", "text/plain").body("{}"),
            415,
            "content_type",
        ),
        (
            execute()
                .header("content-type", "application/json")
                .body("{"),
            400,
            "malformed_json",
        ),
        (
            execute().json(&json!({"code": "x".repeat(10_001)})),
            413,
            "payload_too_large",
        ),
        (execute().json(&json!({"code": 1})), 400, "invalid_request"),
        (execute().json(&json!({})), 400, "invalid_request"),
        (
            execute()
                .header("accept", "image/png")
                .json(&json!({"code": "1"})),
            406,
            "not_acceptable",
        ),
    ] {
        let response = request.send().await.unwrap();
        let status_then = response.status();
        refused(&(status_then, response.json().await.unwrap()), status, code);
    }
    let named = api
        .post(
            "/v1/execute",
            json!({"code": "1", "limits": {"wall_ms": "x"}}),
        )
        .await;
    refused(&named, 400, "invalid_request");
    assert!(
        named.1.to_string().contains("at `limits.wall_ms`"),
        "{}",
        named.1
    );
    let unknown = api
        .post("/v1/execute", json!({"code": "1", "colour": 1}))
        .await;
    assert!(
        unknown.1.to_string().contains("unknown field `colour`"),
        "{}",
        unknown.1
    );
}
