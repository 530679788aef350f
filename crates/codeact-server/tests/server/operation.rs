//! Start, end, configuration and figures of the server.

use std::path::Path;
use std::process::{Command, Output};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Served, bare_command, command, config, signal, until};

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs `code` in a session, and returns its stdout.
async fn run(served: &Served, session: &str, code: &str) -> String {
    let path = format!("/v1/sessions/{session}/execute");
    let answer = served
        .post(&path, &json!({"code": code}))
        .send()
        .await
        .expect("an answer");
    let status = answer.status();
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(status, StatusCode::OK, "{body}");
    body["stdout"].as_str().unwrap_or_default().to_owned()
}

async fn make(served: &Served, session: &str) {
    let made = served
        .post("/v1/sessions", &json!({"id": session}))
        .send()
        .await;
    assert!(made.expect("an answer").status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_what_clients_need_and_stops_on_sigterm() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::command(&["--state", text(folder.path())]);
    let (banner, url, token) = (served.banner().to_owned(), &served.url, &served.token);
    assert!(token.len() > 20, "{banner}");
    for line in [
        format!("E2B_API_URL={url} E2B_SANDBOX_URL={url} E2B_API_KEY={token}"),
        format!("curl {url}/v1/execute -H 'Authorization: Bearer {token}'"),
        format!("{url}/?token={token}"),
    ] {
        assert!(banner.contains(&line), "{line}\n{banner}");
    }
    // The line to paste works as it is.
    let curl = banner
        .lines()
        .find(|line| line.trim().starts_with("curl "))
        .expect("a line");
    let done = Command::new("sh")
        .args(["-c", curl])
        .output()
        .expect("a shell");
    let body: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(body["stdout"], "42\n");
    let status = served.stop().await.expect("a process");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_continued_by_the_next_one() {
    for durability in ["turn", "idle"] {
        let folder = tempfile::tempdir().expect("a folder");
        let args = ["--state", text(folder.path()), "--durability", durability];
        let served = Served::command(&args);
        make(&served, "s").await;
        run(&served, "s", "x = 41").await;
        assert_eq!(
            served.stop().await.and_then(|status| status.code()),
            Some(0)
        );
        let served = Served::command(&args);
        assert_eq!(
            run(&served, "s", "print(x + 1)").await,
            "42\n",
            "{durability}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_no_turn_that_it_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--state", text(folder.path())];
    let served = Served::command(&args);
    for n in 0..50 {
        make(&served, &format!("s{n}")).await;
        run(&served, &format!("s{n}"), "x = 0").await;
    }
    // Turns run while the process is killed. Those that were answered must be there.
    let mut turns = tokio::task::JoinSet::new();
    for n in 0..50 {
        let path = format!("/v1/sessions/s{n}/execute");
        let request = served.post(&path, &json!({"code": "x += 1; print(x)"}));
        turns.spawn(async move {
            let mut last = 0;
            while let Some(request) = request.try_clone() {
                let Ok(answer) = request.send().await else {
                    break;
                };
                let Ok(body) = answer.json::<Value>().await else {
                    break;
                };
                let stdout = body["stdout"].as_str().unwrap_or_default();
                last = stdout.trim().parse().unwrap_or(last);
            }
            (n, last)
        });
    }
    let turns_begun = async || -> u64 {
        let text = served
            .get("/metrics")
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a text");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("codeact_turns_begun_total "));
        line.and_then(|count| count.parse().ok()).unwrap_or(0)
    };
    while turns_begun().await < 50 * 3 {}
    let stderr = served.kill();
    let answered = turns.join_all().await;
    let served = Served::command(&args);
    for (n, last) in answered {
        let now: u64 = run(&served, &format!("s{n}"), "print(x)")
            .await
            .trim()
            .parse()
            .expect("a number");
        // A turn whose answer did not arrive may have been committed.
        assert!(
            now == last || now == last + 1,
            "s{n}: {now} after {last}; {stderr}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_turn_is_stopped_after_the_grace_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["--state", text(folder.path()), "--grace", "100ms"];
    let mut served = Served::command(&args);
    make(&served, "s").await;
    run(&served, "s", "x = 1").await;
    let path = "/v1/sessions/s/execute";
    let endless = served
        .post(path, &json!({"code": "x = 2\nwhile True: pass"}))
        .send();
    let endless = tokio::spawn(endless);
    let running = async || {
        let text = served
            .get("/metrics")
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a text");
        text.lines().any(|line| line == "codeact_turns_running 1")
    };
    while !running().await {}
    signal(served.child().expect("a process"), "TERM");
    let answer = endless.await.expect("no panic").expect("an answer");
    let body = answer.text().await.expect("a text");
    assert!(!body.contains("\"ok\""), "{body}");
    let status = crate::support::ended(served.child().expect("a process"));
    assert_eq!(status.code(), Some(0));
    let served = Served::command(&args);
    assert_eq!(run(&served, "s", "print(x)").await, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_not_share_a_folder_or_an_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::command(&["--state", text(folder.path())]);
    let second = command(&["--state", text(folder.path())])
        .output()
        .expect("a process");
    let stderr = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("used by another server"), "{stderr}");
    let other = tempfile::tempdir().expect("a folder");
    let address = served.address.to_string();
    let third = bare_command(&["--state", text(other.path()), "--listen", &address]);
    let third = { third }.output().expect("a process");
    let stderr = String::from_utf8_lossy(&third.stderr).into_owned();
    assert_eq!(third.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("cannot listen on"), "{stderr}");
    // A killed server leaves its folder free.
    served.kill();
    Served::command(&["--state", text(folder.path())]);
}

fn output(args: &[&str]) -> Output {
    bare_command(args).output().expect("a process")
}

/// Returns stdout of `codeact serve` with `args`.
fn printed(args: &[&str]) -> String {
    let done = output(args);
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).expect("UTF-8")
}

#[test]
fn a_printed_configuration_reads_back_as_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let mount = format!("{}:/mnt/x:ro", text(folder.path()));
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--ttl",
        "2h",
        "--allow-host",
        "a.example,b.example",
        "--mount",
        &mount,
        "--allow-install",
        "--fuel",
        "1000000",
        "--allow-net",
        "*.example.com",
        "--no-token",
        "--durability",
        "idle",
    ];
    let first = printed(&[&args[..], &["--print-config"]].concat());
    for line in [
        "listen = \"127.0.0.1:0\"",
        "ttl = \"2h\"",
        "allow-host = [\"a.example\", \"b.example\"]",
        "allow-install = true",
        "fuel = 1000000",
        "no-token = true",
        "fonts = false",
        "memory = \"4G\"",
        "# state =",
    ] {
        assert!(first.lines().any(|found| found == line), "{line}\n{first}");
    }
    let file = folder.path().join("serve.toml");
    std::fs::write(&file, &first).expect("a file");
    let second = printed(&["--config", text(&file), "--print-config"]);
    assert_eq!(first, second);
    // The command line wins, also for lists.
    let third = printed(&[
        "--config",
        text(&file),
        "--ttl",
        "1h",
        "--allow-host",
        "c.example",
        "--print-config",
    ]);
    assert!(third.contains("\nttl = \"1h\"\n"), "{third}");
    assert!(
        third.contains("\nallow-host = [\"c.example\"]\n"),
        "{third}"
    );
    assert!(third.contains("\ndurability = \"idle\"\n"), "{third}");
}

#[test]
fn faults_of_a_configuration_file_are_usage_errors_that_name_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("serve.toml");
    for (content, expected) in [
        ("lisen = \"x\"", "there is no option lisen"),
        ("listen = \"x\"", "expected an address and a port"),
        ("listen = [\"127.0.0.1:0\"]", "listen has one value"),
        ("fonts = 1", "expected true or false"),
        ("ttl = true", "neither a string nor a number"),
        ("print-config = true", "on the command line only"),
        ("config = \"x\"", "on the command line only"),
        ("listen", "not valid TOML"),
        ("token-file = \"a\"\nno-token = true", "cannot be used with"),
    ] {
        std::fs::write(&file, content).expect("a file");
        let done = output(&["--config", text(&file)]);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{content}: {stderr}");
        assert!(
            stderr.contains(expected) && stderr.contains("serve.toml"),
            "{content}: {stderr}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_of_a_token_file_have_their_own_grants() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::write(data.join("a.txt"), "of alice").expect("a file");
    let token_of = |entry: &str| {
        let line = entry
            .lines()
            .next()
            .and_then(|line| line.rsplit(' ').next());
        line.expect("a token").to_owned()
    };
    let (alice, bob) = (
        printed(&["--new-token", "alice"]),
        printed(&["--new-token", "bob"]),
    );
    let file = folder.path().join("tokens.toml");
    let mount = format!("mount = [\"{}:/mnt/data\"]\nmax_sessions = 1", text(&data));
    std::fs::write(&file, format!("{alice}{mount}\noperator = true\n\n{bob}")).expect("a file");
    let served = Served::command(&[
        "--token-file",
        text(&file),
        "--state",
        text(&folder.path().join("state")),
        "--timeout",
        "5m",
    ]);
    assert!(served.banner().contains("2 tenants"), "{}", served.banner());
    let read = async |token: &str| {
        let body = json!({"code": "print(open('/mnt/data/a.txt').read())"});
        let request = served
            .client
            .post(format!("{}/v1/execute", served.url))
            .bearer_auth(token);
        request
            .json(&body)
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a text")
    };
    assert!(read(&token_of(&alice)).await.contains("of alice"));
    assert!(read(&token_of(&bob)).await.contains("FileNotFoundError"));
    let metrics = async |token: &str| {
        let request = served
            .client
            .get(format!("{}/metrics", served.url))
            .bearer_auth(token);
        request.send().await.expect("an answer").status()
    };
    assert_eq!(metrics(&token_of(&alice)).await, StatusCode::OK);
    assert_eq!(metrics(&token_of(&bob)).await, StatusCode::FORBIDDEN);
}

#[test]
fn faults_of_a_token_file_are_usage_errors_that_name_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens.toml");
    let hash = "0f".repeat(32);
    let good = format!("[[tenant]]\nname = \"a\"\ntoken-sha256 = [\"{hash}\"]\n");
    for (content, expected) in [
        (String::new(), "no [[tenant]]"),
        ("[[tenant]]\nname = \"a\"".into(), "--token-sha256"),
        (format!("{good}{good}"), "two tenants with the name a"),
        (
            good.clone() + &good.replace("\"a\"", "\"b\""),
            "occurs twice",
        ),
        (good.replace("\"a\"", "\"a/b\""), "invalid name of a tenant"),
        (good.replace("0f0f", "0f"), "64 hexadecimal digits"),
        (
            format!("{good}mounts = [\"/\"]"),
            "there is no option mounts",
        ),
        (
            format!("{good}mount = [\"/tmp:/mnt/x:commit\"]"),
            "writes nothing back",
        ),
        (format!("{good}approve = [\"ask\"]"), "no user to ask"),
        (format!("x = 1\n{good}"), "the key x"),
    ] {
        std::fs::write(&file, &content).expect("a file");
        let done = output(&["--listen", "127.0.0.1:0", "--token-file", text(&file)]);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{content}: {stderr}");
        assert!(stderr.contains(expected), "{content}: {stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_needs_no_token_and_metrics_do() {
    let served = Served::start(config()).await;
    for path in ["/healthz", "/readyz"] {
        let answer = served
            .client
            .get(format!("{}{path}", served.url))
            .send()
            .await;
        assert_eq!(
            answer.expect("an answer").status(),
            StatusCode::OK,
            "{path}"
        );
    }
    let answer = served
        .client
        .get(format!("{}/metrics", served.url))
        .send()
        .await;
    assert_eq!(
        answer.expect("an answer").status(),
        StatusCode::UNAUTHORIZED
    );
    make(&served, "s").await;
    run(&served, "s", "1").await;
    let text = served
        .get("/metrics")
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a text");
    for name in [
        "codeact_sessions 1",
        "codeact_sessions_live 1",
        "codeact_turns_total{outcome=\"ok\"} 1",
        "codeact_turn_seconds_count 1",
        "codeact_tenant_sessions{tenant=\"local\"} 1",
        "codeact_http_requests_total{class=\"v1\",status=\"200\"}",
        "codeact_http_request_seconds_bucket{class=\"v1\",le=\"+Inf\"}",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(name)),
            "{name}\n{text}"
        );
    }
    // Every line is a comment or a name, labels, and a number.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_requests_and_neither_code_nor_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::command(&[
        "--state",
        text(folder.path()),
        "--log-format",
        "json",
        "--log-level",
        "debug",
    ]);
    let token = served.token.clone();
    let code = json!({"code": "print('very' + 'private')"});
    let request = served
        .post(&format!("/v1/execute?token={token}"), &code)
        .header("x-request-id", "my-request");
    assert_eq!(
        request.send().await.expect("an answer").status(),
        StatusCode::OK
    );
    let log = served.kill();
    assert!(!log.contains(&token) && !log.contains("private"), "{log}");
    let lines = log.lines().filter(|line| line.contains("my-request"));
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(
        lines.iter().any(|line| line.to_string().contains("200")),
        "{log}"
    );
}

#[test]
fn the_process_ends_at_once_on_a_second_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut served = Served::command(&["--state", text(folder.path()), "--grace", "1h"]);
    let child = served.child().expect("a process");
    signal(child, "INT");
    // Nothing runs, so the first one may end it already.
    let status = until("the process ends", || {
        let ended = child.try_wait().expect("a process");
        if ended.is_none() {
            signal(child, "INT");
        }
        ended
    });
    assert!(matches!(status.code(), Some(0 | 130)), "{status}");
}

/// Returns the bodies of the first `count` requests to a collector, and its URL at once.
fn collector(count: usize) -> (String, std::thread::JoinHandle<Vec<Value>>) {
    use std::io::{BufRead, BufReader, Read, Write};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let bodies = std::thread::spawn(move || {
        let one = |stream: std::net::TcpStream| {
            let mut reader = BufReader::new(stream);
            let mut length = 0;
            for line in reader.by_ref().lines().map_while(Result::ok) {
                if line.is_empty() {
                    break;
                }
                let header = line.to_ascii_lowercase();
                if let Some(value) = header.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            reader.get_mut().write_all(answer).expect("a client");
            serde_json::from_slice(&body).expect("JSON")
        };
        let streams = listener.incoming().map_while(Result::ok);
        streams.take(count).map(one).collect()
    });
    (url, bodies)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_of_requests_and_turns_reach_a_collector() {
    let folder = tempfile::tempdir().expect("a folder");
    let (url, bodies) = collector(1);
    let served = Served::command(&["--state", text(folder.path()), "--otlp-endpoint", &url]);
    let body = json!({"code": "print('very' + 'private')"});
    let request = served.post("/v1/execute", &body);
    assert_eq!(
        request.send().await.expect("an answer").status(),
        StatusCode::OK
    );
    // The last spans are sent at the end.
    assert_eq!(
        served.stop().await.and_then(|status| status.code()),
        Some(0)
    );
    let body = bodies.join().expect("a collector").remove(0);
    assert!(!body.to_string().contains("private"), "{body}");
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
        .as_array()
        .expect("spans")
        .clone();
    let find = |name: &str| {
        spans
            .iter()
            .find(|span| span["name"] == name)
            .expect("a span")
            .clone()
    };
    let (request, turn) = (find("request"), find("turn"));
    assert_eq!(turn["parentSpanId"], request["spanId"]);
    assert_eq!(turn["traceId"], request["traceId"]);
    let attribute = |span: &Value, key: &str| {
        let all = span["attributes"].as_array().expect("attributes");
        all.iter()
            .find(|found| found["key"] == key)
            .map(|found| found["value"].clone())
    };
    assert_eq!(
        attribute(&turn, "outcome"),
        Some(json!({"stringValue": "ok"}))
    );
    let status = attribute(&request, "http.response.status_code");
    assert_eq!(status, Some(json!({"intValue": "200"})));
    assert_eq!(request["kind"], 2);
}
