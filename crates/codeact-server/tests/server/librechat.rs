//! LibreChat's code interpreter API.

use serde_json::{Value, json};

use crate::support::{Served, config, tenant};

const OTHER: &str = "another-token-of-enough-length-0001";

async fn post(served: &Served, path: &str, body: &Value) -> (u16, Value) {
    post_as(served, &served.token, path, body).await
}

async fn post_as(served: &Served, token: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = served
        .client
        .post(format!("{}{path}", served.url))
        .header("X-API-Key", token);
    let response = request.json(body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

/// Uploads a file and returns its storage session and identifier.
async fn upload(served: &Served, name: &str, content: &str) -> (String, String) {
    let part = format!(
        "--b\r\ncontent-disposition: form-data; name=\"kind\"\r\n\r\nuser\r\n--b\r\ncontent-disposition: form-data; \
         name=\"file\"; filename=\"{name}\"\r\ncontent-type: text/csv\r\n\r\n{content}\r\n--b--\r\n"
    );
    let request = served
        .request("POST", "/upload")
        .header("content-type", "multipart/form-data; boundary=b");
    let response = request.body(part).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (&body["message"], &body["files"][0]["filename"]),
        (&json!("success"), &json!(name))
    );
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        text(&body["storage_session_id"]),
        text(&body["files"][0]["fileId"]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_from_upload_through_code_to_download() {
    let served = Served::start(config()).await;
    let (session, file) = upload(&served, "data/in.csv", "1,2").await;
    let input = json!({ "id": file, "storage_session_id": session, "session_id": session, "resource_id": file, "name": "data/in.csv", "kind": "user" });
    let code = "text = open('/mnt/data/data/in.csv').read()\nprint(text)\nopen('out.txt', 'w').write(text + '!')";
    let request = json!({ "lang": "py", "code": code, "files": [input] });
    let (status, result) = post(&served, "/exec", &request).await;
    assert_eq!(
        (status, &result["stdout"], &result["code"]),
        (200, &json!("1,2\n"), &json!(0)),
        "{result}"
    );
    let files = result["files"].as_array().unwrap();
    let out = files.iter().find(|file| file["name"] == "out.txt").unwrap();
    let inherited = files
        .iter()
        .find(|file| file["name"] == "data/in.csv")
        .unwrap();
    assert_eq!(
        (&inherited["inherited"], &inherited["id"]),
        (&json!(true), &json!(file))
    );
    let (made_in, id) = (
        out["storage_session_id"].as_str().unwrap(),
        out["id"].as_str().unwrap(),
    );
    let download = format!("/download/{made_in}/{id}");
    let response = served.get(&download).send().await.unwrap();
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert!(
        response.headers()["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    assert_eq!(response.text().await.unwrap(), "1,2!");

    let list = format!("/v1/files/{made_in}?detail=full&kind=user&id=x");
    let list: Value = served
        .get(&list)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&list[0]["id"], &list[0]["metadata"]["original-filename"]),
        (&json!(id), &json!("out.txt"))
    );
    let about = format!("/sessions/{made_in}/objects/{id}");
    let about: Value = served
        .get(&about)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&about["size"], &about["readOnly"]),
        (&json!(4), &json!(false))
    );
    let remove = format!("/files/{made_in}/{id}");
    assert_eq!(
        served
            .request("DELETE", &remove)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(served.get(&download).send().await.unwrap().status(), 404);
    assert_eq!(served.get("/v1/health").send().await.unwrap().status(), 200);

    // A changed input is a new file that names its origin.
    let request =
        json!({ "lang": "py", "code": "open('data/in.csv', 'a').write('3')", "files": [input] });
    let (_, result) = post(&served, "/exec", &request).await;
    assert_eq!(result["files"][0]["modified_from"]["id"], file, "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_script_is_a_process_and_files_last_with_a_hint() {
    let served = Served::start(config()).await;
    let exec = async |code: &str, hint: Option<&str>| {
        let request = json!({ "lang": "python", "code": code, "args": ["a", "b"], "runtime_session_hint": hint });
        post(&served, "/exec", &request).await.1
    };
    let result = exec(
        "import sys\nprint(sys.argv[1:])\nx = 1\nopen('f', 'w').write('kept')",
        Some("chat"),
    )
    .await;
    assert_eq!(
        (&result["stdout"], &result["runtime_status"]),
        (&json!("['a', 'b']\n"), &json!("new")),
        "{result}"
    );
    let result = exec("print(open('f').read(), 'x' in globals())", Some("chat")).await;
    assert_eq!(
        (&result["stdout"], &result["runtime_status"]),
        (&json!("kept False\n"), &json!("warm")),
        "{result}"
    );
    let result = exec("import os\nprint(os.path.exists('f'))", None).await;
    assert_eq!(result["stdout"], "False\n");
    let result = exec(
        "import sys\nprint('x')\nopen('g.txt', 'w')\nsys.exit(4)",
        None,
    )
    .await;
    assert_eq!(
        (&result["code"], &result["status"], &result["files"]),
        (&json!(4), &json!("RE"), &json!([]))
    );
    let (status, error) = post(&served, "/exec", &json!({ "lang": "js", "code": "1" })).await;
    assert_eq!(
        (status, &error["error"]),
        (400, &json!("Unsupported language: js"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_names_that_are_not_the_tenants_are_refused() {
    let mut two = config();
    two.tenants.push(tenant("other", OTHER));
    let served = Served::start(two).await;
    let (session, file) = upload(&served, "secret.csv", "1").await;
    let reference = |name: &str| json!({ "id": file, "storage_session_id": session, "name": name });
    let request = json!({ "lang": "py", "code": "1", "files": [reference("a")] });
    assert_eq!(post_as(&served, OTHER, "/exec", &request).await.0, 403);
    for path in [
        format!("/download/{session}/{file}"),
        format!("/files/{session}"),
        format!("/sessions/{session}/objects/{file}"),
    ] {
        let request = served
            .client
            .get(format!("{}{path}", served.url))
            .header("X-API-Key", OTHER);
        assert_eq!(request.send().await.unwrap().status(), 404, "{path}");
    }
    for name in ["../x", "/etc/x", "a/../../x", "", "a\u{0}b", "a\\b"] {
        let request = json!({ "lang": "py", "code": "1", "files": [reference(name)] });
        assert_eq!(post(&served, "/exec", &request).await.0, 400, "{name:?}");
    }
    let part = "--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"../../x\"\r\n\r\n1\r\n--b\r\ncontent-disposition: \
                form-data; name=\"f\"; filename=\"good.txt\"\r\n\r\n2\r\n--b--\r\n";
    let batch = async |path: &str| {
        let request = served
            .request("POST", path)
            .header("content-type", "multipart/form-data; boundary=b");
        let response = request.body(part).send().await.unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let (status, body) = batch("/upload/batch").await;
    assert_eq!(
        (
            status,
            &body["message"],
            &body["succeeded"],
            &body["failed"]
        ),
        (200, &json!("partial_success"), &json!(1), &json!(1))
    );
    assert_eq!(batch("/upload").await.0, 400);
    let none = served
        .request("POST", "/upload")
        .json(&json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(none.status(), 400);
    // Sessions of other protocols are not storage.
    let made: Value = served
        .post("/v1/sessions", &json!({}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let path = format!("/files/{}", made["id"].as_str().unwrap());
    assert_eq!(served.get(&path).send().await.unwrap().status(), 404);
}

fn programmatic(code: &str) -> Value {
    let parameters = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    json!({ "code": code, "tools": [{ "name": "double-it", "description": "Doubles n.", "parameters": parameters }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn code_waits_in_place_for_the_results_of_its_calls() {
    let served = Served::start(config()).await;
    let code = "import asyncio\nruns = 1\nprint('before')\na = await double_it(n=1)\n\
                b, c = await asyncio.gather(double_it(2), double_it(n=3))\nprint(a, b, c, runs)\nopen('o.txt', 'w').write('x')";
    let (status, first) = post(&served, "/exec/programmatic", &programmatic(code)).await;
    assert_eq!(
        (status, &first["status"]),
        (200, &json!("tool_call_required")),
        "{first}"
    );
    assert_eq!(first["partial_stdout"], "before\n");
    let calls = first["tool_calls"].as_array().unwrap();
    assert_eq!(
        (calls.len(), &calls[0]["name"], &calls[0]["input"]),
        (1, &json!("double-it"), &json!({ "n": 1 }))
    );
    let answer = |round: &Value| {
        let results = round["tool_calls"].as_array().unwrap().iter().map(|call| {
            json!({ "call_id": call["id"], "result": call["input"]["n"].as_i64().unwrap() * 2, "is_error": false })
        });
        json!({ "continuation_token": round["continuation_token"], "tool_results": results.collect::<Vec<_>>() })
    };
    // Results of calls that were not made are refused, and the turn goes on waiting.
    let forged = json!({ "continuation_token": first["continuation_token"], "tool_results": [{ "call_id": "x", "result": 1 }] });
    assert_eq!(post(&served, "/exec/programmatic", &forged).await.0, 400);
    let second = post(&served, "/exec/programmatic", &answer(&first)).await.1;
    assert_eq!(
        second["tool_calls"].as_array().unwrap().len(),
        2,
        "{second}"
    );
    // A token can be used once.
    assert_eq!(
        post(&served, "/exec/programmatic", &answer(&first)).await.0,
        404
    );
    let end = post(&served, "/exec/programmatic", &answer(&second))
        .await
        .1;
    assert_eq!(
        (&end["status"], &end["stdout"]),
        (&json!("completed"), &json!("before\n2 4 6 1\n")),
        "{end}"
    );
    assert_eq!(
        (&end["tool_calls_made"], &end["files"][0]["name"]),
        (&json!(3), &json!("o.txt"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_tools_are_exceptions_and_failures_of_code_errors() {
    let served = Served::start(config()).await;
    let code = "try:\n    await double_it(n=1)\nexcept Exception as e:\n    print('failed:', e)";
    let first = post(&served, "/exec/programmatic", &programmatic(code))
        .await
        .1;
    let result = json!({ "call_id": first["tool_calls"][0]["id"], "result": null, "is_error": true, "error_message": "out of order" });
    let next =
        json!({ "continuation_token": first["continuation_token"], "tool_results": [result] });
    let end = post(&served, "/exec/programmatic", &next).await.1;
    assert_eq!(end["stdout"], "failed: out of order\n", "{end}");
    let end = post(&served, "/exec/programmatic", &programmatic("1 / 0"))
        .await
        .1;
    assert_eq!(
        (&end["status"], &end["error"]),
        (&json!("error"), &json!("Sandbox exited with code 1"))
    );
    let mut request = programmatic("while True: pass");
    request["timeout"] = 300.into();
    let end = post(&served, "/exec/programmatic", &request).await.1;
    assert_eq!(
        (&end["status"], &end["error"]),
        (&json!("error"), &json!("Time limit exceeded"))
    );
    let mut bash = programmatic("ls");
    bash["lang"] = "bash".into();
    assert_eq!(post(&served, "/exec/programmatic", &bash).await.0, 400);
    for wrong in [
        json!({}),
        json!({ "code": "1" }),
        json!({ "code": "1", "tools": [] }),
        json!({ "continuation_token": "x" }),
    ] {
        assert_eq!(
            post(&served, "/exec/programmatic", &wrong).await.0,
            400,
            "{wrong}"
        );
    }
    let same = json!({ "code": "1", "tools": [{ "name": "a-b" }, { "name": "a b" }] });
    assert_eq!(post(&served, "/exec/programmatic", &same).await.0, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_turns_are_the_tenants_and_few() {
    let mut two = config();
    two.tenants.push(tenant("other", OTHER));
    let served = Served::start(two).await;
    let request = programmatic("print(await double_it(n=1))");
    let first = post(&served, "/exec/programmatic", &request).await.1;
    let result = json!({ "call_id": first["tool_calls"][0]["id"], "result": 2 });
    let next =
        json!({ "continuation_token": first["continuation_token"], "tool_results": [result] });
    assert_eq!(
        post_as(&served, OTHER, "/exec/programmatic", &next).await.0,
        404
    );
    assert_eq!(
        post(&served, "/exec/programmatic", &next).await.1["stdout"],
        "2\n"
    );
    let mut statuses = Vec::new();
    for _ in 0..66 {
        statuses.push(post(&served, "/exec/programmatic", &request).await.0);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 64);
    assert_eq!(statuses.last(), Some(&429));
}
