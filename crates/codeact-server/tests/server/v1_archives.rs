//! The own API: archives of sessions, most of them hostile.

use std::io::{Cursor, Read, Write};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::api::{Api, api, api_with, refused};

async fn import(api: &Api, archive: Vec<u8>) -> (StatusCode, Value) {
    let request = api.request(Method::POST, "/v1/sessions/import?id=t");
    let response = request.body(archive).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn exported(api: &Api) -> Vec<u8> {
    api.session("s").await;
    api.run("s", "x = 1").await;
    let response = api
        .request(Method::GET, "/v1/sessions/s/export")
        .send()
        .await
        .unwrap();
    response.bytes().await.unwrap().to_vec()
}

/// Returns an archive with these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Paths and contents of the files of an archive.
type Files = Vec<(String, Vec<u8>)>;

fn files(archive: &[u8]) -> Files {
    let mut zip = ZipArchive::new(Cursor::new(archive)).unwrap();
    (0..zip.len())
        .map(|i| {
            let mut file = zip.by_index(i).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            (file.name().to_owned(), content)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_archives_are_refused_and_leave_nothing() {
    let api = api().await;
    let good = exported(&api).await;
    let parts = files(&good);
    let with = |change: &dyn Fn(&mut Files)| {
        let mut parts = parts.clone();
        change(&mut parts);
        let parts: Vec<_> = parts
            .iter()
            .map(|(n, c)| (n.as_str(), c.as_slice()))
            .collect();
        archive(&parts)
    };
    let snapshot = |parts: &mut Files, change: &dyn Fn(&mut Vec<u8>)| {
        let found = parts
            .iter_mut()
            .find(|(name, _)| name.ends_with(".snapshot"));
        change(&mut found.unwrap().1);
    };
    let zeros = vec![0; 200 << 20];
    for (about, hostile) in [
        ("no archive", b"PK\x03\x04 nonsense".to_vec()),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("traversal", archive(&[("../000001.json", b"{}")])),
        ("absolute", archive(&[("/tmp/000001.json", b"{}")])),
        (
            "a foreign file",
            with(&|parts| parts.push(("settings".into(), b"{}".to_vec()))),
        ),
        ("a gap", archive(&[("000002.json", b"{}")])),
        (
            "a record that is no record",
            archive(&[("000001.json", b"[]")]),
        ),
        (
            "no state",
            with(&|parts| parts.retain(|(name, _)| name.ends_with(".json"))),
        ),
        ("a bomb", archive(&[("000001.json", &zeros)])),
        (
            "a changed snapshot",
            with(&|parts| snapshot(parts, &|bytes| bytes[100] ^= 1)),
        ),
        (
            "a short snapshot",
            with(&|parts| snapshot(parts, &|bytes| bytes.truncate(50))),
        ),
    ] {
        let response = import(&api, hostile).await;
        refused(&response, 400, "invalid_archive");
        let text = response.1.to_string();
        assert!(
            !text.contains("/.tmp") && !text.contains("sessions/"),
            "{about}: {text}"
        );
        refused(&api.get("/v1/sessions/t").await, 404, "missing_session");
    }
    refused(&import(&api, Vec::new()).await, 400, "bad_request");
    let sessions = api.get("/v1/sessions").await.1;
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(import(&api, good).await.0, 201);
    assert_eq!(api.run("t", "x").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_larger_than_the_quota_is_refused() {
    let api = api_with(|config| config.tenants[0].quota.disk = 100_000).await;
    refused(
        &import(&api, vec![0; 200_000]).await,
        413,
        "payload_too_large",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_session_has_only_the_grants_of_its_tenant() {
    let api = api().await;
    let good = exported(&api).await;
    let mut parts = files(&good);
    // Settings come from the request; an archive has none.
    parts.retain(|(name, _)| name != "settings");
    let parts: Vec<_> = parts
        .iter()
        .map(|(n, c)| (n.as_str(), c.as_slice()))
        .collect();
    let (status, session) = import(&api, archive(&parts)).await;
    assert_eq!(status, 201, "{session}");
    assert_eq!(
        (&session["packages"], &session["env"]),
        (&json!([]), &json!({}))
    );
}
