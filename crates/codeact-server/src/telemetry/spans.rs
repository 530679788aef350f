//! Spans in the JSON form of the OpenTelemetry protocol (OTLP 1.x, `ExportTraceServiceRequest`).

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::Attributes;

/// Limit of the length of an attribute, in bytes.
const MAX_VALUE_BYTES: usize = 1024;
/// Limit of the attributes of a span.
const MAX_ATTRIBUTES: usize = 32;
/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
const KINDS: [u8; 2] = [1, 2];

/// A span that is open or finished.
#[derive(Debug, Clone)]
pub(super) struct SpanData {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    name: String,
    start: u64,
    end: u64,
    fields: Fields,
}

/// Attributes of a span.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl SpanData {
    /// Returns a span that begins now. Its trace and parent are those of `parent`.
    pub(super) fn new(attributes: &Attributes<'_>, parent: Option<(&[u8; 16], &[u8; 8])>) -> Self {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let trace = match parent {
            Some((trace, _)) => *trace,
            None => random(),
        };
        Self {
            trace,
            id: random(),
            parent: parent.map(|(_, id)| *id),
            name: attributes.metadata().name().to_owned(),
            start: now(),
            end: 0,
            fields,
        }
    }

    /// Returns the attributes, to record further ones.
    pub(super) fn fields(&mut self) -> &mut Fields {
        &mut self.fields
    }

    /// Ends the span now.
    pub(super) fn end(&mut self) {
        self.end = now();
    }

    fn to_json(&self) -> Value {
        let status = self
            .fields
            .0
            .iter()
            .find(|(name, _)| *name == "http.response.status_code");
        let status = status.and_then(|(_, value)| value.as_i64()).unwrap_or(0);
        let is_server = self
            .fields
            .0
            .iter()
            .any(|(name, _)| *name == "http.request.method");
        let attributes = self.fields.0.iter().map(|(name, value)| {
            let value = match value {
                // 64-bit integers are strings in the JSON form.
                Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
                Value::Number(number) => json!({"intValue": number.to_string()}),
                Value::Bool(flag) => json!({"boolValue": flag}),
                other => json!({"stringValue": other}),
            };
            json!({"key": name, "value": value})
        });
        json!({
            "traceId": hex(&self.trace),
            "spanId": hex(&self.id),
            "parentSpanId": self.parent.map(|id| hex(&id)).unwrap_or_default(),
            "name": self.name,
            "kind": KINDS[usize::from(is_server)],
            "startTimeUnixNano": self.start.to_string(),
            "endTimeUnixNano": self.end.to_string(),
            "attributes": attributes.collect::<Vec<_>>(),
            "status": if status >= 500 { json!({"code": 2}) } else { json!({}) },
        })
    }
}

/// Returns the body of a request with `spans`.
pub(super) fn request(spans: &[SpanData]) -> Value {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            attribute("service.name", "codeact"),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
        ]},
        "scopeSpans": [{
            "scope": {"name": "codeact-server", "version": env!("CARGO_PKG_VERSION")},
            "spans": spans.iter().map(SpanData::to_json).collect::<Vec<_>>(),
        }],
    }]})
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| *known == name) {
            *known = value;
        } else if self.0.len() < MAX_ATTRIBUTES {
            self.0.push((name, value));
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let end = value.floor_char_boundary(MAX_VALUE_BYTES.min(value.len()));
        self.set(field, json!(value.get(..end).unwrap_or_default()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Identifiers of zeros are invalid; the collector drops such spans.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
