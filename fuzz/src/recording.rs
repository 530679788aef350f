//! Recordings and suspended turns from an untrusted source.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codeact::sandbox::{
    InputHandler, InputResponse, Recorder, Recording, SuspendedTurn, Turn, TurnOptions,
};
use serde_json::{Value, json};

use super::input::Input;
use super::sandboxes::{block_on, exercise, sandbox, with_file, written};
use super::snapshot;

/// A valid recording of two turns.
static RECORDING: LazyLock<Vec<u8>> = LazyLock::new(|| {
    written(|path| {
        let mut session = sandbox().session().expect("a session");
        let recorder = Recorder::create(path, &session, json!("note")).expect("a recording");
        session.record(&recorder);
        let turn =
            Turn::new("import time; x = time.time(); print(input())").stdin(b"line\n".to_vec());
        block_on(session.run(turn)).expect("a turn");
        recorder.note(json!({ "reply": "text" }));
        block_on(session.run("f = open('a', 'w'); f.write(str(x))")).expect("a turn");
        recorder.finish().expect("a complete recording");
    })
});

/// A valid suspended turn.
static SUSPENDED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut session = sandbox().session().expect("a session");
    block_on(session.run("f = open('a', 'w+'); x = 1")).expect("a turn");
    let later = InputHandler::new(|_| async { InputResponse::Later });
    let turn =
        Turn::new("import time; x = time.time(); y = ask_user('what?')").input_handler(later);
    let execution = block_on(session.run(turn)).expect("a turn");
    let suspended = execution.suspended.expect("a suspended turn");
    written(|path| suspended.save(path).expect("a suspended turn"))
});

/// Loads a recording with edits and replays it.
pub fn recording(data: &[u8]) {
    let mut input = Input::new(data);
    let bytes = match input.as_whole_file() {
        Some(file) => file.to_vec(),
        None => {
            let mut lines: Vec<Vec<u8>> = RECORDING
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            let line = input.choice(lines.len());
            edit_line(&mut lines[line], &mut input);
            lines.join(&b'\n')
        }
    };
    with_file(&bytes, |path| {
        let replayed = Recording::load(path).and_then(|recording| {
            let executions = block_on(recording.replay(sandbox()));
            exercise(recording.start(sandbox())?.into_session());
            executions
        });
        if data.is_empty() {
            assert_eq!(replayed.expect("the valid recording").len(), 2);
        }
    });
}

/// Loads a suspended turn with edits and resumes it.
pub fn suspended_turn(data: &[u8]) {
    let mut input = Input::new(data);
    let bytes = match input.as_whole_file() {
        Some(file) => file.to_vec(),
        None => {
            let mut bytes = SUSPENDED.clone();
            edit_line(&mut bytes, &mut input);
            bytes
        }
    };
    with_file(&bytes, |path| {
        let resumed = SuspendedTurn::load(path).and_then(|suspended| {
            let answer = InputResponse::Answer(json!("an answer"));
            block_on(suspended.resume(sandbox(), answer, TurnOptions::new()))
        });
        match resumed {
            Ok((session, _)) => exercise(session),
            Err(error) => assert!(!data.is_empty(), "{error}"),
        }
    });
}

/// Edits one JSON document: its text, or the decoded snapshot or journal in it.
fn edit_line(line: &mut Vec<u8>, input: &mut Input<'_>) {
    let part = input.byte() % 3;
    let key = match part {
        0 => return input.edit(line),
        1 => "start",
        _ => "journal",
    };
    let Ok(mut json) = serde_json::from_slice::<Value>(line) else {
        return input.edit(line);
    };
    let field = find(&mut json, key);
    let decoded = field
        .as_ref()
        .and_then(|field| STANDARD.decode(field.as_str()?).ok());
    let (Some(field), Some(decoded)) = (field, decoded) else {
        return input.edit(line);
    };
    let edited = match part {
        1 => Some(snapshot::edited(&decoded, input)),
        _ => zstd::decode_all(&*decoded).ok().and_then(|mut journal| {
            input.edit(&mut journal);
            zstd::encode_all(&*journal, 1).ok()
        }),
    };
    if let Some(edited) = edited {
        *field = Value::String(STANDARD.encode(edited));
        *line = json.to_string().into_bytes();
    }
}

/// Returns the first value with `key`, at any depth.
fn find<'a>(json: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    let object = json.as_object_mut()?;
    if object.contains_key(key) {
        return object.get_mut(key);
    }
    object.values_mut().find_map(|value| find(value, key))
}
