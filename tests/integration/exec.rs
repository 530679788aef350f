//! `codeact exec`: its inputs and its exit codes.

use std::io::Write;

use crate::support::{codeact, exec};

#[test]
fn code_from_the_command_line_runs() {
    exec()
        .code("print('hello')")
        .run()
        .success()
        .stdout("hello\n")
        .stderr("");
}

#[test]
fn a_file_runs_with_its_name_in_argv_and_without_being_visible() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("prog.py"),
        "import os, sys\nprint(sys.argv, __name__, os.path.exists('prog.py'))\n",
    )
    .unwrap();
    exec()
        .cwd(folder.path())
        .arg("prog.py")
        .run()
        .success()
        .stdout("['prog.py'] __main__ False\n");
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark_and_have_windows_line_ends() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"\xEF\xBB\xBFprint('\xC3\xA9')\r\nif True:\r\n    print(2)\r\n")
        .unwrap();
    exec().arg(file.path()).run().success().stdout("é\n2\n");
}

#[test]
fn dash_reads_the_code_from_stdin_and_the_code_sees_an_empty_stdin() {
    exec()
        .arg("-")
        .stdin("import sys\nprint('from stdin', repr(sys.stdin.read()))\n")
        .run()
        .success()
        .stdout("from stdin ''\n");
}

#[test]
fn the_code_reads_stdin() {
    exec()
        .code("import sys; print(input() + '!'); print(sys.stdin.read().upper(), end='')")
        .stdin("hello\nrest\nlast\n")
        .run()
        .success()
        .stdout("hello!\nREST\nLAST\n");
}

#[test]
fn stdin_of_many_megabytes_arrives_whole() {
    exec()
        .code("import sys; data = sys.stdin.buffer.read(); print(len(data), sum(data) % 251)")
        .stdin(vec![7; 8_000_000])
        .run()
        .success()
        .stdout("8000000 143\n");
}

#[test]
fn input_at_the_end_of_stdin_is_an_eof_error() {
    exec()
        .code("input()")
        .run()
        .code(1)
        .stderr_contains("EOFError");
}

#[test]
fn arguments_from_arg_and_after_the_dashes_are_in_order() {
    exec()
        .code("import sys; print(sys.argv)")
        .args(["--arg", "a b", "--arg", "-x", "--", "--json", "c"])
        .run()
        .success()
        .stdout("['-c', 'a b', '-x', '--json', 'c']\n");
}

#[test]
fn granted_environment_variables_are_visible() {
    exec()
        .code("import os; print(os.environ['A'], os.environ['B=C'.split('=')[0]])")
        .args(["--env", "A=1=2", "--env", "B="])
        .run()
        .success()
        .stdout("1=2 \n");
}

#[test]
fn nothing_of_the_hosts_environment_is_visible() {
    let done = exec()
        .host_env("TOP_SECRET", "hunter2")
        .host_env("PYTHONPATH", "/hunter2")
        .host_env("USER", "hunter2")
        .code("import os, sys; print(dict(os.environ), sys.path, os.getcwd(), sys.flags)")
        .run()
        .success()
        .stdout_contains("/home/user");
    assert!(!done.stdout.contains("hunter2"), "{}", done.stdout);
    for name in ["TOP_SECRET", "PYTHONPATH", "CARGO", "PATH="] {
        assert!(!done.stdout.contains(name), "{name}: {}", done.stdout);
    }
}

const RANDOM: &str = "
import os, random, secrets, uuid, tempfile
import numpy as np
print(random.random(), np.random.rand(), uuid.uuid4(), secrets.token_hex(8), os.urandom(8).hex())
print(np.random.default_rng().random(), tempfile.mktemp(), random.SystemRandom().random())
";

#[test]
fn an_equal_seed_gives_equal_randomness_and_another_seed_another() {
    let run = |seed: &str| {
        let done = exec().code(RANDOM).args(["--seed", seed]).run().success();
        done.stdout
    };
    let first = run("4");
    assert_eq!(first, run("4"));
    let other = run("5");
    for (a, b) in first.split_whitespace().zip(other.split_whitespace()) {
        assert_ne!(a, b, "the same under two seeds");
    }
}

#[test]
fn without_a_seed_two_runs_share_no_randomness() {
    let run = || exec().code(RANDOM).run().success().stdout;
    let (first, second) = (run(), run());
    for (a, b) in first.split_whitespace().zip(second.split_whitespace()) {
        assert_ne!(a, b, "the same in two runs");
    }
}

#[test]
fn the_order_of_a_set_of_texts_is_the_same_in_every_run() {
    let run = || {
        exec()
            .code("print({'alpha', 'beta', 'gamma', 'delta', 'epsilon'}, hash('x'))")
            .run()
            .success()
            .stdout
    };
    let first = run();
    assert_eq!(first, run());
    assert_eq!(first, run());
}

#[test]
fn the_final_expression_is_not_printed() {
    exec()
        .code("print(1)\n6 * 7")
        .run()
        .success()
        .stdout("1\n")
        .stderr("");
}

#[test]
fn stdout_and_stderr_are_separate() {
    exec()
        .code("import sys; print('out'); print('err', file=sys.stderr)")
        .run()
        .success()
        .stdout("out\n")
        .stderr("err\n");
}

#[test]
fn each_outcome_has_its_exit_code() {
    for (code, exit) in [
        ("pass", 0),
        ("", 0),
        ("import sys; sys.exit()", 0),
        ("exit()", 0),
        ("quit(4)", 4),
        ("raise SystemExit(9)", 9),
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit(256 + 3)", 3),
        ("import sys; sys.exit(-1)", 255),
        ("import sys; sys.exit(True)", 1),
        ("import os; os._exit(3)", 3),
        ("1 / 0", 1),
        ("raise KeyboardInterrupt", 1),
        ("raise MemoryError", 137),
        ("class Mine(MemoryError): pass\nraise Mine", 137),
        ("import os; os.abort()", 134),
    ] {
        exec().code(code).run().code(exit);
    }
}

#[test]
fn exit_with_a_text_prints_it_on_stderr() {
    exec()
        .code("import sys; sys.exit('no luck')")
        .run()
        .code(1)
        .stdout("")
        .stderr("no luck\n");
}

#[test]
fn exit_in_atexit_and_finally_blocks_still_runs_them() {
    exec()
        .code(
            "import atexit, sys
atexit.register(print, 'last')
try:
    sys.exit(5)
finally:
    print('finally')",
        )
        .run()
        .code(5)
        .stdout("finally\nlast\n");
}

#[test]
fn modules_in_the_current_folder_can_be_imported() {
    exec()
        .code("open('mine.py', 'w').write('x = 5')\nimport mine\nprint(mine.x)")
        .run()
        .success()
        .stdout("5\n");
}

#[test]
fn the_scientific_packages_work() {
    exec()
        .code(
            "import numpy as np, pandas as pd, scipy.optimize, scipy.linalg
import matplotlib; import matplotlib.pyplot as plt
print(np.arange(3).sum(), pd.DataFrame({'a': [1, 2]}).a.mean())
print(round(scipy.optimize.brentq(lambda x: x * x - 2, 0, 2), 6), scipy.linalg.det(np.eye(3)))
plt.plot([1, 2]); plt.savefig('p.png')
print(open('p.png', 'rb').read(4))",
        )
        .args(["--timeout", "100s"])
        .run()
        .success()
        .stdout("3 1.5\n1.414214 1.0\nb'\\x89PNG'\n");
}

#[test]
fn asyncio_runs() {
    exec()
        .code(
            "import asyncio
async def f(n):
    await asyncio.sleep(0.001 * n)
    return n
async def main():
    return await asyncio.gather(f(2), f(1), asyncio.wait_for(f(0), 50))
print(asyncio.run(main()))",
        )
        .run()
        .success()
        .stdout("[2, 1, 0]\n");
}

#[test]
fn a_usage_error_is_exit_code_2_with_the_reason() {
    for (args, why) in [
        (&["exec"][..], "FILE"),
        (&["exec", "-c", "pass", "file.py"], "cannot be used with"),
        (&["exec", "-c", "pass", "--timeout", "soon"], "10s"),
        (&["exec", "-c", "pass", "--max-memory", "lots"], "256M"),
        (&["exec", "-c", "pass", "--fuel=-1"], "--fuel"),
        (&["exec", "-c", "pass", "--seed", "x"], "--seed"),
        (&["exec", "-c", "pass", "--env", "noequals"], "NAME=VALUE"),
        (&["exec", "-c", "pass", "--no-such"], "--no-such"),
        (&["no-such"], "no-such"),
        (&[], "Usage"),
    ] {
        let done = codeact(args.iter().copied()).run();
        assert_eq!(done.exit, Some(2), "{args:?}: {done:?}");
        assert!(done.stderr.contains(why), "{args:?}: {done:?}");
        assert_eq!(done.stdout, "", "{args:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    codeact(["exec", "--help"])
        .run()
        .success()
        .stdout_contains("137  a MemoryError was not caught")
        .stderr("");
    codeact(["--version"]).run().success().stdout(concat!(
        "codeact ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    ));
}

#[test]
fn offline_without_a_pack_is_exit_code_125_with_advice() {
    let empty = tempfile::tempdir().unwrap();
    codeact(["--offline", "exec", "-c", "pass"])
        .host_env("CODEACT_HOME", empty.path())
        .run()
        .code(125)
        .stdout("")
        .stderr_contains("codeact pack install")
        .stderr_contains("offline");
}
