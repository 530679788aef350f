//! The OpenAPI document and the page that shows it.

use crate::api::api;
use crate::clients;

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_valid_openapi() {
    let api = api().await;
    let url = format!("{}/openapi.json", api.served.url);
    // No token is needed.
    let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
    let Some(python) = clients::python(&["openapi-spec-validator==0.7.2"]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, text).unwrap();
    let checked = std::process::Command::new(python)
        .args(["-m", "openapi_spec_validator"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_other_hosts() {
    let api = api().await;
    for (path, media_type) in [
        ("/docs", "text/html"),
        ("/docs/docs.css", "text/css"),
        ("/docs/docs.js", "text/javascript"),
    ] {
        let response = reqwest::get(format!("{}{path}", api.served.url))
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        assert!(
            headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with(media_type)
        );
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(!response.text().await.unwrap().contains("://"));
    }
}
