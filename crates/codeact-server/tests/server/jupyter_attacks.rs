//! Hostile clients of the Jupyter API.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::jupyter_support::{Connection, content, kernel};
use crate::support::{Served, config, tenant};

const HEADER: &str = r#"{"msg_id":"1","msg_type":"execute_request"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_no_messages_close_the_socket_and_not_the_kernel() {
    let served = Served::start(config()).await;
    let id = kernel(&served).await;
    let deep = format!(
        r#"{{"header":{{"msg_id":"1","msg_type":"x","a":{}"#,
        "[".repeat(100_000)
    );
    let long = format!(
        r#"{{"header":{{"msg_id":"{}","msg_type":"x"}}}}"#,
        "x".repeat(100_000)
    );
    let frames = [
        Message::text(""),
        Message::text("{"),
        Message::text("null"),
        Message::text("[1, 2]"),
        Message::text("{}"),
        Message::text(r#"{"header":null}"#),
        Message::text(r#"{"header":{"msg_id":1,"msg_type":"x"}}"#),
        Message::text(r#"{"header":{"msg_id":"1","msg_type":{}}}"#),
        Message::text(r#"{"header":{"msg_id":"1","msg_type":"x"},"channel":"other"}"#),
        Message::text(r#"{"header":{"msg_id":"1","msg_type":"x"},"channel":7}"#),
        Message::text(deep),
        Message::text(long),
        Message::binary(vec![]),
        Message::binary(vec![0xff; 3]),
        Message::binary(vec![0xff; 4096]),
        Message::binary(vec![0; 4096]),
        Message::text(
            r#"{"header":{"msg_id":"1","msg_type":"input_reply"},"channel":"stdin","content":{"value":7}}"#,
        ),
    ];
    for frame in frames {
        let shown = format!("{frame:?}").chars().take(100).collect::<String>();
        let mut connection = Connection::open(&served, &id).await;
        connection.frame(frame).await;
        let closed = connection.closed().await;
        assert_eq!(
            closed.map(|frame| u16::from(frame.code)),
            Some(1007),
            "{shown}"
        );
    }
    let mut connection = Connection::open(&served, &id).await;
    let messages = connection.run("1 + 1").await;
    assert_eq!(content(&messages, "execute_reply")["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_of_wrong_types_are_errors_in_the_reply() {
    let served = Served::start(config()).await;
    let id = kernel(&served).await;
    let mut connection = Connection::open(&served, &id).await;
    for wrong in [
        json!({}),
        json!({ "code": 7 }),
        json!([]),
        json!(null),
        json!({ "code": "1", "silent": "yes" }),
    ] {
        let reply = connection.ask("execute_request", wrong.clone()).await;
        assert_eq!(reply["status"], "error", "{wrong}");
    }
    for kind in [
        "complete_request",
        "inspect_request",
        "is_complete_request",
        "history_request",
    ] {
        for wrong in [
            json!({}),
            json!({ "code": [], "cursor_pos": -1, "n": "x" }),
            json!("x"),
        ] {
            let reply = connection.ask(kind, wrong.clone()).await;
            assert!(reply["status"].is_string(), "{kind} {wrong}: {reply}");
        }
    }
    for kind in ["no_such_request", "comm_msg", "comm_open", "debug_request"] {
        connection
            .send("shell", kind, json!({ "comm_id": {} }))
            .await;
    }
    connection.send("iopub", "stream", json!({})).await;
    connection
        .send("stdin", "input_reply", json!({ "value": "unasked" }))
        .await;
    let far = json!({ "code": "x", "cursor_pos": u64::MAX });
    assert_eq!(
        connection.ask("complete_request", far).await["status"],
        "ok"
    );
    let messages = connection.run("1").await;
    assert_eq!(content(&messages, "execute_reply")["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_closes_the_socket() {
    let served = Served::start(config()).await;
    let id = kernel(&served).await;
    let mut connection = Connection::open(&served, &id).await;
    let code = "#".repeat(9 << 20);
    let text = format!(r#"{{"header":{HEADER},"content":{{"code":"{code}"}}}}"#);
    // The server may close the connection before it has read everything.
    use futures_util::SinkExt;
    let _ = connection.socket.send(Message::text(text)).await;
    let closed = connection.closed().await;
    assert!(closed.is_none_or(|frame| u16::from(frame.code) == 1009));
    let mut connection = Connection::open(&served, &id).await;
    let messages = connection.run("1").await;
    assert_eq!(content(&messages, "execute_reply")["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_are_joined_and_pings_answered() {
    let served = Served::start(config()).await;
    let id = kernel(&served).await;
    let mut connection = Connection::open(&served, &id).await;
    for _ in 0..10_000 {
        connection
            .frame(Message::Ping(vec![b'x'; 100].into()))
            .await;
    }
    let text = format!(r#"{{"header":{HEADER},"content":{{"code":"6 * 7"}}}}"#);
    let bytes = text.into_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        let opcode = if i == 0 {
            OpCode::Data(Data::Text)
        } else {
            OpCode::Data(Data::Continue)
        };
        let frame = Frame::message(vec![*byte], opcode, i + 1 == bytes.len());
        connection.frame(Message::Frame(frame)).await;
    }
    let messages = connection.until_idle("1").await;
    assert_eq!(
        content(&messages, "execute_result")["data"]["text/plain"],
        "42"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_disconnected_and_the_others_are_served() {
    let served = Served::start(config()).await;
    let id = kernel(&served).await;
    let slow = Connection::open(&served, &id).await;
    let mut connection = Connection::open(&served, &id).await;
    // Output is limited to 1 MiB in a turn; results are not output.
    for _ in 0..600 {
        connection.run("'x' * 90_000").await;
    }
    let get = async || -> Value {
        let response = served
            .get(&format!("/api/kernels/{id}"))
            .send()
            .await
            .unwrap();
        response.json().await.unwrap()
    };
    let deadline = std::time::Instant::now() + crate::support::HANG;
    while get().await["connections"] != 1 {
        assert!(
            std::time::Instant::now() < deadline,
            "the slow client is still connected"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(slow);
    let messages = connection.run("1").await;
    assert_eq!(content(&messages, "execute_reply")["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_closes_the_socket() {
    let served = Served::start(config()).await;
    let id = kernel(&served).await;
    let mut connection = Connection::open(&served, &id).await;
    connection
        .execute("import time\nprint('running')\ntime.sleep(60)")
        .await;
    while connection.next().await["msg_type"] != "stream" {}
    for _ in 0..1000 {
        use futures_util::SinkExt;
        let text = format!(r#"{{"header":{HEADER},"content":{{"code":"1"}}}}"#);
        if connection.socket.send(Message::text(text)).await.is_err() {
            break;
        }
    }
    let closed = connection.closed().await;
    assert!(closed.is_none_or(|frame| u16::from(frame.code) == 1008));
    let interrupt = served.post(&format!("/api/kernels/{id}/interrupt"), &json!({}));
    assert_eq!(interrupt.send().await.unwrap().status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_kernels_end_at_the_quota() {
    let mut limited = config();
    limited.tenants[0].quota.sessions = 20;
    let served = Served::start(limited).await;
    let mut refused = 0;
    for _ in 0..100 {
        let response = served.request("POST", "/api/kernels").send().await.unwrap();
        match response.status().as_u16() {
            201 => {}
            429 => {
                assert!(response.headers().contains_key("retry-after"));
                refused += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused, 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_of_another_tenant_and_a_session_of_another_protocol_do_not_exist() {
    let mut two = config();
    two.tenants
        .push(tenant("other", "another-token-of-enough-length-0001"));
    let served = Served::start(two).await;
    let id = kernel(&served).await;
    let other = |method: &str, path: &str| {
        let method = method.parse().unwrap();
        let request = served
            .client
            .request(method, format!("{}{path}", served.url));
        request
            .bearer_auth("another-token-of-enough-length-0001")
            .json(&json!({ "path": "x" }))
    };
    for (method, path) in [
        ("GET", format!("/api/kernels/{id}")),
        ("DELETE", format!("/api/kernels/{id}")),
        ("POST", format!("/api/kernels/{id}/restart")),
        ("POST", format!("/api/kernels/{id}/interrupt")),
        ("GET", format!("/api/contents/kernels/{id}")),
        ("PUT", format!("/api/contents/kernels/{id}/x")),
    ] {
        let status = other(method, &path).send().await.unwrap().status().as_u16();
        assert!([400, 404].contains(&status), "{method} {path}: {status}");
    }
    let with_kernel = json!({ "path": "x", "kernel": { "id": id } });
    let stolen = other("POST", "/api/sessions")
        .json(&with_kernel)
        .send()
        .await
        .unwrap();
    assert_eq!(stolen.status(), 404);
    assert_eq!(
        Connection::try_open(&served, &id, "another-token-of-enough-length-0001")
            .await
            .err(),
        Some(404)
    );
    assert_eq!(
        Connection::try_open(&served, &id, "wrong").await.err(),
        Some(403)
    );
    assert_eq!(
        Connection::try_open(&served, "../../v1/sessions", &served.token)
            .await
            .err(),
        Some(404)
    );

    let made = served
        .post("/v1/sessions", &json!({}))
        .send()
        .await
        .unwrap();
    let made: Value = made.json().await.unwrap();
    let session = made["id"].as_str().unwrap();
    assert_eq!(
        Connection::try_open(&served, session, &served.token)
            .await
            .err(),
        Some(404)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_count_as_turns_and_use_fuel() {
    let mut config = config();
    config.tenants[0].quota.fuel_per_minute = Some(1);
    let served = Served::start(config).await;
    let id = kernel(&served).await;
    let mut connection = Connection::open(&served, &id).await;
    let question = json!({ "code": "pri", "cursor_pos": 3 });
    let first = connection.ask("complete_request", question.clone()).await;
    assert_eq!(first["matches"], json!(["print"]), "{first}");
    let second = connection.ask("complete_request", question).await;
    assert_eq!(second["matches"], json!([]), "{second}");
    let messages = connection.run("1").await;
    assert_eq!(content(&messages, "execute_reply")["status"], "error");
}
