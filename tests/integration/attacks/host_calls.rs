//! Invalid frames to `_host.call`, the import for host calls.

use codeact::sandbox::Outcome;

use super::{attack, survives};
use crate::support::{result, shown};

#[test]
fn invalid_frames_are_rejected_and_the_run_continues() {
    let out = survives(
        r#"import _host, json, os
frames = [b'', b'\0', b'{', b'{}', b'[]', b'null', b'1e999', b'"\\ud800"', b'\xff\xfe', b'{"op":1}',
    b'{"op":"nothing"}', b'{"op":"boot"}', b'{"op":"begin"}', b'{"op":"end","error":5}',
    b'{"op":"end","exit":1e300}', b'{"op":"end","result":[]}', b'{"op":"end","answer":1}',
    b'{"op":"end","exit":99999999999999999999}', b'{"op":"end","op":"end"}',
    b'[' * 100000, b'{"a":' * 100000, b'{"op":' + b'[' * 500 + b']' * 500 + b'}', b'x' * 10**6]
for frame in frames:
    answer = json.loads(_host.call(frame))
    if list(answer) != ['error'] or not isinstance(answer['error'], str): print(frame[:40], answer)
for i in range(200): json.loads(_host.call(os.urandom(i)))"#,
    );
    assert_eq!(out, "");
}

#[test]
fn wrong_types_are_python_errors() {
    let out = survives(
        "import _host
for args in [(), (1,), (None,), ('text',), (b'', b''), ([],), (object(),), (memoryview(bytes(4))[::2],)]:
    try:
        _host.call(*args)
    except (TypeError, ValueError, BufferError): continue
    print('allowed', args)",
    );
    assert!(!out.contains("(None,)") && !out.contains("(1,)"), "{out}");
}

#[test]
fn calls_over_the_limit_are_rejected_with_an_error() {
    let out = survives(
        "import _host
for i in range(20000): last = _host.call(b'{}')
print(b'used up' in last)",
    );
    assert_eq!(out, "True\n");
}

#[test]
fn a_forged_end_changes_only_the_reported_outcome() {
    let e = attack(
        r#"import _host; _host.call(b'{"op":"end","result":"forged","exit":5}'); print('after')"#,
    );
    assert_eq!(e.outcome, Outcome::Exited { code: 5 }, "{}", shown(&e));
    assert_eq!(e.stdout.text, "after\n");
}

#[test]
fn a_forged_end_with_a_huge_or_odd_exit_is_a_byte() {
    for (exit, code) in [("-1", 255), ("9223372036854775807", 255), ("256", 0)] {
        let frame = format!(r#"import _host; _host.call(b'{{"op":"end","exit":{exit}}}')"#);
        let e = attack(&frame);
        assert_eq!(e.outcome, Outcome::Exited { code }, "{}", shown(&e));
    }
}

#[test]
fn a_forged_error_is_only_data() {
    let e = attack(
        r#"import _host, json
_host.call(json.dumps({"op": "end", "error": {"type": "X" * 10**6, "message": "\0\x1b[2J", "frames": [
    {"file": "../../etc", "line": 4294967295, "function": "\0", "source": None}] * 10000,
    "traceback": "t" * 10**6, "bases": ["MemoryError"]}}, separators=(",", ":")).encode())"#,
    );
    assert!(matches!(e.outcome, Outcome::Raised(_)), "{:?}", e.outcome);
}

#[test]
fn a_second_begin_returns_an_error() {
    let e = attack(r#"import _host; _host.call(b'{"op":"begin"}').decode()"#);
    assert!(result(&e).contains("error"), "{}", shown(&e));
}

#[test]
fn an_unrequested_answer_is_data() {
    let e = attack(r#"import _host; _host.call(b'{"op":"end","answer":{"value":{"a":[1]}}}')"#);
    assert_eq!(e.outcome, Outcome::Completed);
    assert_eq!(e.answer, Some(serde_json::json!({"a": [1]})));
}

#[test]
fn final_answer_exists_only_if_enabled() {
    let e = attack("final_answer(5)");
    crate::support::raised(&e, "NameError");
}
