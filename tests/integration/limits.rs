//! Limits of time, fuel, memory, output and host calls: each is enforced and reported.

use std::time::Duration;

use codeact::sandbox::{Outcome, Turn};

use crate::support::{block_on, exec, limits, raised, result, sandbox, sandbox_with, shown};

/// Asserts that `code` is stopped by its wall time.
#[track_caller]
fn times_out(code: &str) {
    exec()
        .code(code)
        .args(["--timeout", "500ms"])
        .run()
        .code(124)
        .stderr_contains("codeact: stopped: the wall time of 0.5 s is used up");
}

#[test]
fn wall_time_stops_a_python_loop() {
    times_out("while True: pass");
}

#[test]
fn wall_time_stops_a_huge_power() {
    times_out("10**10**8");
}

#[test]
fn wall_time_stops_a_sleep() {
    times_out("import time; time.sleep(100000)");
}

#[test]
fn wall_time_stops_many_short_sleeps() {
    times_out("import time\nwhile True: time.sleep(0.001)");
}

#[test]
fn wall_time_stops_a_catastrophic_regex() {
    times_out("import re; re.match(r'(a+)+$', 'a' * 60 + 'b')");
}

#[test]
fn wall_time_stops_a_loop_of_random_bytes() {
    times_out("import os\nwhile True: os.urandom(10)");
    times_out("import os\nwhile True: os.urandom(10**6)");
}

#[test]
fn wall_time_stops_a_loop_of_listings() {
    times_out(
        "import os\nfor i in range(3000): open(str(i), 'w').close()\nwhile True: os.listdir('.')",
    );
}

#[test]
fn wall_time_stops_a_loop_of_reads_and_writes() {
    times_out("open('f', 'wb').write(bytes(10**7))\nwhile True: open('f', 'rb').read()");
    times_out("f = open('f', 'wb')\nwhile True: f.seek(0); f.write(bytes(10**6))");
    times_out("import os\nwhile True: os.read(0, 0)");
}

#[test]
fn wall_time_stops_a_loop_of_holes() {
    // One call costs about as much as a large memset. Forty times the limit counts as a hang.
    exec()
        .code("f = open('f', 'wb')\nwhile True: f.truncate(250_000_000); f.truncate(0)")
        .args(["--timeout", "500ms"])
        .run_within(Duration::from_secs(20))
        .code(124);
}

#[test]
fn wall_time_stops_a_loop_of_stat_on_deep_paths() {
    times_out("import os\np = '/home/user/..' * 300\nwhile True: os.path.exists(p)");
}

#[test]
fn wall_time_stops_a_loop_of_host_calls() {
    times_out("import _host\nb = b'[' * 10**6\nwhile True: _host.call(b)");
}

#[test]
fn wall_time_stops_a_loop_of_dropped_output() {
    times_out("import sys\nwhile True: sys.stderr.write('x' * 10**6)");
}

#[test]
fn wall_time_stops_code_that_catches_everything() {
    times_out("while True:\n    try:\n        while True: pass\n    except BaseException: pass");
}

#[test]
fn wall_time_stops_a_wait_for_stdin() {
    let child = exec().code("input()").args(["--timeout", "500ms"]).spawn();
    child.end().code(124);
}

#[test]
fn wall_time_stops_a_clock_watcher() {
    times_out("import time\nwhile True: time.monotonic(); time.time()");
}

#[test]
fn wall_time_stops_compiling() {
    times_out("s = ','.join(['x'] * 2000)\nwhile True: compile(s, 's', 'eval')");
}

const WORK: &str = "import json, re, os
total = sum(len(json.dumps({'a': [i] * 10})) for i in range(200))
open('f', 'w').write('x' * 1000); print(total, len(os.listdir('.')))";

#[test]
fn the_same_program_uses_the_same_fuel_in_two_processes() {
    let fuel = || exec().code(WORK).json()["usage"]["fuel"].as_u64().unwrap();
    let first = fuel();
    assert!(first > 1_000_000, "{first}");
    assert_eq!(first, fuel());
}

#[test]
fn the_same_program_uses_the_same_fuel_in_a_new_and_a_reused_slot() {
    let sandbox = sandbox_with(|_| ());
    let fuel = || block_on(sandbox.run(WORK)).unwrap().usage.fuel;
    let first = fuel();
    for _ in 0..3 {
        assert_eq!(first, fuel());
    }
    block_on(sandbox.run("import decimal; x = [0] * 10**6")).unwrap();
    assert_eq!(first, fuel());
}

/// The number changes with the pack, the guest modules and the meter only, not with the machine or the engine.
#[test]
fn a_fixed_program_uses_exactly_this_fuel() {
    let object = exec()
        .code("print(sum(n * n for n in range(1000)))")
        .args(["--seed", "1"])
        .json();
    assert_eq!(object["stdout"], "332833500\n");
    assert_eq!(object["usage"]["fuel"], 1865832);
}

#[test]
fn fuel_stops_a_program_and_the_message_has_the_budget() {
    exec()
        .code("sum(range(10**12))")
        .args(["--fuel", "10000"])
        .run()
        .code(124)
        .stderr("codeact: stopped: the fuel budget of 10000 is used up\n");
}

#[test]
fn a_budget_equal_to_the_use_suffices_and_half_of_it_does_not() {
    let used = exec().code(WORK).args(["--seed", "1"]).json()["usage"]["fuel"]
        .as_u64()
        .unwrap();
    exec()
        .code(WORK)
        .args(["--seed", "1"])
        .arg("--fuel")
        .arg(used.to_string())
        .run()
        .success();
    let object = exec()
        .code(WORK)
        .args(["--seed", "1"])
        .arg("--fuel")
        .arg((used / 2).to_string())
        .json();
    assert_eq!(object["status"], "out_of_fuel");
    let spent = object["usage"]["fuel"].as_u64().unwrap();
    assert!(spent <= used / 2 + 1, "{spent} of {}", used / 2);
}

#[test]
fn a_memory_error_can_be_caught_and_the_code_continues() {
    exec()
        .code(
            "try:
    bytearray(10**9)
except MemoryError:
    print('caught')
import json
print(json.dumps([1] * 5), len(bytearray(10**7)))",
        )
        .run()
        .success()
        .stdout("caught\n[1, 1, 1, 1, 1] 10000000\n");
}

#[test]
fn one_huge_object_is_a_memory_error() {
    exec()
        .code("bytearray(2 * 10**9)")
        .run()
        .code(137)
        .stderr_contains("MemoryError");
}

#[test]
fn a_list_that_cannot_grow_is_a_memory_error_at_any_limit() {
    // The item that could not be added must not be released twice: the next list would reuse it.
    for limit in ["120M", "128M", "136M"] {
        exec()
            .code(
                "kept = []
try:
    while True: kept.append([0])
except MemoryError:
    try:
        rest = []
        rest += [1]
    except MemoryError:
        pass
kept = None
print('went on')",
            )
            .args(["--max-memory", limit, "--timeout", "100s"])
            .run()
            .success()
            .stdout("went on\n");
    }
}

#[test]
fn many_small_objects_are_a_memory_error() {
    exec()
        .code("kept = []\nwhile True: kept.append([0])")
        .args(["--max-memory", "128M", "--timeout", "100s"])
        .run()
        .code(137)
        .stderr_contains("MemoryError");
}

#[test]
fn objects_that_grow_without_bound_are_memory_errors() {
    for code in [
        "d = {}\ni = 0\nwhile True:\n    i += 1; d[i] = i",
        "s = 'x'\nwhile True: s += s",
        "import numpy as np\nk = []\nwhile True: k.append(np.ones(10**6))",
        "x = 1\nwhile True: x <<= 1_000_000",
        "'%0*d' % (2**31 - 1, 1)",
    ] {
        exec()
            .code(code)
            .args(["--max-memory", "160M", "--timeout", "100s"])
            .run()
            .code(137)
            .stderr_contains("MemoryError");
    }
}

#[test]
fn memory_never_exceeds_its_limit() {
    let object = exec()
        .code(
            "kept = []\ntry:\n    while True: kept.append(bytes(10**6))\nexcept MemoryError: pass",
        )
        .args(["--max-memory", "200M"])
        .json();
    assert_eq!(object["status"], "ok");
    let peak = object["usage"]["peak_memory_bytes"].as_u64().unwrap();
    assert!(peak <= 200 << 20, "{peak}");
    assert!(peak > 150 << 20, "{peak}");
}

#[test]
fn a_memory_limit_below_the_interpreters_need_is_an_error() {
    exec()
        .code("pass")
        .args(["--max-memory", "1M"])
        .run()
        .code(125)
        .stderr_contains("the memory limit of 1 MiB is less than");
}

#[test]
fn each_stream_has_its_own_output_limit() {
    let object = exec()
        .code("import sys; print('o' * 3000); print('e' * 500, file=sys.stderr, end='')")
        .args(["--max-output", "1K"])
        .json();
    assert_eq!(object["stdout"].as_str().unwrap().len(), 1024);
    assert_eq!(object["stderr"], "e".repeat(500));
}

const CALL: &str = "import _host, json
answers = [json.loads(_host.call(b'{\"op\":\"x\"}')) for _ in range(10)]
print(sum('used up' in a['error'] for a in answers))";

#[test]
fn host_calls_are_limited_and_the_run_still_completes() {
    // The `begin` request of the turn is one of them.
    exec()
        .code(CALL)
        .args(["--max-host-calls", "5"])
        .run()
        .success()
        .stdout("6\n");
    exec()
        .code("import _host\nfor i in range(20000): last = _host.call(b'{}')\nlast.decode()")
        .json()["result"]
        .as_str()
        .map(|text| assert!(text.contains("limit of 10000 calls"), "{text}"))
        .unwrap();
}

#[test]
fn host_call_bytes_are_limited_and_the_run_still_completes() {
    let object = exec()
        .code("import _host\nlast = [_host.call(b'\"' + b'x' * 500 + b'\"') for _ in range(10)][-1]\nlast.decode()")
        .args(["--max-host-call-bytes", "1K"])
        .json();
    assert_eq!(object["status"], "ok");
    let text = object["result"].as_str().unwrap();
    assert!(text.contains("limit of 1024 bytes"), "{text}");
}

#[test]
fn a_frame_over_the_maximum_size_is_rejected() {
    exec()
        .code("import _host; print(_host.call(b'x' * (33 << 20)).decode())")
        .run()
        .success()
        .stdout_contains("a request to the host may have 33554432 bytes");
}

#[test]
fn the_limits_of_a_turn_override_those_of_the_sandbox() {
    let turn =
        Turn::new("while True: pass").limits(limits(|l| l.wall = Duration::from_millis(100)));
    let e = block_on(sandbox().run(turn)).unwrap();
    let limit = Duration::from_millis(100);
    assert_eq!(e.outcome, Outcome::TimedOut { limit }, "{}", shown(&e));
    let turn = Turn::new("bytearray(10**8)").limits(limits(|l| l.memory = 100 << 20));
    let e = block_on(sandbox().run(turn)).unwrap();
    raised(&e, "MemoryError");
    let e = block_on(sandbox().run("len(bytearray(10**8))")).unwrap();
    assert_eq!(result(&e), "100000000");
}
