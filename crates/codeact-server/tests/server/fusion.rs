//! SandboxFusion's `run_code` and `run_jupyter`.

use serde_json::{Value, json};

use crate::support::{Served, config};

async fn post(served: &Served, path: &str, body: &Value) -> (u16, Value) {
    let response = served.post(path, body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_has_exactly_the_fields_of_sandbox_fusion() {
    let served = Served::start(config()).await;
    let request = json!({ "code": "print(input())\n5", "language": "python", "stdin": "hi" });
    let (status, mut result) = post(&served, "/run_code", &request).await;
    assert_eq!(status, 200);
    assert!(result["run_result"]["execution_time"].take().is_f64());
    let expected = json!({
        "status": "Success",
        "message": "",
        "compile_result": null,
        "run_result": {
            "status": "Finished",
            "execution_time": null,
            "return_code": 0,
            "stdout": "hi\n",
            "stderr": "",
        },
        "executor_pod_name": null,
        "files": {},
    });
    assert_eq!(result, expected);
    let request = json!({ "code": "1/0", "language": "python" });
    let (_, result) = post(&served, "/run_code", &request).await;
    assert_eq!(
        (&result["status"], &result["run_result"]["return_code"]),
        (&json!("Failed"), &json!(1))
    );
    let stderr = result["run_result"]["stderr"].as_str().unwrap();
    assert!(
        stderr.contains("File \"main.py\", line 1")
            && stderr.ends_with("ZeroDivisionError: division by zero\n"),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_before_the_code_and_fetched_after_it() {
    let served = Served::start(config()).await;
    let request = json!({
        "code": "text = open('in/a.txt').read()\nopen('out.txt', 'w').write(text * 2)",
        "language": "python",
        "files": { "in/a.txt": "YWI=", "none": null, "IGNORE_THIS_FILE": "YQ==" },
        "fetch_files": ["out.txt", "missing.txt", "in"],
    });
    let (status, result) = post(&served, "/run_code", &request).await;
    assert_eq!(
        (status, &result["files"]),
        (200, &json!({ "out.txt": "YWJhYg==" }))
    );
    // Nothing of it is left.
    let sessions: Value = served
        .get("/v1/sessions")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let deadline = std::time::Instant::now() + crate::support::HANG;
    let mut left = sessions["sessions"].as_array().map_or(0, Vec::len);
    while left > 0 {
        assert!(std::time::Instant::now() < deadline, "{sessions}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let sessions: Value = served
            .get("/v1/sessions")
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        left = sessions["sessions"].as_array().map_or(0, Vec::len);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_of_files_stay_in_the_sandbox() {
    let served = Served::start(config()).await;
    for path in [
        "../../../../etc/passwd",
        "/etc/passwd",
        "/proc/self/environ",
    ] {
        let request = json!({ "code": "pass", "language": "python", "fetch_files": [path] });
        let (_, result) = post(&served, "/run_code", &request).await;
        let text = result["files"].to_string();
        assert!(!text.contains("cm9vd"), "{path}: {text}");
    }
    let request =
        json!({ "code": "print(1)", "language": "python", "files": { "../../../tmp/x": "YQ==" } });
    let (status, _) = post(&served, "/run_code", &request).await;
    assert!([200, 403].contains(&status), "{status}");
    assert!(!std::path::Path::new("/tmp/x").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_end_the_code_and_invalid_requests_are_refused() {
    let served = Served::start(config()).await;
    let request =
        json!({ "code": "print(1)\nwhile True: pass", "language": "python", "run_timeout": 0.5 });
    let (_, result) = post(&served, "/run_code", &request).await;
    let run = &result["run_result"];
    assert_eq!(
        (&result["status"], &run["status"], &run["return_code"]),
        (&json!("Failed"), &json!("TimeLimitExceeded"), &Value::Null)
    );
    assert_eq!(run["stdout"], "1\n");
    let request =
        json!({ "code": "x = bytearray(1 << 28)", "language": "python", "memory_limit_MB": 128 });
    let (_, result) = post(&served, "/run_code", &request).await;
    assert!(
        result["run_result"]["stderr"]
            .as_str()
            .unwrap()
            .contains("MemoryError"),
        "{result}"
    );
    let request = json!({ "code": "fn main() {}", "language": "rust" });
    let (status, result) = post(&served, "/run_code", &request).await;
    assert_eq!((status, &result["status"]), (200, &json!("SandboxError")));
    for wrong in [
        json!({}),
        json!({ "code": "1", "language": "cobol" }),
        json!({ "code": "1", "language": "python", "run_timeout": -1 }),
        json!({ "code": "1", "language": "python", "run_timeout": 0 }),
        json!({ "code": "1", "language": "python", "files": { "a": "not base64!" } }),
        json!({ "code": 1, "language": "python" }),
    ] {
        let (status, result) = post(&served, "/run_code", &wrong).await;
        assert_eq!(status, 422, "{wrong}: {result}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_quota_are_answered_with_429() {
    let mut limited = config();
    limited.tenants[0].quota.turns = 1;
    let served = Served::start(limited).await;
    let slow = json!({ "code": "import time\ntime.sleep(1)", "language": "python" });
    let requests = (0..8).map(|_| served.post("/run_code", &slow).send());
    let responses = futures_util::future::join_all(requests).await;
    let statuses: Vec<u16> = responses
        .into_iter()
        .map(|response| response.unwrap().status().as_u16())
        .collect();
    assert!(
        statuses.contains(&200) && statuses.contains(&429),
        "{statuses:?}"
    );
    let none = served
        .client
        .post(format!("{}/run_code", served.url))
        .json(&slow)
        .send()
        .await
        .unwrap();
    assert_eq!(none.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_share_their_state_and_go_on_after_an_exception() {
    let served = Served::start(config()).await;
    let request = json!({
        "cells": ["a = 'hello'", "a", "import sys\nsys.stderr.write('err\\n')\nprint(a)", "assert False", "print(a)"],
    });
    let (status, result) = post(&served, "/run_jupyter", &request).await;
    assert_eq!(
        (status, &result["status"]),
        (200, &json!("Success")),
        "{result}"
    );
    assert_eq!(result["driver"]["status"], "Finished");
    let cells = &result["cells"];
    assert_eq!(cells[1]["display"][0]["text/plain"], "'hello'");
    assert_eq!(
        (&cells[2]["stdout"], &cells[2]["stderr"]),
        (&json!("hello\n"), &json!("err\n"))
    );
    assert_eq!(cells[3]["error"][0]["ename"], "AssertionError");
    assert_eq!(cells[4]["stdout"], "hello\n");
    for cells in [
        json!(["while True: pass", "1"]),
        json!(["while True: pass"]),
    ] {
        let request = json!({ "cells": cells, "total_timeout": 0.5 });
        let (_, result) = post(&served, "/run_jupyter", &request).await;
        assert_eq!(
            (&result["status"], &result["cells"]),
            (&json!("Failed"), &json!([])),
            "{cells}"
        );
    }
}
