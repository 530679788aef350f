//! Attempts to exhaust the host with a mount: disk, memory, descriptors or time.

use std::fs::File;
use std::os::unix::fs::FileExt;

use codeact::sandbox::{Execution, Limits, MountMode, Turn};

use crate::host_folder::Folder;
use crate::support::{limits, result};

fn run(
    folder: &Folder,
    mode: MountMode,
    change: impl FnOnce(&mut Limits),
    code: &str,
) -> Execution {
    let code = format!("import os, errno\n{code}");
    let e = folder.run(mode, Turn::new(code).limits(limits(change)));
    result(&e);
    e
}

/// Runs `code` with an overlay and limits on files, and returns its stdout. The host's folder must be unchanged.
#[track_caller]
fn printed(folder: &Folder, change: impl FnOnce(&mut Limits), code: &str) -> String {
    let before = folder.shown();
    let e = run(folder, MountMode::Overlay, change, code);
    assert_eq!(folder.shown(), before);
    e.stdout.text
}

const UNTIL_IT_FAILS: &str = "
n = 0
try:
    while n < 5000:
        MAKE
        n += 1
    print('never')
except OSError as e: print(errno.errorcode[e.errno], n)
";

#[test]
fn one_big_file_fills_the_quota_and_not_the_host() {
    let folder = Folder::new(&[("f.txt", "inside")]);
    for make in [
        "open('/m/big', 'ab', buffering=0).write(bytes(10_000))",
        "open('/m/f.txt', 'ab', buffering=0).write(bytes(10_000))",
        "os.write(os.open('/m/big', os.O_CREAT | os.O_WRONLY | os.O_APPEND), bytes(10_000))",
        "fd = os.open('/m/big', os.O_CREAT | os.O_RDWR); os.pwrite(fd, bytes(10_000), n * 10_000); os.close(fd)",
        "os.close(os.open('/m/big', os.O_CREAT | os.O_WRONLY)); os.truncate('/m/big', n * 10_000 + 10_000)",
    ] {
        let code = UNTIL_IT_FAILS.replace("MAKE", make);
        let out = printed(&folder, |l| l.file_bytes = 1_000_000, &code);
        assert!(
            ["ENOSPC 100\n", "ENOSPC 99\n", "ENOSPC 93\n"].contains(&&*out),
            "{make}: {out}"
        );
    }
}

#[test]
fn many_empty_files_folders_and_links_fill_the_quota() {
    let folder = Folder::new(&[("d/f.txt", "inside")]);
    for make in [
        "open(f'/m/d/{n}', 'w').close()",
        "os.close(os.open(f'/m/d/{n}', os.O_WRONLY | os.O_CREAT | os.O_EXCL))",
        "os.mkdir(f'/m/{n}')",
        "os.symlink('f.txt', f'/m/{n}')",
        // Moving a host file away frees nothing.
        "os.rename('/m/d/f.txt', '/m/x') if n == 50 else open(f'/m/{n}', 'w').close()",
    ] {
        let code = UNTIL_IT_FAILS.replace("MAKE", make);
        let out = printed(&folder, |l| l.files = 100, &code);
        let moved = usize::from(make.contains("rename"));
        assert_eq!(out, format!("ENOSPC {}\n", 100 + moved), "{make}");
    }
}

#[test]
fn removing_host_files_frees_no_quota() {
    let names: Vec<String> = (0..100).map(|n| format!("host{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (&**name, "0123456789")).collect();
    let folder = Folder::new(&files);
    let code = "for name in os.listdir('/m'): os.remove('/m/' + name)".to_owned()
        + &UNTIL_IT_FAILS.replace("MAKE", "open(f'/m/{n}', 'w').close()");
    let out = printed(&folder, |l| l.files = 50, &code);
    assert_eq!(out, "ENOSPC 50\n");
}

#[test]
fn the_depth_of_folders_in_a_mount_is_limited() {
    let folder = Folder::new(&[("d/e/f.txt", "inside")]);
    let code = "path = '/m/d/e'
try:
    while True:
        path += '/x'; os.mkdir(path)
except OSError as e: print(errno.errorcode[e.errno], 100 < path.count('/') < 140)
half = '/m/d/' + '/'.join(['y'] * 60)
os.makedirs(half)
try:
    os.rename('/m/d/e', half + '/e')
    print('moved')
except OSError as e: print(errno.errorcode[e.errno])
import shutil; shutil.rmtree('/m/d'); print(os.listdir('/m'))";
    let out = printed(&folder, |_| (), code);
    assert_eq!(out, "ENAMETOOLONG True\nENAMETOOLONG\n[]\n");
}

#[test]
fn open_host_files_are_limited() {
    let folder = Folder::new(&[("f.txt", "inside"), ("g.txt", "inside")]);
    for open in [
        "os.open('/m/f.txt', os.O_RDONLY)",
        "os.open(f'/m/{\"fg\"[n % 2]}.txt', os.O_RDWR)",
        "os.open('/m', os.O_RDONLY | os.O_DIRECTORY)",
    ] {
        let code = UNTIL_IT_FAILS.replace("MAKE", open)
            + "
for fd in range(5, 50):
    try:
        os.close(fd)
    except OSError: pass
print(open('/m/f.txt').read())";
        let out = printed(&folder, |l| l.open_files = 50, &code);
        let (first, rest) = out.split_once('\n').unwrap();
        assert!(first.starts_with("EMFILE 4"), "{open}: {out}");
        assert_eq!(rest, "inside\n");
    }
}

#[test]
fn holes_in_an_overlay_count_and_allocate_nothing() {
    let folder = Folder::new(&[("f.txt", "inside")]);
    for make in [
        "f = open('/m/PATH', 'r+b', buffering=0); f.seek(2**40); f.write(b'x')",
        "f = open('/m/PATH', 'r+b', buffering=0); f.seek(2**63 - 1); f.write(b'xy')",
        "open('/m/PATH', 'r+b').truncate(2**40)",
        "os.truncate('/m/PATH', 2**63 - 1)",
        "os.pwrite(os.open('/m/PATH', os.O_WRONLY), b'x', 2**50)",
    ] {
        for path in ["f.txt", "new"] {
            let make = make.replace("PATH", path);
            let code = format!(
                "open('/m/new', 'w').write('inside')
try:
    {make}
    print('allowed')
except OSError as e: print(errno.errorcode[e.errno])
print(os.path.getsize('/m/{path}'), open('/m/{path}').read())"
            );
            let out = printed(&folder, |_| (), &code);
            let error = out.lines().next().unwrap();
            assert!(
                matches!(error, "ENOSPC" | "EFBIG" | "EINVAL"),
                "{make}: {out}"
            );
            assert!(out.ends_with("6 inside\n"), "{make}: {out}");
        }
    }
}

const GIB: u64 = 1 << 30;

/// Returns a folder with a sparse file of 3 GiB.
fn big() -> Folder {
    let folder = Folder::new(&[("big", "begin")]);
    let file = File::options().write(true).open(folder.at("big")).unwrap();
    file.set_len(3 * GIB).unwrap();
    file.write_all_at(b"middle", 2 * GIB).unwrap();
    file.write_all_at(b"end", 3 * GIB - 3).unwrap();
    folder
}

#[test]
fn a_big_file_is_read_in_place() {
    let folder = big();
    let code = "f = open('/m/big', 'rb')
print(os.path.getsize('/m/big'), f.read(5), f.seek(2**31), f.read(6), f.seek(-3, 2), f.read())
print(os.pread(f.fileno(), 4, 2**31 + 2), sum(f.read(1 << 20) == b'' for _ in range(3)))";
    for mode in [MountMode::ReadOnly, MountMode::Overlay] {
        let e = run(&folder, mode, |l| l.file_bytes = 1000, code);
        let out = "3221225472 b'begin' 2147483648 b'middle' 3221225469 b'end'\nb'ddle' 3\n";
        assert_eq!(e.stdout.text, out);
        assert!(e.usage.peak_memory_bytes < 120 << 20);
    }
}

#[test]
fn one_byte_written_in_a_big_file_costs_one_chunk() {
    let folder = big();
    let stamp = || {
        let meta = std::fs::metadata(folder.at("big")).unwrap();
        (meta.len(), meta.modified().unwrap())
    };
    let before = stamp();
    let code = "f = open('/m/big', 'r+b', buffering=0)
f.seek(2**31 + 1); print(f.write(b'X'))
f.seek(2**31); print(f.read(6))
f.seek(2**31 - 10**6)
try:
    print(f.write(b'Y'))
except OSError as e: print(errno.errorcode[e.errno])
f.seek(-3, 2); print(f.read(), os.path.getsize('/m/big'))
f.truncate(5); f.seek(0); print(f.read(), os.path.getsize('/m/big'))";
    // A chunk has 64 KiB: the quota fits one.
    let e = run(
        &folder,
        MountMode::Overlay,
        |l| l.file_bytes = 100_000,
        code,
    );
    let out = "1\nb'mXddle'\nENOSPC\nb'end' 3221225472\nb'begin' 5\n";
    assert_eq!(e.stdout.text, out);
    assert!(e.usage.peak_memory_bytes < 120 << 20);
    assert_eq!(stamp(), before);
    let mut middle = [0; 6];
    let file = File::open(folder.at("big")).unwrap();
    file.read_exact_at(&mut middle, 2 * GIB).unwrap();
    assert_eq!(&middle, b"middle");
}

#[test]
fn cyclic_links_end_every_walk() {
    let folder = Folder::new(&[("d/f.txt", "inside"), ("d/e/g.txt", "")]);
    folder.link("..", "d/loop");
    folder.link(".", "self");
    folder.link("b", "a");
    folder.link("a", "b");
    folder.link("../d/e", "d/e/again");
    let code = "import glob
print(sum(1 for _ in os.walk('/m')))
top = sum(1 for _ in zip(range(2000), os.walk('/m/d/e', followlinks=True)))
print(top < 100)
for path in ('/m/a', '/m/b/x', '/m/d' + '/loop/d' * 40, '/m' + '/self' * 40):
    try:
        os.stat(path)
    except OSError as e: print(errno.errorcode[e.errno])";
    let out = printed(&folder, |_| (), code);
    assert_eq!(out, "3\nTrue\nELOOP\nELOOP\nELOOP\nELOOP\n");
}

#[test]
fn a_folder_of_a_mount_cannot_be_moved_into_itself() {
    let folder = Folder::new(&[("d/e/f.txt", "inside")]);
    let code = "for to in ('/m/d/x', '/m/d/e/x', '/m/d/e'):
    try:
        os.rename('/m/d', to)
        print('moved')
    except OSError as e: print(errno.errorcode[e.errno])
print(open('/m/d/e/f.txt').read())";
    let out = printed(&folder, |_| (), code);
    assert_eq!(out, "EINVAL\nEINVAL\nEINVAL\ninside\n");
}
