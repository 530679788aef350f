//! The own API: files of sessions.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::api::{Api, api, api_with, refused};
use crate::support::TOKEN;

async fn put(api: &Api, path: &str, content: Vec<u8>) -> StatusCode {
    let request = api.request(Method::PUT, &format!("/v1/sessions/s/files/{path}"));
    request.body(content).send().await.unwrap().status()
}

async fn get(api: &Api, path: &str) -> (StatusCode, Vec<u8>) {
    let request = api.request(Method::GET, &format!("/v1/sessions/s/files/{path}"));
    let response = request.send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_up_and_down_by_path() {
    let api = api().await;
    api.session("s").await;
    let large: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7) as u8).collect();
    for (path, seen, content) in [
        ("a.bin", "/home/user/a.bin", vec![0, 255]),
        (
            "deep/er/%C3%A9%20x.txt",
            "/home/user/deep/er/é x.txt",
            b"text".to_vec(),
        ),
        ("%2Ftmp%2Fb", "/tmp/b", large),
        ("empty", "/home/user/empty", Vec::new()),
    ] {
        assert_eq!(put(&api, path, content.clone()).await, 200, "{path}");
        assert_eq!(
            get(&api, path).await,
            (StatusCode::OK, content.clone()),
            "{path}"
        );
        let code = format!(
            "import zlib; zlib.crc32(open({seen:?}, 'rb').read()), len(open({seen:?}, 'rb').read())"
        );
        let result = api.run("s", &code).await;
        assert!(
            result
                .as_str()
                .unwrap()
                .ends_with(&format!(", {})", content.len())),
            "{result}"
        );
    }
    let listing = api.get("/v1/sessions/s/files").await.1;
    let names: Vec<&str> = (listing["entries"].as_array().unwrap().iter())
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a.bin", "deep", "empty"]);
    let folder = api.get("/v1/sessions/s/files?path=deep/er").await.1;
    assert_eq!(folder["entries"][0]["path"], "/home/user/deep/er/é x.txt");
    assert_eq!(folder["entries"][0]["kind"], "file");
    let head = api
        .request(Method::HEAD, "/v1/sessions/s/files/a.bin")
        .send()
        .await
        .unwrap();
    assert_eq!(head.headers()["content-length"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_are_removed() {
    let api = api().await;
    api.session("s").await;
    put(&api, "d/a", b"1".to_vec()).await;
    let delete = |path: &'static str| api.call(Method::DELETE, path, None);
    refused(&delete("/v1/sessions/s/files/d").await, 409, "exists");
    assert_eq!(delete("/v1/sessions/s/files/d?recursive=true").await.0, 204);
    refused(&delete("/v1/sessions/s/files/d").await, 404, "missing_file");
    refused(
        &delete("/v1/sessions/s/files/%2Fusr%2Fnothing").await,
        404,
        "missing_file",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_files_name_them() {
    let api = api_with(|config| config.tenants[0].limits.file_bytes = 1000).await;
    api.session("s").await;
    put(&api, "d/a", b"1".to_vec()).await;
    refused(
        &api.get("/v1/sessions/s/files/none").await,
        404,
        "missing_file",
    );
    refused(&api.get("/v1/sessions/s/files/d").await, 400, "is_a_folder");
    refused(
        &api.get("/v1/sessions/s/files?path=d/a").await,
        400,
        "not_a_folder",
    );
    assert_eq!(put(&api, "d", b"1".to_vec()).await, 400);
    assert_eq!(put(&api, "large", vec![0; 2000]).await, 507);
    assert_eq!(put(&api, &"x".repeat(300), b"1".to_vec()).await, 400);
    let body = json!({"code": "1", "files": {"big": {"text": "x".repeat(2000)}}});
    refused(&api.post("/v1/execute", body).await, 507, "no_space");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_cannot_leave_the_sandbox() {
    let secret = tempfile::tempdir().unwrap();
    let file = secret.path().join("secret.txt");
    std::fs::write(&file, "secret").unwrap();
    let api = api().await;
    api.session("s").await;
    api.run(
        "s",
        "import os; os.symlink('/', 'root'); os.symlink('../' * 30, 'up')",
    )
    .await;
    let absolute = file.to_str().unwrap().trim_start_matches('/').to_owned();
    for prefix in [
        "../../../../../../../../",
        "..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/",
        "..%5c..%5c..%5c",
        "%2F",
        "%2F%2F",
        "root/",
        "up/",
        "./.%2e/./",
        "..%252f..%252f..%252f",
    ] {
        let path = format!("{prefix}{absolute}");
        // Sent as it is: a client library would resolve the dots.
        let answer = raw_get(&api, &format!("/v1/sessions/s/files/{path}")).await;
        assert!(
            !answer.contains("secret\r") && !answer.ends_with("secret"),
            "{path}: {answer}"
        );
        let status = answer.split(' ').nth(1).unwrap();
        assert!(["404", "400"].contains(&status), "{path}: {answer}");
    }
    let answer = raw_get(&api, "/v1/sessions/s/files/a%00b").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let answer = raw_get(&api, "/v1/sessions/s/files/a%ff").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "secret");
}

/// Sends a GET request with this path, and returns the response with its head.
async fn raw_get(api: &Api, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = api.served.address;
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
