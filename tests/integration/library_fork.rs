//! Checkpoints, forks and rollback, through the library.

use codeact::sandbox::{Execution, Outcome, Session, Turn};

use crate::support::sandbox;

async fn run(session: &mut Session, code: &str) -> String {
    let execution = session.run(code).await.unwrap();
    assert_eq!(execution.outcome, Outcome::Completed, "{execution:?}");
    assert_eq!(execution.stderr.text, "");
    execution.result.unwrap_or_default()
}

#[tokio::test]
async fn a_fork_and_its_origin_do_not_see_each_others_changes() {
    let mut origin = sandbox().session().unwrap();
    run(
        &mut origin,
        "import numpy as np; a = np.zeros(4); d = {'k': [1]}; open('f', 'w').write('both')",
    )
    .await;
    let mut fork = origin.fork().unwrap();
    run(
        &mut fork,
        "a[0] = 5; d['k'].append(2); open('f', 'w').write('fork')",
    )
    .await;
    run(
        &mut origin,
        "a[1] = 7; d['o'] = 3; open('f', 'a').write(' and origin')",
    )
    .await;
    let look = "(a.tolist(), d, open('f').read())";
    assert_eq!(
        run(&mut fork, look).await,
        "([5.0, 0.0, 0.0, 0.0], {'k': [1, 2]}, 'fork')"
    );
    assert_eq!(
        run(&mut origin, look).await,
        "([0.0, 7.0, 0.0, 0.0], {'k': [1], 'o': 3}, 'both and origin')"
    );
}

#[tokio::test]
async fn rollback_restores_state_that_pickle_does_not_support() {
    let mut session = sandbox().session().unwrap();
    let begin = "
import sys, numpy as np
big = np.arange(3_000_000)
numbers = iter(range(10)); next(numbers)
file = open('log.txt', 'w+'); file.write('one'); file.flush()
def closure(n=[0]):
    n[0] += 1
    return n[0]
closure()
None";
    run(&mut session, begin).await;
    let before = session.checkpoint().unwrap();
    let change = "
big[:] = 1; next(numbers); file.write(' two'); file.flush(); closure()
import colorsys; open('new', 'w').close()
None";
    run(&mut session, change).await;
    session.rollback(&before);
    let look = "(int(big.sum(dtype='i8')), next(numbers), file.tell(), open('log.txt').read(), closure(), \
                'colorsys' in sys.modules, __import__('os').path.exists('new'))";
    assert_eq!(
        run(&mut session, look).await,
        "(4499998500000, 1, 3, 'one', 2, False, False)"
    );
    run(&mut session, "file.write('!'); file.close()").await;
    assert_eq!(run(&mut session, "open('log.txt').read()").await, "'one!'");
}

#[tokio::test]
async fn a_snapshot_outlives_its_session_and_starts_many_sessions() {
    let mut session = sandbox().session().unwrap();
    run(
        &mut session,
        "import numpy as np; a = np.ones(2_000_000); n = 0",
    )
    .await;
    let snapshot = session.checkpoint().unwrap();
    run(&mut session, "a[:] = 2").await;
    drop(session);
    let mut sessions: Vec<_> = (0..20).map(|_| snapshot.session()).collect();
    for (i, session) in sessions.iter_mut().enumerate() {
        run(session, &format!("n = {i}; a[n] += n")).await;
    }
    for (i, session) in sessions.iter_mut().enumerate() {
        let sum = run(session, "(n, float(a.sum()))").await;
        assert_eq!(sum, format!("({i}, {:.1})", 2e6 + i as f64));
    }
}

#[tokio::test]
async fn forks_of_forks_and_old_snapshots_are_immutable() {
    let mut session = sandbox().session().unwrap();
    run(
        &mut session,
        "import numpy as np; a = np.zeros(1_000_000, 'u1')",
    )
    .await;
    let mut snapshots = Vec::new();
    for i in 1..=12 {
        // Overlapping ranges, so that the stored ranges are split in every way.
        run(
            &mut session,
            &format!("a[{}:{}] = {i}", i * 40_000, 700_000 - i * 20_000),
        )
        .await;
        let sum = run(&mut session, "int(a.sum(dtype='i8'))").await;
        snapshots.push((session.checkpoint().unwrap(), sum));
        if i % 3 == 0 {
            session = session.fork().unwrap();
        }
    }
    for (snapshot, sum) in snapshots.iter().rev() {
        let mut back = snapshot.session();
        assert_eq!(run(&mut back, "int(a.sum(dtype='i8'))").await, *sum);
    }
}

#[tokio::test]
async fn an_exception_is_rolled_back_only_if_transactional() {
    let mut session = sandbox().session().unwrap();
    run(&mut session, "x = [1]").await;
    let failing = "x.append(2); 1/0";
    let e: Execution = session
        .run(Turn::new(failing).transactional(true))
        .await
        .unwrap();
    assert!(matches!(e.outcome, Outcome::Raised(_)) && e.rolled_back);
    assert_eq!(run(&mut session, "x").await, "[1]");
    let e = session.run(failing).await.unwrap();
    assert!(matches!(e.outcome, Outcome::Raised(_)) && !e.rolled_back);
    assert_eq!(run(&mut session, "x").await, "[1, 2]");
}
