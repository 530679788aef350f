//! Kernels: their life, and their answers to messages.

use serde_json::{Value, json};

use crate::jupyter_support::{Connection, content, kernel, stdout};
use crate::support::{Served, config};

async fn connected() -> (Served, String, Connection) {
    let served = Served::start(config()).await;
    let id = kernel(&served).await;
    let connection = Connection::open(&served, &id).await;
    (served, id, connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_lives_from_its_creation_to_its_removal() {
    let (served, id, mut connection) = connected().await;
    let get = async |path: &str| -> Value {
        served.get(path).send().await.unwrap().json().await.unwrap()
    };
    let version = get("/api").await;
    assert!(version["version"].is_string(), "{version}");
    let specs = get("/api/kernelspecs").await;
    assert_eq!(
        specs["kernelspecs"]["python3"]["spec"]["language"],
        "python"
    );
    assert_eq!(get("/api/terminals").await, json!([]));
    let model = get(&format!("/api/kernels/{id}")).await;
    assert_eq!(
        (&model["name"], &model["connections"]),
        (&json!("python3"), &json!(1))
    );
    assert_eq!(get("/api/kernels").await.as_array().unwrap().len(), 1);
    assert_eq!(get("/api/status").await["kernels"], 1);

    connection.run("x = 1").await;
    let restart = served.post(&format!("/api/kernels/{id}/restart"), &json!({}));
    assert_eq!(restart.send().await.unwrap().status(), 200);
    let messages = connection.run("x").await;
    assert_eq!(content(&messages, "error")["ename"], "NameError");

    let remove = || served.request("DELETE", &format!("/api/kernels/{id}"));
    assert_eq!(remove().send().await.unwrap().status(), 204);
    assert_eq!(u16::from(connection.closed().await.unwrap().code), 1001);
    assert_eq!(remove().send().await.unwrap().status(), 404);
    let unknown = served.post("/api/kernels", &json!({ "name": "julia" }));
    assert_eq!(unknown.send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_publishes_its_input_output_result_and_state_in_order() {
    let (_served, _, mut connection) = connected().await;
    let messages = connection
        .run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n40 + 2")
        .await;
    let kinds: Vec<_> = messages
        .iter()
        .map(|message| match message["msg_type"].as_str().unwrap() {
            "status" => message["content"]["execution_state"].as_str().unwrap(),
            "stream" => message["content"]["name"].as_str().unwrap(),
            kind => kind,
        })
        .collect();
    let expected = [
        "busy",
        "execute_input",
        "stdout",
        "stderr",
        "execute_result",
        "execute_reply",
        "idle",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(
        content(&messages, "execute_result")["data"]["text/plain"],
        "42"
    );
    assert_eq!(content(&messages, "execute_reply")["execution_count"], 1);

    let messages = connection
        .run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
        .await;
    let shown = content(&messages, "display_data");
    assert!(
        shown["data"]["image/png"]
            .as_str()
            .unwrap()
            .starts_with("iVBOR")
    );
    let types = shown["data"].as_object().unwrap();
    assert!(
        types.keys().all(|kind| !kind.contains("codeact")),
        "{types:?}"
    );

    let messages = connection.run("def f():\n    1 / 0\nf()").await;
    let error = content(&messages, "error");
    assert_eq!(
        (&error["ename"], &error["evalue"]),
        (&json!("ZeroDivisionError"), &json!("division by zero"))
    );
    let traceback: Vec<_> = error["traceback"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert!(traceback.join("\n").contains("<cell 3>"), "{traceback:?}");
    assert_eq!(content(&messages, "execute_reply")["status"], "error");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_an_execution_are_obeyed() {
    let (_served, _, mut connection) = connected().await;
    let silent = json!({ "code": "x = 5\nx", "silent": true });
    let id = connection.send("shell", "execute_request", silent).await;
    let messages = connection.until_idle(&id).await;
    assert!(
        messages
            .iter()
            .all(|message| message["msg_type"] != "execute_result")
    );
    assert!(
        messages
            .iter()
            .all(|message| message["msg_type"] != "execute_input")
    );
    let expressions =
        json!({ "code": "y = 1", "user_expressions": { "a": "x + y", "b": "1 / 0" } });
    let reply = connection.ask("execute_request", expressions).await;
    assert_eq!(reply["execution_count"], 1);
    assert_eq!(reply["user_expressions"]["a"]["data"]["text/plain"], "6");
    assert_eq!(reply["user_expressions"]["b"]["ename"], "ZeroDivisionError");
    // The executions that wait behind an error are aborted.
    let first = connection
        .execute("import time\ntime.sleep(0.2)\n1 / 0")
        .await;
    let second = connection.execute("z = 1").await;
    let info = connection
        .send("shell", "kernel_info_request", json!({}))
        .await;
    let messages = connection.until_idle(&first).await;
    assert_eq!(content(&messages, "execute_reply")["status"], "error");
    let messages = connection.until_idle(&second).await;
    assert_eq!(content(&messages, "execute_reply")["status"], "aborted");
    connection.until_idle(&info).await;
    let messages = connection.run("z").await;
    assert_eq!(content(&messages, "error")["ename"], "NameError");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_code_are_answered_without_a_trace() {
    let (_served, _, mut connection) = connected().await;
    connection
        .run("import os\nvalue_one = 'text'\ndef add(a, b=2):\n    'Adds.'\n    return a + b")
        .await;
    let reply = connection
        .ask(
            "complete_request",
            json!({ "code": "value_o", "cursor_pos": 7 }),
        )
        .await;
    assert_eq!(reply["matches"], json!(["value_one"]));
    assert_eq!(
        (&reply["cursor_start"], &reply["cursor_end"]),
        (&json!(0), &json!(7))
    );
    let reply = connection
        .ask(
            "complete_request",
            json!({ "code": "é = value_one.upp", "cursor_pos": 17 }),
        )
        .await;
    assert_eq!(
        (&reply["matches"], &reply["cursor_start"]),
        (&json!(["value_one.upper"]), &json!(4))
    );
    let reply = connection
        .ask(
            "complete_request",
            json!({ "code": "from os.path import joi", "cursor_pos": 23 }),
        )
        .await;
    assert_eq!(reply["matches"], json!(["join"]));
    let reply = connection
        .ask(
            "inspect_request",
            json!({ "code": "add(", "cursor_pos": 4, "detail_level": 0 }),
        )
        .await;
    let text = reply["data"]["text/plain"].as_str().unwrap();
    assert!(
        text.contains("add(a, b=2)") && text.contains("Adds."),
        "{text}"
    );
    let reply = connection
        .ask(
            "inspect_request",
            json!({ "code": "nothing", "cursor_pos": 7 }),
        )
        .await;
    assert_eq!(
        (&reply["status"], &reply["found"]),
        (&json!("ok"), &json!(false))
    );
    for (code, status, indent) in [
        ("1 + 1", "complete", None),
        ("def f():", "incomplete", Some("    ")),
        ("def f():\n    1", "incomplete", Some("    ")),
        ("(1,", "incomplete", Some("")),
        ("1 +* 2", "invalid", None),
        ("await f()", "complete", None),
        ("%time 1", "complete", None),
    ] {
        let reply = connection
            .ask("is_complete_request", json!({ "code": code }))
            .await;
        assert_eq!(reply["status"], status, "{code}");
        assert_eq!(reply["indent"].as_str(), indent, "{code}");
    }
    let tail = json!({ "hist_access_type": "tail", "n": 1, "output": false, "raw": true });
    connection.run("value_one").await;
    let reply = connection.ask("history_request", tail).await;
    assert_eq!(reply["history"], json!([[0, 2, "value_one"]]));
    let reply = connection.ask("comm_info_request", json!({})).await;
    assert_eq!(reply["comms"], json!({}));
    let info = connection.ask("kernel_info_request", json!({})).await;
    assert!(
        info["language_info"]["version"]
            .as_str()
            .unwrap()
            .starts_with("3."),
        "{info}"
    );
    // None of these questions left a name in the session.
    let messages = connection
        .run("[name for name in globals() if 'codeact' in name]")
        .await;
    assert_eq!(
        content(&messages, "execute_result")["data"]["text/plain"],
        "[]"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_asked_of_the_client_that_allows_it() {
    let (_served, _, mut connection) = connected().await;
    let allowed = json!({ "code": "print(input('name? ').upper())", "allow_stdin": true });
    let id = connection.send("shell", "execute_request", allowed).await;
    loop {
        let message = connection.next().await;
        if message["msg_type"] == "input_request" {
            assert_eq!(message["content"]["prompt"], "name? ");
            assert_eq!(
                (&message["parent_header"]["msg_id"], &message["channel"]),
                (&json!(id), &json!("stdin"))
            );
            break;
        }
    }
    connection
        .send("stdin", "input_reply", json!({ "value": "ada" }))
        .await;
    assert_eq!(stdout(&connection.until_idle(&id).await), "ADA\n");
    let messages = connection.run("input('name? ')").await;
    assert_eq!(content(&messages, "error")["ename"], "EOFError");
    // A client that disconnects is not waited for.
    let allowed = json!({ "code": "input()", "allow_stdin": true });
    connection.send("shell", "execute_request", allowed).await;
    while connection.next().await["msg_type"] != "input_request" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_stops_the_cell_and_restores_the_state_before_it() {
    let (served, id, mut connection) = connected().await;
    connection.run("x = 1").await;
    for by_message in [false, true] {
        let cell = connection
            .execute("x = 2\nprint('running')\nwhile True: pass")
            .await;
        while connection.next().await["msg_type"] != "stream" {}
        match by_message {
            true => drop(
                connection
                    .send("control", "interrupt_request", json!({}))
                    .await,
            ),
            false => {
                let request = served.post(&format!("/api/kernels/{id}/interrupt"), &json!({}));
                assert_eq!(request.send().await.unwrap().status(), 204);
            }
        }
        let messages = connection.until_idle(&cell).await;
        assert_eq!(content(&messages, "error")["ename"], "KeyboardInterrupt");
        let messages = connection.run("x").await;
        assert_eq!(
            content(&messages, "execute_result")["data"]["text/plain"],
            "1"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sockets_see_the_output_and_only_the_requester_the_reply() {
    let (served, id, mut first) = connected().await;
    let mut second = Connection::open(&served, &id).await;
    let cell = first.execute("print('both')").await;
    first.until_idle(&cell).await;
    let mut seen = Vec::new();
    loop {
        let message = second.next().await;
        assert_eq!(message["channel"], "iopub");
        assert_eq!(message["parent_header"]["msg_id"], cell);
        let is_idle = message["content"]["execution_state"] == "idle";
        seen.push(message);
        if is_idle {
            break;
        }
    }
    assert_eq!(stdout(&seen), "both\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_goes_on_if_its_socket_is_closed() {
    let (served, id, mut connection) = connected().await;
    connection
        .execute("import time\nprint('started')\ntime.sleep(0.5)\ndone = True")
        .await;
    while connection.next().await["msg_type"] != "stream" {}
    drop(connection);
    let mut other = Connection::open(&served, &id).await;
    let messages = other.run("done").await;
    assert_eq!(
        content(&messages, "execute_result")["data"]["text/plain"],
        "True"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_survives_a_restart_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = config();
    state.state = Some(folder.path().to_owned());
    let served = Served::start(state.clone()).await;
    let id = kernel(&served).await;
    let mut connection = Connection::open(&served, &id).await;
    connection.run("x = 41").await;
    drop(connection);
    served.stop().await;
    let served = Served::start(state).await;
    let mut connection = Connection::open(&served, &id).await;
    let messages = connection.run("x + 1").await;
    assert_eq!(
        content(&messages, "execute_result")["data"]["text/plain"],
        "42"
    );
    assert_eq!(content(&messages, "execute_reply")["execution_count"], 2);
}
