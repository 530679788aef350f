//! Processes and signals: each attempt says that there are none, and what to use instead.

use crate::support::exec;

/// Runs `code` and checks that its error has these parts.
#[track_caller]
fn fails(code: &str, parts: &[&str]) {
    let mut done = exec().code(code).run().code(1);
    for part in parts {
        done = done.stderr_contains(part);
    }
}

#[test]
fn processes_name_threads_instead() {
    for code in [
        "import multiprocessing; multiprocessing.Pool(2)",
        "import multiprocessing; multiprocessing.Process(target=print).start()",
        "import multiprocessing; multiprocessing.get_context('spawn').Pool(2)",
        "import multiprocessing; multiprocessing.Manager()",
        "import multiprocessing; multiprocessing.Value('i', 0)",
        "import multiprocessing; multiprocessing.Queue()",
        "import multiprocessing; multiprocessing.Pipe()",
        "import multiprocessing; multiprocessing.Lock()",
        "from multiprocessing import Pool; Pool()",
        "from concurrent.futures import ProcessPoolExecutor; ProcessPoolExecutor(2)",
        "import os; os.fork()",
    ] {
        fails(
            code,
            &[
                "is not available: the sandbox has no processes",
                "ThreadPoolExecutor",
            ],
        );
    }
}

#[test]
fn commands_signals_and_alarms_name_an_alternative() {
    for (code, part) in [
        ("import os; os.system('ls')", "do it in Python"),
        ("import os; os.execvp('ls', ['ls'])", "do it in Python"),
        ("import os; os.spawnlp(0, 'ls')", "do it in Python"),
        (
            "import subprocess; subprocess.run(['ls'])",
            "do it in Python",
        ),
        ("import os; os.kill(1, 9)", "sys.exit()"),
        ("import signal; signal.alarm(1)", "asyncio.timeout()"),
        (
            "import signal; signal.setitimer(signal.ITIMER_REAL, 1)",
            "asyncio.timeout()",
        ),
        ("import signal; signal.pause()", "asyncio.timeout()"),
    ] {
        fails(code, &["is not available: the sandbox has no", part]);
    }
}

#[test]
fn missing_functions_stay_missing_for_libraries_that_test_for_them() {
    exec()
        .code(
            "import os, signal
print(hasattr(os, 'fork'), hasattr(os, 'kill'), hasattr(signal, 'alarm'))
for f in (lambda: os.no_such), (lambda: signal.no_such):
    try: f()
    except AttributeError as error: print(error)
import multiprocessing
for name in 'Lock', 'Queue', 'Semaphore':
    try: getattr(multiprocessing, name)()
    except ImportError: print('ImportError')",
        )
        .run()
        .success()
        .stdout(
            "False False False
module 'os' has no attribute 'no_such'
module 'signal' has no attribute 'no_such'
ImportError
ImportError
ImportError
",
        );
}
