//! Jupyter sessions, contents and the log-in.

use serde_json::{Value, json};

use crate::jupyter_support::{Connection, content, stdout};
use crate::support::{Served, TOKEN, config};

async fn send(served: &Served, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let response = served
        .request(method, path)
        .json(body)
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

async fn get(served: &Served, path: &str) -> (u16, Value) {
    let response = served.get(path).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_gives_a_document_a_kernel_with_the_files_of_the_workspace() {
    let served = Served::start(config()).await;
    let file = json!({ "type": "file", "format": "text", "content": "a,b\n" });
    assert_eq!(
        send(&served, "PUT", "/api/contents/data.csv", &file)
            .await
            .0,
        201
    );
    let wanted = json!({ "path": "a.ipynb", "name": "a", "type": "notebook", "kernel": { "name": "python3" } });
    let (status, session) = send(&served, "POST", "/api/sessions", &wanted).await;
    assert_eq!((status, &session["path"]), (201, &json!("a.ipynb")));
    let again = send(&served, "POST", "/api/sessions", &wanted).await.1;
    assert_eq!(
        (&again["id"], &again["kernel"]["id"]),
        (&session["id"], &session["kernel"]["id"])
    );
    let kernel = session["kernel"]["id"].as_str().unwrap();
    let mut connection = Connection::open(&served, kernel).await;
    let messages = connection
        .run("print(open('data.csv').read())\nopen('out.txt', 'w').write('x')")
        .await;
    assert_eq!(stdout(&messages), "a,b\n\n");
    let (_, out) = get(&served, &format!("/api/contents/kernels/{kernel}/out.txt")).await;
    assert_eq!(out["content"], "x");

    let path = format!("/api/sessions/{}", session["id"].as_str().unwrap());
    let (status, renamed) = send(&served, "PATCH", &path, &json!({ "path": "b.ipynb" })).await;
    assert_eq!((status, &renamed["path"]), (200, &json!("b.ipynb")));
    assert_eq!(get(&served, "/api/sessions").await.1[0]["path"], "b.ipynb");
    assert_eq!(send(&served, "DELETE", &path, &json!({})).await.0, 204);
    assert_eq!(get(&served, &path).await.0, 404);
    assert_eq!(get(&served, &format!("/api/kernels/{kernel}")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_are_saved_listed_renamed_and_removed() {
    let served = Served::start(config()).await;
    let notebook = json!({ "cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5 });
    let saved = json!({ "type": "notebook", "format": "json", "content": notebook });
    let (status, model) = send(&served, "PUT", "/api/contents/work/n.ipynb", &saved).await;
    assert_eq!(
        (status, &model["type"], &model["content"]),
        (201, &json!("notebook"), &Value::Null)
    );
    assert_eq!(
        send(&served, "PUT", "/api/contents/work/n.ipynb", &saved)
            .await
            .0,
        200
    );
    assert_eq!(
        get(&served, "/api/contents/work/n.ipynb").await.1["content"],
        notebook
    );
    let bytes = json!({ "type": "file", "format": "base64", "content": "/wA=" });
    assert_eq!(
        send(&served, "PUT", "/api/contents/work/b.bin", &bytes)
            .await
            .0,
        201
    );
    let (_, read) = get(&served, "/api/contents/work/b.bin").await;
    assert_eq!(
        (&read["format"], &read["content"]),
        (&json!("base64"), &json!("/wA="))
    );
    assert_eq!(
        get(&served, "/api/contents/work/b.bin?format=text").await.0,
        400
    );
    let (_, folder) = get(&served, "/api/contents/work").await;
    let names: Vec<_> = folder["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["name"])
        .collect();
    assert_eq!(names, [&json!("b.bin"), &json!("n.ipynb")]);
    assert_eq!(
        get(&served, "/api/contents/work?content=0").await.1["content"],
        Value::Null
    );

    let (status, untitled) = send(
        &served,
        "POST",
        "/api/contents/work",
        &json!({ "type": "notebook" }),
    )
    .await;
    assert_eq!(
        (status, &untitled["path"]),
        (201, &json!("work/Untitled.ipynb"))
    );
    let copy = json!({ "copy_from": "work/n.ipynb" });
    let (status, copied) = send(&served, "POST", "/api/contents/work", &copy).await;
    assert_eq!(
        (status, &copied["path"]),
        (201, &json!("work/n-Copy1.ipynb"))
    );

    let checkpoints = "/api/contents/work/n.ipynb/checkpoints";
    assert_eq!(get(&served, checkpoints).await.1, json!([]));
    assert_eq!(send(&served, "POST", checkpoints, &json!({})).await.0, 201);
    let other = json!({ "type": "file", "format": "text", "content": "{}" });
    send(&served, "PUT", "/api/contents/work/n.ipynb", &other).await;
    let restore = format!("{checkpoints}/checkpoint");
    assert_eq!(send(&served, "POST", &restore, &json!({})).await.0, 204);
    assert_eq!(
        get(&served, "/api/contents/work/n.ipynb").await.1["content"],
        notebook
    );
    assert_eq!(send(&served, "DELETE", &restore, &json!({})).await.0, 204);
    assert_eq!(get(&served, checkpoints).await.1, json!([]));

    let to = json!({ "path": "work/m.ipynb" });
    assert_eq!(
        send(&served, "PATCH", "/api/contents/work/n.ipynb", &to)
            .await
            .0,
        200
    );
    assert_eq!(
        send(&served, "PATCH", "/api/contents/work/b.bin", &to)
            .await
            .0,
        409
    );
    assert_eq!(get(&served, "/api/contents/work/n.ipynb").await.0, 404);
    assert_eq!(
        send(&served, "DELETE", "/api/contents/work", &json!({}))
            .await
            .0,
        409
    );
    assert_eq!(
        send(&served, "DELETE", "/api/contents/work/m.ipynb", &json!({}))
            .await
            .0,
        204
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_outside_the_home_folder_cannot_be_reached() {
    let served = Served::start(config()).await;
    let file = json!({ "type": "file", "format": "text", "content": "x" });
    for path in [
        "../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "a/..%2f..%2fetc",
        "kernels/%2e%2e/x",
        "a%00b",
        "..%5cx",
    ] {
        let request = |method: &str| {
            format!(
                "{method} /api/contents/{path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: token {TOKEN}\r\nconnection: close\r\n\r\n"
            )
        };
        // As it is: a client would resolve the dots.
        let answer = tokio::task::block_in_place(|| served.raw(request("GET")));
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "404"].contains(&status), "{path}: {answer}");
    }
    for path in ["kernels", "kernels/x/y", ""] {
        let (status, _) = send(&served, "PUT", &format!("/api/contents/{path}"), &file).await;
        assert!([400, 404, 405].contains(&status), "{path}: {status}");
    }
    let to = json!({ "path": "../../tmp/x" });
    send(&served, "PUT", "/api/contents/a", &file).await;
    assert_eq!(send(&served, "PATCH", "/api/contents/a", &to).await.0, 404);
    let copy = json!({ "copy_from": "../../etc/passwd" });
    assert_eq!(send(&served, "POST", "/api/contents", &copy).await.0, 404);
    let extension = json!({ "type": "file", "ext": "/../../x" });
    assert_eq!(
        send(&served, "POST", "/api/contents", &extension).await.0,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_needs_the_password_and_repeats_the_cookie_to_change_things() {
    let served = Served::start(config()).await;
    let client = &served.client;
    let form = client
        .get(format!("{}/login", served.url))
        .send()
        .await
        .unwrap();
    let cookie = form.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let xsrf = cookie.strip_prefix("_xsrf=").unwrap();
    let post = |cookie: &str, body: String| {
        let request = client
            .post(format!("{}/login", served.url))
            .header("cookie", cookie);
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    };
    let wrong = post(&cookie, format!("_xsrf={xsrf}&password=wrong"))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 403);
    let forged = post("", format!("_xsrf={xsrf}&password={TOKEN}"))
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), 403);
    let no_redirect = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let request = post(&cookie, format!("_xsrf={xsrf}&password={TOKEN}"))
        .build()
        .unwrap();
    let response = no_redirect.execute(request).await.unwrap();
    assert_eq!(response.status(), 302);
    let login = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        login.contains("HttpOnly") && login.contains("SameSite=Strict"),
        "{login}"
    );
    let both = format!("{cookie}; {}", login.split(';').next().unwrap());
    let kernels = format!("{}/api/kernels", served.url);
    let list = client
        .get(&kernels)
        .header("cookie", &both)
        .send()
        .await
        .unwrap();
    assert_eq!(list.status(), 200);
    let forged = client
        .post(&kernels)
        .header("cookie", &both)
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), 403);
    let made = client
        .post(&kernels)
        .header("cookie", &both)
        .header("X-XSRFToken", xsrf);
    assert_eq!(made.send().await.unwrap().status(), 201);
    let none = client.get(&kernels).send().await.unwrap();
    assert_eq!(none.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kernel_of_a_session_that_is_given_by_its_identifier_is_used() {
    let served = Served::start(config()).await;
    let id = crate::jupyter_support::kernel(&served).await;
    let wanted = json!({ "path": "x.py", "type": "file", "kernel": { "id": id } });
    let (status, session) = send(&served, "POST", "/api/sessions", &wanted).await;
    assert_eq!((status, &session["kernel"]["id"]), (201, &json!(id)));
    let mut connection = Connection::open(&served, &id).await;
    let messages = connection.run("1").await;
    assert_eq!(content(&messages, "execute_reply")["status"], "ok");
}
