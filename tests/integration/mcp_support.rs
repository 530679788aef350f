//! Support for tests of MCP servers: the scripted server and its events.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use codeact::Sandbox;
use codeact::event::{Event, EventSink, ServerState};
use codeact::sandbox::Execution;
use codeact::tools::Tools;
use codeact::tools::mcp::{ServerOptions, ServerSpec, Servers};

use crate::support::{result, sandbox_with_tools, shown};

/// Name, state, number of tools and reason.
type ServerEvent = (String, ServerState, usize, String);

/// Events of servers.
#[derive(Clone, Default)]
pub struct EventLog(Arc<Mutex<Vec<ServerEvent>>>);

impl EventLog {
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

    pub fn all(&self) -> Vec<ServerEvent> {
        self.0.lock().unwrap().clone()
    }

    /// Returns the reasons of the events with `state`.
    pub fn reasons(&self, state: ServerState) -> Vec<String> {
        let all = self.all().into_iter().filter(|event| event.1 == state);
        all.map(|event| event.3).collect()
    }

    /// Waits for an event with `state`.
    pub async fn wait_for(&self, state: ServerState) {
        wait_until(|| self.all().iter().any(|event| event.1 == state)).await;
    }
}

/// Waits until `holds` returns true. Panics after a minute.
pub async fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition did not become true within a minute");
}

pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mcp_server.py")
}

/// Returns a server of `mode`, named `s`.
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

/// Returns a sandbox with a server of `mode`.
pub async fn with(mode: &str) -> (Sandbox, EventLog) {
    with_options(spec(mode), ServerOptions::default()).await
}

pub async fn with_options(spec: ServerSpec, options: ServerOptions) -> (Sandbox, EventLog) {
    let events = EventLog::default();
    let servers = Servers::connect_with([spec], events.sink(), options).await;
    (sandbox_with_tools(Tools::new().servers(servers)), events)
}

pub async fn run(sandbox: &Sandbox, code: &str) -> Execution {
    sandbox.run(code).await.unwrap()
}

#[track_caller]
pub fn is(execution: &Execution, expected: &str) {
    assert_eq!(result(execution), expected, "{}", shown(execution));
}

/// Returns the lines of a marker file.
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
