//! Attacks: code that keeps the host busy instead of computing, and the clocks that measure it.

use std::fs;

use crate::support::{codeact, exec};

/// Reads a file of 16 MiB again and again. A pass of the loop costs the guest almost nothing.
const READ_LOOP: &str = "
file = open('f', 'w+b', buffering=0)
file.write(bytes(16 << 20))
buffer, n = bytearray(16 << 20), 0
while True:
    file.seek(0); file.readinto(buffer); n += 1";

#[test]
fn reading_files_uses_fuel() {
    let budget = ["--fuel", "100000000"];
    (exec().args(budget).code(READ_LOOP).run().code(124))
        .stderr_contains("the fuel budget of 100000000 is used up");
    let used = |passes: u32| {
        let code = READ_LOOP.replace("while True", &format!("while n < {passes}"));
        let execution = exec().code(&code).json();
        execution["usage"]["fuel"].as_u64().unwrap()
    };
    // One unit for four bytes.
    let each = (used(30) - used(10)) / 20;
    assert!((4 << 20..5 << 20).contains(&each), "{each}");
    assert_eq!(used(10), used(10));
}

#[test]
fn wall_time_stops_reading_of_large_mounted_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("big");
    fs::File::create(&file).unwrap().set_len(3 << 30).unwrap();
    for code in [
        "b = bytearray(200 << 20)\nwhile True: os.lseek(f, 0, 0); os.readv(f, [b])",
        "b = bytearray(1)\nwhile True: os.readv(f, [b] * 1000); os.pread(f, 1, 1 << 31)",
    ] {
        let code = format!("import os\nf = os.open('/mnt/big', os.O_RDONLY)\n{code}");
        let mount = ["--timeout", "1s", "--mount", file.to_str().unwrap()];
        (exec().args(mount).code(&code).run().code(124)).stderr_contains("wall time of 1 s");
    }
}

#[test]
fn a_turn_that_is_stopped_while_it_reads_is_replayed_to_the_same_read() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("recording").display().to_string();
    let code = READ_LOOP.to_owned() + "; print(n)";
    let first = (exec().args(["--record", &recording, "--timeout", "1s"]))
        .code(&code)
        .run()
        .code(124);
    let again = codeact(["replay", "--timeout", "300s", &recording])
        .run()
        .code(124);
    assert_eq!((first.stdout, first.stderr), (again.stdout, again.stderr));
}

#[test]
fn the_times_of_the_process_are_seconds() {
    let code = "
import os, time
before, wall, cpu = os.times(), time.monotonic(), time.process_time()
time.sleep(0.05); sum(range(100_000))
after = os.times()
assert after.elapsed - before.elapsed >= 0.05
assert abs((after.elapsed - before.elapsed) - (time.monotonic() - wall)) < 1
assert 0 < after.user - before.user <= after.elapsed - before.elapsed
assert abs(after.user - time.process_time()) < 1
print(type(after).__name__, after[1:4])";
    (exec().code(code).run().success()).stdout("times_result (0.0, 0.0, 0.0)\n");
}
