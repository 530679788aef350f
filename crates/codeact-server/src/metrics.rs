//! Figures of the process in the text format of Prometheus.
//!
//! The number of series is bounded: labels are a class of routes, a status, an outcome, and the name of a tenant, which
//! the operator chose.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::AppState;
use crate::auth::Caller;
use crate::error::ApiError;

/// Figures of all requests of the process.
pub(crate) static REQUESTS: Requests = Requests::new();

/// Limit of the tenants that have series of their own.
const MAX_TENANTS: usize = 1000;
/// Upper bounds of the buckets of times, in microseconds.
const BOUNDS: [u64; 14] = [
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
];
/// Content type of the format.
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Class of a route, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteClass {
    V1,
    E2b,
    Jupyter,
    Compat,
    Operation,
    Other,
}

impl RouteClass {
    const ALL: [Self; 6] = [
        Self::V1,
        Self::E2b,
        Self::Jupyter,
        Self::Compat,
        Self::Operation,
        Self::Other,
    ];

    /// Returns the class of a path, by its first segment.
    pub(crate) fn of(path: &str) -> Self {
        let mut segments = path.split('/').skip(1);
        let first = segments.next().unwrap_or_default();
        match (first, segments.next()) {
            ("v1", Some("health")) => Self::Compat,
            ("v1", _) => Self::V1,
            (
                "e2b" | "v2" | "sandboxes" | "snapshots" | "templates" | "volumes" | "execute"
                | "contexts" | "health",
                _,
            )
            | ("filesystem.Filesystem" | "process.Process" | "files", _) => Self::E2b,
            ("api" | "login", _) => Self::Jupyter,
            ("run_code" | "exec" | "upload" | "download", _) => Self::Compat,
            ("healthz" | "readyz" | "metrics" | "docs" | "openapi.json", _) => Self::Operation,
            _ => Self::Other,
        }
    }

    /// Returns the label.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::E2b => "e2b",
            Self::Jupyter => "jupyter",
            Self::Compat => "compat",
            Self::Operation => "operation",
            Self::Other => "other",
        }
    }
}

/// Statuses that are counted as themselves; others are counted as the last of their hundred here.
const STATUSES: [u16; 20] = [
    101, 200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 409, 413, 415, 422, 429, 499, 500, 503,
    599,
];

/// Numbers and times of requests.
pub(crate) struct Requests {
    counts: [[AtomicU64; STATUSES.len()]; RouteClass::ALL.len()],
    times: [Histogram; RouteClass::ALL.len()],
}

impl Requests {
    const fn new() -> Self {
        Self {
            counts: [const { [const { AtomicU64::new(0) }; STATUSES.len()] };
                RouteClass::ALL.len()],
            times: [const { Histogram::new() }; RouteClass::ALL.len()],
        }
    }

    /// Counts an answered request. `elapsed` is the time until its head was ready.
    pub(crate) fn count(&self, class: RouteClass, status: StatusCode, elapsed: Duration) {
        let status = status.as_u16();
        let exact = STATUSES.iter().position(|known| *known == status);
        let same_hundred = || {
            STATUSES
                .iter()
                .rposition(|known| known / 100 == status / 100)
        };
        let position = exact.or_else(same_hundred).unwrap_or(STATUSES.len() - 1);
        if let Some(count) = self
            .counts
            .get(class as usize)
            .and_then(|counts| counts.get(position))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(times) = self.times.get(class as usize) {
            times.observe(elapsed);
        }
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        head(
            text,
            "codeact_http_requests_total",
            "counter",
            "Answered requests.",
        )?;
        for (class, counts) in RouteClass::ALL.iter().zip(&self.counts) {
            for (status, count) in STATUSES.iter().zip(counts) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    writeln!(
                        text,
                        "codeact_http_requests_total{{class=\"{}\",status=\"{status}\"}} {count}",
                        class.name()
                    )?;
                }
            }
        }
        let name = "codeact_http_request_seconds";
        head(
            text,
            name,
            "histogram",
            "Time until the head of the response.",
        )?;
        for (class, times) in RouteClass::ALL.iter().zip(&self.times) {
            times.write(text, name, &format!("class=\"{}\"", class.name()))?;
        }
        Ok(())
    }
}

/// Numbers of times by their upper bounds.
pub(crate) struct Histogram {
    /// The last one is of times above all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Histogram {
    const fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BOUNDS.len() + 1],
            micros: AtomicU64::new(0),
        }
    }

    fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Writes the series `name` with `labels`, unless nothing was observed.
    fn write(&self, text: &mut String, name: &str, labels: &str) -> fmt::Result {
        let mut total = 0;
        let counts: Vec<_> = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        if counts.iter().all(|count| *count == 0) {
            return Ok(());
        }
        for (bound, count) in BOUNDS.iter().zip(&counts) {
            total += count;
            let bound = *bound as f64 / 1e6;
            writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}")?;
        }
        total += counts.last().unwrap_or(&0);
        let seconds = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}")?;
        writeln!(text, "{name}_sum{{{labels}}} {seconds}")?;
        writeln!(text, "{name}_count{{{labels}}} {total}")
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}")?;
    writeln!(text, "# TYPE {name} {kind}")
}

/// Returns the routes.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/metrics", get(metrics))
}

/// `GET /metrics`: for tenants whose requests may read the figures of the whole server.
async fn metrics(
    State(app): State<AppState>,
    Caller(tenant): Caller,
) -> Result<Response, ApiError> {
    if !tenant.grants.config.is_operator {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not_operator",
            "the metrics are of all tenants, and only tenants that the server's configuration calls operators may read \
             them",
        ));
    }
    let text = tokio::task::spawn_blocking(move || render(&app)).await;
    let text = text
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, CONTENT)], text).into_response())
}

fn render(app: &AppState) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let stats = app.manager.stats();
    let gauges = [
        (
            "codeact_sessions",
            "Sessions, live and idle.",
            stats.sessions as u64,
        ),
        (
            "codeact_sessions_live",
            "Sessions in memory.",
            stats.live as u64,
        ),
        (
            "codeact_turns_running",
            "Sessions with a running turn.",
            stats.running as u64,
        ),
        (
            "codeact_requests_in_sessions",
            "Requests that run in a session or wait for it.",
            stats.waiting as u64,
        ),
        (
            "codeact_sessions_memory_bytes",
            "Memory of live sessions, approximate.",
            stats.memory,
        ),
    ];
    let counters = [
        (
            "codeact_turns_begun_total",
            "Turns that were begun.",
            stats.turns,
        ),
        (
            "codeact_session_evictions_total",
            "Sessions that were written out and dropped from memory.",
            stats.evictions,
        ),
        (
            "codeact_session_wakes_total",
            "Sessions that were brought back.",
            stats.wakes,
        ),
    ];
    for (kind, list) in [("gauge", &gauges[..]), ("counter", &counters)] {
        for (name, help, value) in list {
            head(&mut text, name, kind, help)?;
            writeln!(text, "{name} {value}")?;
        }
    }
    if let Some(bytes) = resident_bytes() {
        let name = "process_resident_memory_bytes";
        head(&mut text, name, "gauge", "Resident memory of the server.")?;
        writeln!(text, "{name} {bytes}")?;
    }
    turns(&mut text, app)?;
    tenants(&mut text, app)?;
    REQUESTS.write(&mut text)?;
    Ok(text)
}

fn turns(text: &mut String, app: &AppState) -> fmt::Result {
    let figures = app.manager.turn_figures();
    let name = "codeact_turns_total";
    head(text, name, "counter", "Finished turns.")?;
    for (status, count) in &figures.statuses {
        writeln!(text, "{name}{{outcome=\"{}\"}} {count}", status.as_str())?;
    }
    let name = "codeact_turn_seconds";
    head(text, name, "histogram", "Wall time of finished turns.")?;
    let mut total = 0;
    for (bound, count) in &figures.times {
        total += count;
        match *bound {
            u64::MAX => writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {total}")?,
            bound => writeln!(
                text,
                "{name}_bucket{{le=\"{}\"}} {total}",
                bound as f64 / 1e6
            )?,
        }
    }
    writeln!(text, "{name}_sum {}", figures.micros as f64 / 1e6)?;
    writeln!(text, "{name}_count {total}")
}

fn tenants(text: &mut String, app: &AppState) -> fmt::Result {
    let usage: Vec<_> = (app.tokens.all().into_iter().take(MAX_TENANTS))
        .map(|tenant| (tenant.sessions.name(), tenant.sessions.usage()))
        .collect();
    type Value = fn(&codeact_sessions::manager::TenantUsage) -> u64;
    let series: [(&str, &str, Value); 4] = [
        (
            "codeact_tenant_sessions",
            "Sessions of a tenant, live and idle.",
            |usage| usage.sessions as u64,
        ),
        (
            "codeact_tenant_turns",
            "Turns of a tenant that run or wait.",
            |usage| usage.turns as u64,
        ),
        (
            "codeact_tenant_memory_bytes",
            "Memory of a tenant's live sessions.",
            |usage| usage.memory,
        ),
        (
            "codeact_tenant_disk_bytes",
            "Disk space of a tenant's sessions.",
            |usage| usage.disk,
        ),
    ];
    for (name, help, value) in series {
        head(text, name, "gauge", help)?;
        for (tenant, usage) in &usage {
            writeln!(text, "{name}{{tenant=\"{tenant}\"}} {}", value(usage))?;
        }
    }
    Ok(())
}

/// Returns the resident memory of the process, where the system shows it as a file.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_class_and_status_and_time() {
        let requests = Requests::new();
        let ms = Duration::from_millis;
        requests.count(RouteClass::V1, StatusCode::OK, ms(1));
        requests.count(RouteClass::V1, StatusCode::OK, ms(2));
        requests.count(
            RouteClass::V1,
            StatusCode::IM_A_TEAPOT,
            Duration::from_secs(10_000),
        );
        let mut text = String::new();
        requests.write(&mut text).expect("a string takes all");
        for line in [
            "codeact_http_requests_total{class=\"v1\",status=\"200\"} 2",
            "codeact_http_requests_total{class=\"v1\",status=\"499\"} 1",
            "codeact_http_request_seconds_bucket{class=\"v1\",le=\"0.001\"} 1",
            "codeact_http_request_seconds_bucket{class=\"v1\",le=\"0.0025\"} 2",
            "codeact_http_request_seconds_bucket{class=\"v1\",le=\"300\"} 2",
            "codeact_http_request_seconds_bucket{class=\"v1\",le=\"+Inf\"} 3",
            "codeact_http_request_seconds_count{class=\"v1\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
