//! A sandbox, and requests to its envd that no SDK sends.

use codeact::sandbox::Limits;
use codeact_server::ServerConfig;
use serde_json::{Value, json};

use crate::support::{HANG, Served, TOKEN, config};

/// Limit of the files of a sandbox of these tests, in bytes.
const FILE_BYTES: u64 = 8 << 20;

/// Returns the configuration of a server whose tenants have small sandboxes.
pub(crate) fn small_config() -> ServerConfig {
    let mut config = config();
    for tenant in &mut config.tenants {
        tenant.limits = Limits::new().with_wall(HANG).with_file_bytes(FILE_BYTES);
    }
    config
}

/// A sandbox, for requests of any shape.
pub(crate) struct Sandbox {
    pub(crate) served: Served,
    pub(crate) id: String,
    token: String,
}

impl Sandbox {
    /// Starts a server and makes a sandbox.
    pub(crate) async fn new() -> Self {
        Self::with(small_config()).await
    }

    /// Starts a server with `config` and makes a sandbox of its first tenant.
    pub(crate) async fn with(config: ServerConfig) -> Self {
        let served = Served::start(config).await;
        let body = json!({"templateID": "base", "timeout": 600});
        let response = served.client.post(format!("{}/sandboxes", served.url));
        let response = response
            .header("X-API-Key", TOKEN)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 201);
        let made: Value = response.json().await.unwrap();
        Self {
            id: made["sandboxID"].as_str().unwrap().to_owned(),
            token: made["envdAccessToken"].as_str().unwrap().to_owned(),
            served,
        }
    }

    /// Returns a request to the envd of the sandbox.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.served.url);
        let request = self.served.client.request(method.parse().unwrap(), url);
        request
            .header("E2b-Sandbox-Id", &self.id)
            .header("E2b-Sandbox-Port", "49983")
            .header("X-Access-Token", &self.token)
    }

    /// Starts a command of a shell, and returns the response, whose body goes on while it runs.
    pub(crate) async fn start(&self, command: &str) -> reqwest::Response {
        let process = json!({"cmd": "/bin/bash", "args": ["-l", "-c", command]});
        let start = json!({"process": process, "stdin": false}).to_string();
        let sent = self.stream("/process.Process/Start", envelope(0, start.as_bytes()));
        sent.send().await.unwrap()
    }

    /// Runs a command of a shell, and returns the messages of its stream as text.
    pub(crate) async fn run(&self, command: &str) -> String {
        let body = self.start(command).await.bytes().await.unwrap();
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Returns a request of the Connect protocol that streams.
    pub(crate) fn stream(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::RequestBuilder {
        let request = self.request("POST", path).body(body);
        request.header("Content-Type", "application/connect+json")
    }
}

/// Returns a message of a stream in the Connect protocol.
pub(crate) fn envelope(flags: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}
