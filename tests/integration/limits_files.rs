//! Limits of the virtual file system: bytes, files, names, depth and descriptors.

use crate::support::{block_on, exec, limits, raised, result, sandbox_with};
use codeact::sandbox::{Execution, Limits};

fn run(change: impl FnOnce(&mut Limits), code: &str) -> Execution {
    block_on(sandbox_with(change).run(code)).unwrap()
}

#[test]
fn writing_without_end_is_no_space_left() {
    exec()
        .code("f = open('big', 'wb')\nwhile True: f.write(bytes(10**6))")
        .args(["--timeout", "100s"])
        .run()
        .code(1)
        .stderr_contains("No space left on device");
}

#[test]
fn the_quota_is_exact_and_removal_frees_it() {
    let e = run(
        |l| l.file_bytes = 1_000_000,
        "import os
open('a', 'wb').write(bytes(600_000))
try:
    with open('b', 'wb', buffering=0) as f: f.write(bytes(400_001))
except OSError as e:
    print(type(e).__name__, os.path.getsize('b'))
with open('b', 'wb', buffering=0) as f: print(f.write(bytes(400_000)))
os.remove('a')
print(open('c', 'wb', buffering=0).write(bytes(600_000)))
os.truncate('c', 10)
print(open('d', 'wb', buffering=0).write(bytes(599_990)))",
    );
    assert_eq!(e.stdout.text, "OSError 0\n400000\n600000\n599990\n");
}

#[test]
fn an_unlinked_file_counts_until_it_is_closed() {
    let e = run(
        |l| l.file_bytes = 1000,
        "import os
f = open('a', 'wb', buffering=0); f.write(bytes(900)); os.remove('a')
g = open('b', 'wb', buffering=0)
try:
    g.write(bytes(900))
except OSError: print('full')
f.close()
g.write(bytes(900))",
    );
    assert_eq!(e.stdout.text, "full\n");
    assert_eq!(result(&e), "900");
}

#[test]
fn a_hole_counts_as_bytes() {
    for code in [
        "f = open('f', 'wb', buffering=0); f.seek(2**40); f.write(b'x')",
        "f = open('f', 'wb', buffering=0); f.seek(2**62); f.write(b'x')",
        "open('f', 'wb').truncate(2**40)",
        "import os; open('f', 'w').close(); os.truncate('f', 2**40)",
        "import os; os.pwrite(os.open('f', os.O_CREAT | os.O_WRONLY), b'x', 2**50)",
        "open('f', 'wb').truncate(2**63 - 1)",
        "f = open('f', 'wb', buffering=0); f.seek(2**63 - 1); f.write(b'xy')",
    ] {
        let e = run(
            |_| (),
            &format!("try:\n    {code}\nexcept OSError as e: print(e.strerror)"),
        );
        assert!(e.usage.peak_memory_bytes < 100 << 20);
        assert!(!e.stdout.text.is_empty(), "{code}: {e:?}");
    }
}

#[test]
fn open_files_are_limited_and_closing_frees_them() {
    let e = run(
        |l| l.open_files = 50,
        "fs = []
try:
    while True: fs.append(open(f'f{len(fs)}', 'w'))
except OSError as e: print(e.strerror, len(fs) < 50)
fs.pop().close()
open('again', 'w').close()",
    );
    assert_eq!(e.stdout.text, "No file descriptors available True\n");
    result(&e);
}

const COUNT: &str = "
import os
n = 0
try:
    while n < 5000:
        MAKE
        n += 1
except OSError as e: print(e.strerror, n)
";

#[test]
fn the_number_of_files_folders_and_links_is_limited() {
    for make in [
        "open(str(n), 'w').close()",
        "os.mkdir(str(n))",
        "os.symlink('x', str(n))",
    ] {
        let e = run(|l| l.files = 100, &COUNT.replace("MAKE", make));
        assert_eq!(e.stdout.text, "No space left on device 100\n", "{make}");
    }
}

#[test]
fn the_number_of_hard_links_is_limited() {
    let code = format!(
        "open('a', 'w').close()\n{}",
        COUNT.replace("MAKE", "os.link('a', str(n))")
    );
    let e = run(|l| l.files = 100, &code);
    assert_eq!(e.stdout.text, "No space left on device 99\n");
}

#[test]
fn names_and_paths_are_limited() {
    let e = run(
        |_| (),
        "import os, errno
for path in ['x' * 256, 'x/' * 3000 + 'x', 'x' * 10**6]:
    try:
        open(path, 'w')
    except OSError as e: print(errno.errorcode[e.errno])
open('x' * 255, 'w').close()
os.path.exists('/' * 4000 + 'home'), os.path.exists('x' * 10**6), os.path.exists('./' * 10**5)",
    );
    assert_eq!(e.stdout.text, "ENAMETOOLONG\nENAMETOOLONG\nENAMETOOLONG\n");
    assert_eq!(result(&e), "(True, False, False)");
}

#[test]
fn the_depth_of_folders_is_limited() {
    let e = run(
        |_| (),
        "import os, errno
depth = 0
try:
    while depth < 1000:
        os.mkdir('d' + '/d' * depth); depth += 1
except OSError as e: print(errno.errorcode[e.errno], 50 < depth < 200)
import shutil
shutil.rmtree('d')
os.path.exists('d')",
    );
    assert_eq!(e.stdout.text, "ENAMETOOLONG True\n");
    assert_eq!(result(&e), "False");
}

#[test]
fn moving_folders_does_not_bypass_the_depth_limit() {
    let e = run(
        |_| (),
        "import os, errno
half = 'd' + '/d' * 99
os.makedirs('a/' + half); os.makedirs('b/' + half)
try:
    os.rename('b', 'a/' + half + '/b')
    print('moved')
except OSError as e: print(errno.errorcode[e.errno])",
    );
    assert_eq!(e.stdout.text, "ENAMETOOLONG\n");
}

#[test]
fn the_quota_holds_over_the_turns_of_a_session() {
    block_on(async {
        let sandbox = sandbox_with(|l| l.file_bytes = 1000);
        let mut session = sandbox.session().unwrap();
        let write = "f = open('NAME', 'wb', buffering=0); f.write(bytes(600))";
        let e = session.run(write.replace("NAME", "a")).await.unwrap();
        assert_eq!(result(&e), "600");
        let e = session.run(write.replace("NAME", "b")).await.unwrap();
        raised(&e, "OSError");
        let e = session
            .run("import os; os.remove('a'); f.close()")
            .await
            .unwrap();
        result(&e);
        let e = session.run(write.replace("NAME", "b")).await.unwrap();
        assert_eq!(result(&e), "600");
    });
}

#[test]
fn the_default_limits_are_these() {
    let limits = limits(|l| *l = Limits::default());
    assert_eq!(limits.wall.as_secs(), 30);
    assert_eq!(limits.memory, 512 << 20);
    assert_eq!(limits.output, 1 << 20);
    assert_eq!(
        (limits.host_calls, limits.host_call_bytes),
        (10_000, 64 << 20)
    );
    assert_eq!((limits.file_bytes, limits.files), (256 << 20, 10_000));
    assert_eq!(limits.open_files, 1024);
}
