//! Attempts to reach host files or files that all runs share.

use super::{attack, survives};
use crate::support::raised;

/// Tries open, listdir and stat on each path, and returns the reachable ones.
fn reach(setup: &str, paths: &[&str]) -> String {
    survives(&format!(
        "import os
{setup}
for path in {paths:?}:
    for look in (lambda p: open(p, 'rb').read(10), os.listdir, os.stat):
        try:
            look(path)
        except OSError: continue
        print('reached', path, look.__name__)"
    ))
}

#[test]
fn an_absolute_path_of_the_host_leads_nowhere() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let paths = [
        "/etc/passwd",
        "/etc",
        "/root",
        "/bin/sh",
        "/proc/self/mem",
        "/proc",
        "/sys",
        "/dev/mem",
        "/dev/fd/0",
        "/var",
        "C:\\Windows",
        "//etc/passwd",
        manifest,
    ];
    assert_eq!(reach("", &paths), "");
}

#[test]
fn dots_lead_to_the_sandboxs_own_root() {
    let up = "../".repeat(100);
    let (passwd, root) = (format!("{up}etc/passwd"), format!("{up}.."));
    let long = format!("/home/user/{}etc/passwd", "x/../".repeat(50));
    assert_eq!(reach("", &[&passwd, &long]), "");
    let code = format!("import os; print(sorted(os.listdir({root:?})) == sorted(os.listdir('/')))");
    assert_eq!(survives(&code), "True\n");
}

#[test]
fn the_root_shows_only_the_sandbox() {
    let out = survives("import os; print(sorted(os.listdir('/')), sorted(os.listdir('/dev')))");
    assert_eq!(out, "['dev', 'home', 'mnt', 'tmp', 'usr'] ['null']\n");
}

#[test]
fn links_to_the_host_lead_nowhere() {
    let setup = "
os.mkdir('d')
for i, target in enumerate(['/etc/passwd', '/../../etc/passwd', '../../../../etc/passwd',
                            '/proc/self/root', '//etc', '/root/.ssh', '..//..//..//..//etc']):
    os.symlink(target, f'd/{i}')
os.symlink('d/1', 'over')";
    let paths: Vec<String> = (0..7).map(|i| format!("d/{i}")).collect();
    let mut paths: Vec<&str> = paths.iter().map(|p| &**p).collect();
    paths.extend(["over", "d/3/etc/passwd", "d/4/passwd"]);
    assert_eq!(reach(setup, &paths), "");
}

#[test]
fn link_loops_are_an_error() {
    let out = survives(
        "import os, errno
os.symlink('b', 'a'); os.symlink('a', 'b'); os.symlink('self/x', 'self'); os.symlink('.', 'dot')
for i in range(100): os.symlink(f'c{i + 1}', f'c{i}')
for path in ['a', 'self', 'self/y', 'c0', 'dot/' * 200 + 'f']:
    try:
        open(path)
    except OSError as e: print(errno.errorcode[e.errno])",
    );
    assert_eq!(out, "ELOOP\n".repeat(5));
}

#[test]
fn links_that_grow_when_followed_are_an_error() {
    let out = survives(
        "import os
os.symlink('/'.join(['x'] * 1000), 'x')
try:
    open('x')
except OSError as e: print('refused')",
    );
    assert_eq!(out, "refused\n");
}

/// Asserts that each statement raises `OSError` and changes nothing.
#[track_caller]
fn refused(statements: &[&str]) {
    for statement in statements {
        let out = survives(&format!(
            "import os, sys, shutil
zip = next(p for p in sys.path if p.endswith('.zip'))
before = os.stat(zip).st_size
try:
    {statement}
    print('allowed')
except OSError: pass
print(os.stat(zip).st_size == before, sorted(os.listdir('/')) == ['dev', 'home', 'mnt', 'tmp', 'usr'])"
        ));
        assert_eq!(out, "True True\n", "{statement}");
    }
}

#[test]
fn the_packs_archive_cannot_be_changed() {
    refused(&[
        "open(zip, 'r+b').write(b'x')",
        "open(zip, 'wb')",
        "open(zip, 'ab').write(b'x')",
        "os.truncate(zip, 0)",
        "os.open(zip, os.O_RDONLY | os.O_TRUNC)",
        "os.remove(zip)",
        "os.rename(zip, '/home/user/z')",
        "os.rename('kept.txt' if os.path.exists('kept.txt') else zip, zip)",
        "os.link(zip, '/home/user/z')",
        "os.utime(zip, (0, 0))",
    ]);
}

#[test]
fn the_layout_cannot_be_changed() {
    refused(&[
        "os.rename('/usr', '/home/user/usr')",
        "os.rename('/usr', '/mine')",
        "os.rename('/home/user', '/tmp/user')",
        "os.rmdir('/mnt')",
        "os.rmdir('/')",
        "os.rmdir('/tmp')",
        "os.mkdir('/mine')",
        "os.symlink('/tmp', '/mine')",
        "open('/usr/x', 'w')",
        "open('/usr/local/lib/x', 'w')",
        "open('/dev/x', 'w')",
        "open('/x', 'w')",
        "os.remove('/dev/null')",
        "os.utime('/', (0, 0))",
    ]);
}

#[test]
fn removing_everything_leaves_the_layout() {
    let out = survives(
        "import shutil, os
keep = open('kept.txt').read() if os.path.exists('kept.txt') else None
shutil.rmtree('/', ignore_errors=True)
import json, colorsys
print(sorted(os.listdir('/')), colorsys.rgb_to_hsv(1, 1, 1))
if keep: open('/home/user/kept.txt', 'w').write(keep)",
    );
    assert!(
        out.starts_with("['dev', 'home', 'mnt', 'tmp', 'usr']"),
        "{out}"
    );
}

#[test]
fn a_link_to_the_archive_does_not_make_it_writable() {
    let e = attack(
        "import os, sys; os.symlink(sys.path[0] if sys.path[0].endswith('.zip') else [p for p in sys.path if p.endswith('.zip')][0], 'z'); open('z', 'r+b')",
    );
    raised(&e, "PermissionError");
}

#[test]
fn nul_bytes_and_lone_surrogates_in_paths_are_errors() {
    let out = survives(
        "import os
for path in ['a\\0b', '/etc/passwd\\0', 'a\\ud800', b'\\xff\\xfe']:
    for do in (open, os.stat, os.mkdir, os.listdir, lambda p: os.symlink(p, 'l')):
        try:
            do(path)
        except (OSError, ValueError): continue
        print('allowed', ascii(path), do)",
    );
    assert_eq!(out, "");
}

#[test]
fn every_descriptor_can_be_closed_and_the_run_continues() {
    for fd in ["0", "1", "2", "3", "4"] {
        let out = super::attempt(
            &format!(
                "import os
try:
    os.close({fd})
except OSError: pass
open('/home/user/after', 'w').write('x')
import colorsys
done = os.path.getsize('/home/user/after')
os.remove('/home/user/after')
done"
            ),
            super::LONG,
        )
        .0;
        assert_eq!(crate::support::result(&out), "1", "fd {fd}");
    }
}

#[test]
fn closing_all_descriptors_has_an_outcome() {
    super::attack_on_itself("import os\nos.closerange(0, 2000)\nprint('gone')");
}

#[test]
fn descriptors_cannot_be_forged() {
    let out = survives(
        "import os
for fd in [5, 99, 1023, 2**31 - 1, -1]:
    for do in (os.fstat, lambda f: os.read(f, 1), lambda f: os.write(f, b'x'), os.close):
        try:
            do(fd)
        except (OSError, OverflowError): continue
        print('allowed', fd)",
    );
    assert_eq!(out, "");
}

#[test]
fn a_reused_descriptor_number_refers_to_the_new_file() {
    let out = survives(
        "import os
open('a', 'w').write('first'); open('b', 'w').write('second')
a = os.open('a', os.O_RDONLY); os.close(a)
for do in (lambda: os.read(a, 9), lambda: os.lseek(a, 0, 0), lambda: os.close(a)):
    try:
        do()
        print('allowed')
    except OSError: pass
b = os.open('b', os.O_RDONLY)
print(a == b, os.read(a, 9))
for do in (lambda: os.write(a, b'x'), lambda: os.ftruncate(a, 0)):
    try:
        do()
        print('allowed')
    except OSError: pass
print(open('b').read())
os.remove('a'); os.remove('b')",
    );
    assert_eq!(out, "True b'second'\nsecond\n");
}

#[test]
fn streams_are_read_and_written_only_in_their_direction() {
    let out = survives(
        "import os
print('said', flush=True)
for do in (lambda: os.read(1, 9), lambda: os.read(2, 9), lambda: os.pread(1, 9, 0),
           lambda: os.write(0, b'x'), lambda: os.lseek(1, 0, 0), lambda: os.ftruncate(1, 0),
           lambda: open('/dev/stdout').read(), lambda: open('/dev/fd/1').read(),
           lambda: open('/proc/self/fd/1').read(), lambda: os.open('/dev/tty', os.O_RDWR)):
    try:
        print('allowed', do())
    except OSError: pass",
    );
    assert_eq!(out, "said\n");
}

#[test]
fn a_folder_cannot_be_opened_for_writing() {
    let out = survives(
        "import os, errno
os.mkdir('d')
for path in ('d', '/home/user', '/', '/usr', '/tmp/'):
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC, os.O_RDONLY | os.O_CREAT):
        try:
            os.open(path, flags)
            print('allowed', path, flags)
        except OSError as e:
            if e.errno != errno.EISDIR: print(path, flags, e)
os.rmdir('d')",
    );
    assert_eq!(out, "");
}
