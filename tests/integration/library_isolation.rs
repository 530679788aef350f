//! Isolation of concurrent sessions and runs.

use codeact::sandbox::{Outcome, Turn};

use crate::support::{limits, raised, result, sandbox, sandbox_with};

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_are_isolated() {
    let sandbox = sandbox();
    let (mut a, mut b) = (sandbox.session().unwrap(), sandbox.session().unwrap());
    result(
        &a.run("x = 1; open('f', 'w').write('a'); import os; os.environ['S'] = 'a'")
            .await
            .unwrap(),
    );
    raised(&b.run("x").await.unwrap(), "NameError");
    let e = b
        .run("import os; os.listdir('.'), 'S' in os.environ")
        .await
        .unwrap();
    assert_eq!(result(&e), "([], False)");
    result(&b.run("x = 2; open('f', 'w').write('bb')").await.unwrap());
    let e = a.run("x, open('f').read()").await.unwrap();
    assert_eq!(result(&e), "(1, 'a')");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_concurrent_runs_return_their_own_results() {
    let sandbox = sandbox();
    let runs: Vec<_> = (0..50)
        .map(|i| {
            let sandbox = sandbox.clone();
            tokio::spawn(async move {
                let code = format!("import os\nprint({i})\nopen('f', 'w').write(str({i}))\nsum(range(10000)) * 0 + int(open('f').read()), len(os.listdir('.'))");
                (i, sandbox.run(code).await.unwrap())
            })
        })
        .collect();
    for run in runs {
        let (i, e) = run.await.unwrap();
        assert_eq!(result(&e), format!("({i}, 1)"));
        assert_eq!(e.stdout.text, format!("{i}\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sessions_continue_while_half_of_them_time_out() {
    let sandbox = sandbox();
    let short = limits(|limits| limits.wall = std::time::Duration::from_millis(100));
    let sessions: Vec<_> = (0..50)
        .map(|i| {
            let mut session = sandbox.session().unwrap();
            let short = short.clone();
            tokio::spawn(async move {
                result(&session.run(format!("n = {i}; a = [n] * 9")).await.unwrap());
                for _ in 0..3 {
                    let good = session.run("n += 100; a.append(n)").await.unwrap();
                    assert_eq!(good.outcome, Outcome::Completed);
                    if i % 2 == 0 {
                        let endless = "n = -1; a.clear()\nwhile True: pass";
                        let turn = Turn::new(endless).limits(short.clone());
                        let stopped = session.run(turn).await.unwrap();
                        assert!(matches!(stopped.outcome, Outcome::TimedOut { .. }));
                        assert!(stopped.rolled_back);
                    }
                }
                let e = session.run("n, sum(a) - 12 * n, len(a)").await.unwrap();
                let (n, sum) = (i + 300, 9 * i + 3 * i + 600 - 12 * (i + 300));
                assert_eq!(result(&e), format!("({n}, {sum}, 12)"));
            })
        })
        .collect();
    for session in sessions {
        session.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_sessions_have_their_own_variables() {
    let sandbox = sandbox();
    let tasks: Vec<_> = (0..10)
        .map(|i| {
            let mut session = sandbox.session().unwrap();
            tokio::spawn(async move {
                result(&session.run(format!("n = {i} * 1000")).await.unwrap());
                for _ in 0..10 {
                    result(&session.run("n += 1").await.unwrap());
                    let e = session.run("n = -1; import os; os._exit(0)").await.unwrap();
                    assert!(e.rolled_back);
                }
                let e = session.run("n").await.unwrap();
                assert_eq!(result(&e), (i * 1000 + 10).to_string());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_run_does_not_block_others() {
    let sandbox = sandbox_with(|_| ());
    let cancel = codeact::sandbox::Cancel::new();
    let busy: Vec<_> = (0..8)
        .map(|_| {
            let (sandbox, cancel) = (sandbox.clone(), cancel.clone());
            let turn = Turn::new("while True: pass").cancel(cancel);
            tokio::spawn(async move { sandbox.run(turn).await.unwrap() })
        })
        .collect();
    // Completes although every guest thread has an endless run.
    assert_eq!(result(&sandbox.run("1").await.unwrap()), "1");
    cancel.cancel();
    for run in busy {
        assert_eq!(run.await.unwrap().outcome, Outcome::Cancelled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_slot_is_clean() {
    let sandbox = sandbox_with(|_| ());
    let leave = "secret = 'hunter2'; import builtins, sys, os, json
builtins.secret2 = 'hunter2'; json.secret = 1; os.environ['S'] = 'hunter2'; sys.argv.append('h')
open('f', 'w').write('hunter2'); os.chdir('/tmp'); blob = b'hunter2' * 100000";
    let look = "import json, os, sys
'secret' in globals(), 'secret2' in dir(__builtins__), hasattr(json, 'secret'), 'S' in os.environ, os.listdir('.'), os.getcwd(), len(sys.argv)";
    let clean = result(&sandbox.run(look).await.unwrap()).to_owned();
    assert!(clean.starts_with("(False, False, False, False, [], '/home/user'"));
    for _ in 0..100 {
        result(&sandbox.run(leave).await.unwrap());
        assert_eq!(result(&sandbox.run(look).await.unwrap()), clean);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn freed_memory_of_an_earlier_run_is_not_readable() {
    let sandbox = sandbox_with(|_| ());
    for size in ["1000", "100_000", "30_000_000"] {
        let leave = format!("kept = [b'hunter' + b'2' * {size}]; del kept");
        result(&sandbox.run(leave).await.unwrap());
        // Uninitialised arrays show the previous content of memory.
        let search = format!(
            "import numpy as np
needle = b'hunter' + b'2' * 20
any(needle in np.empty({size} + n, np.uint8).tobytes() for n in (0, 6, 39, 64, 4096))"
        );
        assert_eq!(result(&sandbox.run(search).await.unwrap()), "False");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_run_do_not_stay_with_its_slot() {
    let sandbox = sandbox_with(|_| ());
    let small = |code: &str| {
        Turn::new(code).limits(limits(|l| {
            l.memory = 90 << 20;
            l.output = 5;
            l.host_calls = 2;
        }))
    };
    for _ in 0..5 {
        let e = sandbox.run(small("print('x' * 100)")).await.unwrap();
        assert_eq!(e.stdout.dropped_bytes, 96);
        let e = sandbox
            .run("print('x' * 100); len(bytearray(10**8))")
            .await
            .unwrap();
        assert_eq!(result(&e), "100000000");
        assert_eq!(e.stdout.dropped_bytes, 0);
        let e = sandbox.run(small("bytearray(10**8)")).await.unwrap();
        raised(&e, "MemoryError");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_of_a_run_does_not_stay_with_its_slot() {
    let sandbox = sandbox_with(|_| ());
    for _ in 0..5 {
        let turn = Turn::new("input()").stdin(b"hunter2\nmore\n".to_vec());
        assert_eq!(result(&sandbox.run(turn).await.unwrap()), "'hunter2'");
        raised(&sandbox.run("input()").await.unwrap(), "EOFError");
    }
}
