//! The library API: runs, sessions, events, stdin, seeds.

use std::sync::{Arc, Mutex};

use codeact::event::{Event, EventSink, Stream};
use codeact::sandbox::{Outcome, SandboxError, SessionOptions, Stdin, Turn};

use tokio::io::AsyncWriteExt;

use crate::support::{raised, result, sandbox, shown};

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_has_outcome_output_result_and_usage() {
    let e = sandbox()
        .run("import sys; print('o'); print('e', file=sys.stderr)\n6 * 7")
        .await
        .unwrap();
    assert_eq!(result(&e), "42");
    assert_eq!((&*e.stdout.text, &*e.stderr.text), ("o\n", "e\n"));
    assert!(!e.rolled_back);
    assert!(e.usage.fuel > 0 && e.usage.peak_memory_bytes > 0);
    assert_eq!(e.usage.host_calls, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transcript_has_both_streams_in_order() {
    let e = sandbox()
        .run("import sys\nfor i in range(3):\n    print(i)\n    print(i, file=sys.stderr)")
        .await
        .unwrap();
    let order: Vec<_> = e.transcript.iter().map(|(s, t)| (*s, t.as_str())).collect();
    let (o, x) = (Stream::Stdout, Stream::Stderr);
    let expected = [
        (o, "0\n"),
        (x, "0\n"),
        (o, "1\n"),
        (x, "1\n"),
        (o, "2\n"),
        (x, "2\n"),
    ];
    assert_eq!(order, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_retains_variables_functions_imports_and_files() {
    let mut session = sandbox().session().unwrap();
    for (code, expected) in [
        ("import math\nx = 20\ndef f(n): return n + x", "None"),
        ("open('a.txt', 'w').write('text')", "4"),
        ("f(1) + math.floor(1.5)", "22"),
        ("_ + 1", "23"),
        ("import os; os.chdir('/tmp'); os.environ['K'] = 'v'", "None"),
        (
            "open('/home/user/a.txt').read(), os.getcwd(), os.environ['K']",
            "('text', '/tmp', 'v')",
        ),
    ] {
        let e = session.run(code).await.unwrap();
        assert_eq!(result(&e), expected, "{code}");
    }
    assert_eq!(session.turns(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_retains_open_files_generators_and_random_state() {
    let mut session = sandbox()
        .session_with(&SessionOptions::new().seed(1))
        .unwrap();
    let begin = "f = open('a', 'w+'); _ = f.write('one\\n')\ng = iter(range(10)); next(g)\nimport random; a = random.random()";
    result(&session.run(begin).await.unwrap());
    let e = session
        .run("_ = f.write('two\\n'); f.seek(0); f.read(), next(g), random.random() != a")
        .await
        .unwrap();
    assert_eq!(result(&e), "('one\\ntwo\\n', 1, True)");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_name_the_turn_and_show_earlier_sources() {
    let mut session = sandbox().session().unwrap();
    session.run("def f():\n    return 1 / 0").await.unwrap();
    let e = session.run("f()").await.unwrap();
    let Outcome::Raised(error) = &e.outcome else {
        panic!("{}", shown(&e));
    };
    let at: Vec<_> = error
        .frames
        .iter()
        .map(|f| (f.file.as_str(), f.line, f.source.as_deref()))
        .collect();
    let expected = [
        ("<turn 2>", 1, Some("f()")),
        ("<turn 1>", 2, Some("return 1 / 0")),
    ];
    assert_eq!(at, expected);
    assert_eq!(
        error.bases,
        [
            "ZeroDivisionError",
            "ArithmeticError",
            "Exception",
            "BaseException",
            "object"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_environment_and_bindings_are_visible() {
    let turn = Turn::new("import sys, os; sys.argv, os.environ['A'], text")
        .argv(["prog", "x"])
        .env("A", "é")
        .bind("text", "bound")
        .name("mine.py");
    let e = sandbox().run(turn).await.unwrap();
    assert_eq!(result(&e), "(['prog', 'x'], 'é', 'bound')");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_with_final_answer_ends_with_its_answer() {
    let code = "import numpy as np\nfinal_answer({'a': np.arange(3), 'b': np.float64(1.5)})\nprint('not reached')";
    let e = sandbox()
        .run(Turn::new(code).final_answer(true))
        .await
        .unwrap();
    assert_eq!(e.outcome, Outcome::Completed, "{}", shown(&e));
    assert_eq!(
        e.answer,
        Some(serde_json::json!({"a": [0, 1, 2], "b": 1.5}))
    );
    assert_eq!(e.stdout.text, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_in_the_order_of_writing() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    let events = EventSink::new(move |event| {
        if let Event::Output { stream, text } = event {
            sink.lock().unwrap().push((stream, text));
        }
    });
    let code =
        "import sys\nfor i in range(100):\n    print(i, file=sys.stderr if i % 3 else sys.stdout)";
    let e = sandbox().run(Turn::new(code).events(events)).await.unwrap();
    let mut merged: Vec<(Stream, String)> = Vec::new();
    for (stream, text) in seen.lock().unwrap().drain(..) {
        match merged.last_mut() {
            Some((last, all)) if *last == stream => all.push_str(&text),
            _ => merged.push((stream, text)),
        }
    }
    assert_eq!(merged, e.transcript);
}

/// Waits until `expected` has been written, in any number of parts.
async fn line(pieces: &mut tokio::sync::mpsc::UnboundedReceiver<String>, expected: &str) {
    let mut text = String::new();
    while text.len() < expected.len() {
        text += &pieces.recv().await.unwrap();
    }
    assert_eq!(text, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_may_be_bytes_or_a_stream_that_is_read_on_demand() {
    let turn = Turn::new("input(), input()").stdin(b"a\nb\n".to_vec());
    assert_eq!(result(&sandbox().run(turn).await.unwrap()), "('a', 'b')");

    let (mut stdin, receive) = tokio::io::duplex(64);
    let (send_text, mut texts) = tokio::sync::mpsc::unbounded_channel();
    let events = EventSink::new(move |event| {
        if let Event::Output { text, .. } = event {
            let _ = send_text.send(text);
        }
    });
    let turn = Turn::new("print('first?'); a = input(); print('second?'); (a, input())")
        .stdin(Stdin::reader(receive))
        .events(events);
    let sandbox = sandbox();
    let run = tokio::spawn(async move { sandbox.run(turn).await.unwrap() });
    line(&mut texts, "first?\n").await;
    stdin.write_all(b"one\n").await.unwrap();
    line(&mut texts, "second?\n").await;
    stdin.write_all(b"two\n").await.unwrap();
    assert_eq!(result(&run.await.unwrap()), "('one', 'two')");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_continues_reading_stdin_where_the_last_one_stopped() {
    let mut session = sandbox().session().unwrap();
    let turn = Turn::new("import os; os.read(0, 2)").stdin(b"abcdef".to_vec());
    assert_eq!(result(&session.run(turn).await.unwrap()), "b'ab'");
    assert_eq!(
        result(&session.run("os.read(0, 2)").await.unwrap()),
        "b'cd'"
    );
    let turn = Turn::new("os.read(0, 2)").stdin(b"new".to_vec());
    assert_eq!(result(&session.run(turn).await.unwrap()), "b'ne'");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_fixes_all_randomness_of_a_session() {
    const CODE: &str = "import random, os, uuid, numpy as np\nrandom.random(), os.urandom(4), uuid.uuid4(), np.random.rand()";
    let sandbox = sandbox();
    let mut all = Vec::new();
    for seed in [Some(7), Some(7), Some(8), None, None] {
        let mut session = sandbox
            .session_with(&SessionOptions::new().seed(seed))
            .unwrap();
        let mut both = String::new();
        for _ in 0..2 {
            both += result(&session.run(CODE).await.unwrap());
        }
        all.push(both);
    }
    assert_eq!(all[0], all[1]);
    all.remove(0);
    let different: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(different.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_run_inside_async_is_an_error() {
    let error = sandbox().run_blocking("1").unwrap_err();
    assert!(matches!(error, SandboxError::BlockingInAsync), "{error}");
}

#[test]
fn a_blocking_run_needs_no_runtime() {
    let e = sandbox().run_blocking("1 + 1").unwrap();
    assert_eq!(result(&e), "2");
    let e = sandbox()
        .run_blocking("import time; time.sleep(0.01); 1 / 0")
        .unwrap();
    raised(&e, "ZeroDivisionError");
}

#[tokio::test]
async fn a_sandbox_works_in_and_is_dropped_in_a_single_threaded_runtime() {
    let sandbox = crate::support::sandbox_with(|_| ());
    assert_eq!(result(&sandbox.run("2").await.unwrap()), "2");
    let mut session = sandbox.session().unwrap();
    drop(sandbox);
    assert_eq!(result(&session.run("3").await.unwrap()), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pack_has_its_python_version() {
    let sandbox = sandbox();
    let e = sandbox
        .run("import sys; '%d.%d' % sys.version_info[:2]")
        .await
        .unwrap();
    let python = result(&e).trim_matches('\'').to_owned();
    assert!(
        format!("{:?}", sandbox.pack()).contains(&python),
        "{python}"
    );
}
