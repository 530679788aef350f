//! Time, fuel, memory, output and the door: each bound holds, and is said.

use std::time::Duration;

use codeact::sandbox::{Outcome, Turn};

use crate::support::{block_on, exec, limits, raised, result, sandbox, sandbox_with, shown};

/// Asserts that `code` is stopped by its wall time, well before the hard kill of a hang.
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
    // One call is about as costly as a large memset: forty times the limit is a hang.
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
fn wall_time_stops_a_loop_of_door_calls() {
    times_out("import _host\nb = b'[' * 10**6\nwhile True: _host.call(b)");
}

#[test]
fn wall_time_stops_a_loop_of_prints_that_are_dropped() {
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

/// Changes with the pack, the runner and the meter, and with nothing else: no machine, no engine.
#[test]
fn a_fixed_program_uses_just_this_fuel() {
    let object = exec()
        .code("print(sum(n * n for n in range(1000)))")
        .args(["--seed", "1"])
        .json();
    assert_eq!(object["stdout"], "332833500\n");
    assert_eq!(object["usage"]["fuel"], 1869915);
}

#[test]
fn fuel_stops_a_program_and_says_the_budget() {
    exec()
        .code("sum(range(10**12))")
        .args(["--fuel", "10000"])
        .run()
        .code(124)
        .stderr("codeact: stopped: the fuel budget of 10000 is used up\n");
}

#[test]
fn a_budget_of_what_a_program_uses_is_enough_and_half_of_it_is_not() {
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
fn a_memory_error_can_be_caught_and_the_code_goes_on() {
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
fn many_small_objects_are_a_memory_error() {
    exec()
        .code("kept = []\nwhile True: kept.append([0])")
        .args(["--max-memory", "128M", "--timeout", "100s"])
        .run()
        .code(137)
        .stderr_contains("MemoryError");
}

#[test]
fn a_dict_and_a_text_that_grow_for_ever_are_memory_errors() {
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
fn less_memory_than_the_interpreter_takes_is_refused_with_the_need() {
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
fn calls_to_the_host_are_bounded_and_the_run_still_ends_well() {
    // The runner's own `begin` is one of them.
    exec()
        .code(CALL)
        .args(["--max-door-calls", "5"])
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
fn bytes_to_the_host_are_bounded_and_the_run_still_ends_well() {
    let object = exec()
        .code("import _host\nlast = [_host.call(b'\"' + b'x' * 500 + b'\"') for _ in range(10)][-1]\nlast.decode()")
        .args(["--max-door-bytes", "1K"])
        .json();
    assert_eq!(object["status"], "ok");
    let text = object["result"].as_str().unwrap();
    assert!(text.contains("limit of 1024 bytes"), "{text}");
}

#[test]
fn a_frame_over_the_largest_size_is_refused() {
    exec()
        .code("import _host; print(_host.call(b'x' * (33 << 20)).decode())")
        .run()
        .success()
        .stdout_contains("a request to the host may have 33554432 bytes");
}

#[test]
fn a_turns_own_limits_win_over_the_sandboxs() {
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
