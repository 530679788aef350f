//! Lines of an execution's answer, in the form of E2B's code interpreter.

use codeact::event::Stream;
use codeact::sandbox::{Execution, Outcome};
use codeact_sessions::manager::ManagerError;
use serde_json::{Map, Value, json};

use crate::e2b::timestamp::now_ns;
use crate::error::ApiError;

/// Fields of a result that have a media type of their own.
const FIELDS: [(&str, &str); 11] = [
    ("html", "text/html"),
    ("markdown", "text/markdown"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("pdf", "application/pdf"),
    ("latex", "text/latex"),
    ("json", "application/json"),
    ("javascript", "application/javascript"),
    ("data", "application/vnd.codeact.data+json"),
    ("chart", "application/vnd.codeact.chart+json"),
];

/// Appends `value` as a line.
pub(super) fn push(to: &mut Vec<u8>, value: &Value) {
    // Values are maps with texts as keys, so this does not fail.
    if serde_json::to_writer(&mut *to, value).is_ok() {
        to.push(b'\n');
    }
}

pub(super) fn output(stream: Stream, text: &str) -> Value {
    let kind = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    json!({"type": kind, "text": text, "timestamp": now_ns()})
}

pub(super) fn number_of_executions(count: u64) -> Value {
    json!({"type": "number_of_executions", "execution_count": count})
}

pub(super) fn keepalive() -> Value {
    json!({"type": "keepalive"})
}

pub(super) fn end() -> Value {
    json!({"type": "end_of_execution"})
}

/// Returns a bundle as a result.
pub(super) fn result(is_main: bool, mut data: Map<String, Value>) -> Value {
    let mut line = json!({"type": "result", "is_main_result": is_main});
    if let Some(text) = data.remove("text/plain") {
        line["text"] = match &text {
            Value::String(text) => unquoted(text).into(),
            _ => text,
        };
    }
    for (field, mime) in FIELDS {
        if let Some(content) = data.remove(mime) {
            line[field] = content;
        }
    }
    if !data.is_empty() {
        line["extra"] = Value::Object(data);
    }
    line
}

/// E2B's clients expect the text of a string without its quotes.
fn unquoted(text: &str) -> &str {
    for quote in ['\'', '"'] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}

fn error(name: &str, value: &str, traceback: &str) -> Value {
    json!({"type": "error", "name": name, "value": value, "traceback": traceback})
}

/// Returns the line of an execution that did not complete; `None` if it did.
pub(super) fn failure(execution: &Execution) -> Option<Value> {
    let stopped = execution.interrupted.as_ref();
    let traceback = |name: &str, value: &str| {
        let frames = stopped.map_or(String::new(), ToString::to_string);
        format!("{frames}{name}: {value}")
    };
    let with_position = |name: &str, value: &str| error(name, value, &traceback(name, value));
    Some(match &execution.outcome {
        Outcome::Completed => return None,
        Outcome::Raised(exception) => {
            // As in a notebook, without the module of the class.
            let name = exception.kind.rsplit('.').next().unwrap_or_default();
            error(name, &exception.message, &exception.traceback)
        }
        Outcome::Exited { code } => error(
            "SystemExit",
            &code.to_string(),
            &format!("SystemExit: {code}"),
        ),
        Outcome::TimedOut { limit } => with_position(
            "TimeoutError",
            &format!(
                "the code was stopped after {} s, the limit of this server; the sandbox is as it was before",
                limit.as_secs_f64()
            ),
        ),
        Outcome::OutOfFuel { budget } => with_position(
            "TimeoutError",
            &format!(
                "the code was stopped after {budget} units of computation, the limit of this server; the sandbox is as \
                 it was before"
            ),
        ),
        Outcome::Cancelled => with_position(
            "KeyboardInterrupt",
            "the execution was interrupted; the sandbox is as it was before",
        ),
        Outcome::Trapped { reason } => with_position(
            "SystemError",
            &format!("the interpreter failed, and the sandbox is as it was before: {reason}"),
        ),
        other => with_position(
            "SystemError",
            &format!("the execution ended without a result: {}", other.status()),
        ),
    })
}

/// Returns the line of an execution that the server could not run.
pub(super) fn refusal(cause: ManagerError) -> Value {
    let name = match &cause {
        ManagerError::Busy { .. } | ManagerError::Quota { .. } => "ResourceExhausted",
        ManagerError::NotCommitted { .. } => "NotCommitted",
        _ => "ExecutionAborted",
    };
    error(name, &ApiError::from(cause).message, "")
}

#[cfg(test)]
mod tests {
    use codeact::sandbox::{Exception, Execution, Outcome};
    use serde_json::{Value, json};

    use super::{failure, result};

    fn map(value: Value) -> serde_json::Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_result_has_a_field_for_each_known_type_and_the_rest_is_extra() {
        let bundle = map(json!({
            "text/plain": "'a'",
            "image/png": "iVBO",
            "application/vnd.codeact.data+json": {"a": [1]},
            "application/x-own": 1,
        }));
        let expected = json!({
            "type": "result", "is_main_result": true, "text": "a", "png": "iVBO", "data": {"a": [1]},
            "extra": {"application/x-own": 1},
        });
        assert_eq!(result(true, bundle), expected);
        for (text, shown) in [
            ("'", "'"),
            ("\"x\"", "x"),
            ("''", ""),
            ("'a", "'a"),
            ("1", "1"),
        ] {
            assert_eq!(
                result(false, map(json!({"text/plain": text})))["text"],
                shown
            );
        }
    }

    #[test]
    fn an_exception_has_the_name_of_its_class() {
        let exception = Exception::new("__main__.FinalAnswerException", "safe:1");
        let line = failure(&Execution::new(Outcome::Raised(exception))).unwrap();
        assert_eq!(line["name"], "FinalAnswerException");
        assert_eq!(line["value"], "safe:1");
        assert_eq!(failure(&Execution::new(Outcome::Completed)), None);
    }
}
