//! What the tests of MCP servers share: the scripted server, and what is told of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codeact::Sandbox;
use codeact::event::{Event, EventSink, ServerState};
use codeact::sandbox::Execution;
use codeact::tools::Tools;
use codeact::tools::mcp::{ServerOptions, ServerSpec, Servers};

use crate::support::{result, sandbox, shown};

/// Name, state, number of tools and reason.
type One = (String, ServerState, usize, String);

/// What servers have told.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<One>>>);

impl Told {
    pub fn sink(&self) -> EventSink {
        let all = self.0.clone();
        EventSink::new(move |event| {
            if let Event::Server {
                name,
                state,
                tools,
                reason,
            } = event
            {
                let reason = reason.unwrap_or_default();
                all.lock().unwrap().push((name, state, tools, reason));
            }
        })
    }

    pub fn all(&self) -> Vec<One> {
        self.0.lock().unwrap().clone()
    }

    /// The reasons of those of `state`.
    pub fn reasons(&self, state: ServerState) -> Vec<String> {
        let all = self.all().into_iter().filter(|told| told.1 == state);
        all.map(|told| told.3).collect()
    }

    /// Waits until there is an event of `state`.
    pub async fn wait_for(&self, state: ServerState) {
        wait_until(|| self.all().iter().any(|told| told.1 == state)).await;
    }
}

/// Waits for something that will be: however long it takes on this machine.
pub async fn wait_until(there: impl Fn() -> bool) {
    for _ in 0..6000 {
        if there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("what was waited for did not happen");
}

pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mcp_server.py")
}

/// A server of `mode`, named `s`.
pub fn spec(mode: &str) -> ServerSpec {
    format!("s=python3 '{}' {mode}", script().display())
        .parse()
        .unwrap()
}

pub fn options(change: impl FnOnce(&mut ServerOptions)) -> ServerOptions {
    let mut options = ServerOptions::default();
    change(&mut options);
    options
}

/// A sandbox with a server of `mode`.
pub async fn with(mode: &str) -> (Sandbox, Told) {
    with_options(spec(mode), ServerOptions::default()).await
}

pub async fn with_options(spec: ServerSpec, options: ServerOptions) -> (Sandbox, Told) {
    let told = Told::default();
    let servers = Servers::connect_with([spec], told.sink(), options).await;
    (sandbox().tools(Tools::new().servers(servers)), told)
}

pub async fn run(sandbox: &Sandbox, code: &str) -> Execution {
    sandbox.run(code).await.unwrap()
}

#[track_caller]
pub fn is(execution: &Execution, expected: &str) {
    assert_eq!(result(execution), expected, "{}", shown(execution));
}

/// The lines that a server has left.
pub fn lines(marker: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(marker).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

pub fn marked(mode: &str, marker: &Path) -> ServerSpec {
    let (script, marker) = (script(), marker.display());
    format!(
        "s=python3 '{}' --marker '{marker}' {mode}",
        script.display()
    )
    .parse()
    .unwrap()
}
