//! Attempts to leave a mounted folder of the host, or to block on it.

use codeact::sandbox::{Mount, MountMode};

use crate::host_folder::{Folder, SECRET};
use crate::support::{result, sandbox, shown};

const READ_ONLY: MountMode = MountMode::ReadOnly;
const OVERLAY: MountMode = MountMode::Overlay;

/// Runs `code`, which must complete, and returns its stdout, which must not contain the secret.
#[track_caller]
fn printed(folder: &Folder, mode: MountMode, code: &str) -> String {
    let e = folder.run(mode, code);
    result(&e);
    assert!(!shown(&e).contains(SECRET), "{}", shown(&e));
    folder.assert_outside_untouched();
    e.stdout.text
}

/// Runs each statement and returns the names of their errors. The host's folder must be unchanged.
#[track_caller]
fn errors(folder: &Folder, mode: MountMode, statements: &[&str]) -> Vec<String> {
    let before = folder.shown();
    let code = format!(
        "import os, errno, shutil
for statement in {statements:?}:
    try:
        exec(statement)
        print('allowed')
    except OSError as e: print(errno.errorcode[e.errno])
    except ValueError as e: print('ValueError')"
    );
    let out = printed(folder, mode, &code);
    assert_eq!(folder.shown(), before);
    out.lines().map(Into::into).collect()
}

/// Reads every file that is reachable from `paths`, following links, and prints its content.
const READ_ALL: &str = "
import os
def read(path):
    try:
        print(open(path).read())
    except (OSError, UnicodeDecodeError): pass
def read_all(path):
    read(path)
    for folder, _, files in os.walk(path, followlinks=True):
        for name in files: read(os.path.join(folder, name))
";

#[test]
fn dots_do_not_lead_out_of_a_mount() {
    let folder = Folder::new(&[("d/f.txt", "inside")]);
    let outside = folder.outside();
    let code = format!(
        "{READ_ALL}
outside = {outside:?}
for path in ['/m/../outside', '/m/d/../../outside', '/m/d/../../../..' + outside, outside,
             '/m/./../m/../outside', '/m' + '/..' * 50 + outside, '/m/d/../' * 3 + '../outside']:
    read_all(path); read(path + '/secret.txt')
print(os.listdir('/m/..') == os.listdir('/'), os.listdir('/m/d/..'))
os.chdir('/m/d'); os.chdir('../..'); print(os.listdir('.') == os.listdir('/'))
fd = os.open('/m', os.O_RDONLY)
try:
    print(os.open('../outside/secret.txt', os.O_RDONLY, dir_fd=fd))
except (OSError, NotImplementedError): pass"
    );
    assert_eq!(printed(&folder, READ_ONLY, &code), "True ['d']\nTrue\n");
}

#[cfg(unix)]
#[test]
fn links_in_a_mount_lead_nowhere_outside() {
    let folder = Folder::new(&[("d/f.txt", "inside"), ("plain.txt", "plain")]);
    let outside = folder.outside();
    folder.link(outside.join("secret.txt"), "absolute");
    folder.link(&outside, "folder");
    folder.link("../outside/secret.txt", "up");
    folder.link("../../outside", "d/up");
    folder.link("/", "root");
    folder.link("/proc/self/root", "proc");
    folder.link(folder.at("plain.txt"), "to-itself-by-its-host-path");
    folder.link("absolute", "chain");
    folder.link("d/f.txt", "good");
    let code = format!(
        "{READ_ALL}
names = sorted(os.listdir('/m'))
for name in names:
    if name != 'root': read_all('/m/' + name)
for path in ['folder/secret.txt', 'd/up/secret.txt', 'root' + {outside:?}, 'proc/etc/passwd',
             'absolute/', 'up/.', 'root/m/up', 'root/../m/folder/secret.txt']:
    read_all('/m/' + path)
print(os.listdir('/m/root') == os.listdir('/'), os.path.lexists('/m/up'), os.path.exists('/m/up'))"
    );
    // The file inside is found twice: by its name, and through the link that stays inside.
    let out = printed(&folder, READ_ONLY, &code);
    assert_eq!(out, "inside\ninside\nplain\nTrue True False\n");
}

#[cfg(unix)]
#[test]
fn links_of_the_guests_own_in_a_mount_lead_nowhere_outside() {
    let folder = Folder::new(&[("d/f.txt", "inside")]);
    let outside = folder.outside();
    let code = format!(
        "{READ_ALL}
for i, target in enumerate([{outside:?}, '../outside', '../../outside', '/proc/self/cwd/../outside', '/']):
    os.symlink(target, f'/m/l{{i}}'); os.symlink(target, f'/m/d/l{{i}}')
    for link in (f'/m/l{{i}}', f'/m/d/l{{i}}'):
        read(link + '/secret.txt'); read(link + {outside:?} + '/secret.txt')
        try:
            open(link + '/made.txt', 'w')
        except OSError: continue
        print('made', link)"
    );
    assert_eq!(printed(&folder, OVERLAY, &code), "");
}

#[test]
fn trailing_slashes_in_a_mount() {
    let folder = Folder::new(&[("f.txt", "inside"), ("d/g.txt", "")]);
    let statements = [
        ("open('/m/f.txt/')", "ENOTDIR"),
        ("os.stat('/m/f.txt/')", "ENOTDIR"),
        ("os.listdir('/m/f.txt/')", "ENOTDIR"),
        ("os.remove('/m/f.txt/')", "ENOTDIR"),
        ("os.rename('/m/f.txt/', '/m/x')", "ENOTDIR"),
        ("os.rename('/m/f.txt', '/m/x/')", "ENOTDIR"),
        ("open('/m/new/', 'w')", "EISDIR"),
        ("os.symlink('f.txt', '/m/new/')", "ENOENT"),
        ("os.rmdir('/m/d/.')", "EINVAL"),
        ("os.listdir('/m//d///')", "allowed"),
        ("os.mkdir('/m/new/')", "allowed"),
    ];
    let (code, expected): (Vec<_>, Vec<_>) = statements.into_iter().unzip();
    assert_eq!(errors(&folder, OVERLAY, &code), expected);
}

#[test]
fn invalid_names_are_errors_in_a_mount() {
    let folder = Folder::new(&[("f.txt", "inside")]);
    let long = "x".repeat(256);
    let statements = [
        "open('/m/f.txt\\0.png')".to_owned(),
        "open('/m/a\\0b', 'w')".into(),
        "open(b'/m/\\xff', 'w')".into(),
        "open('/m/\\ud800', 'w')".into(),
        "os.mkdir(b'/m/\\xc3\\x28')".into(),
        "os.symlink('a\\0b', '/m/l')".into(),
        format!("open('/m/{long}')"),
        format!("open('/m/{long}', 'w')"),
        "open('/m/' + 'y/' * 3000)".into(),
    ];
    let statements: Vec<_> = statements.iter().map(|s| &**s).collect();
    let errors = errors(&folder, OVERLAY, &statements);
    assert!(!errors.contains(&"allowed".to_owned()), "{errors:?}");
    assert_eq!(errors[6..], ["ENAMETOOLONG"; 3]);
}

#[cfg(target_os = "linux")]
#[test]
fn host_names_that_are_not_utf_8_are_not_shown() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new(&[("good.txt", "inside")]);
    let odd = OsStr::from_bytes(b"\xff\xfe");
    std::fs::write(folder.path().join(odd), "odd").unwrap();
    std::fs::create_dir(folder.path().join(OsStr::from_bytes(b"d\xc3\x28"))).unwrap();
    folder.link(odd, "link");
    let code = "import os
print(sorted(os.listdir('/m')), sorted(os.listdir(b'/m')), open('/m/good.txt').read())
for path in [b'/m/\\xff\\xfe', '/m/\\udcff\\udcfe', '/m/link', '/m/\\ufffd\\ufffd']:
    try:
        print(open(path).read())
    except (OSError, ValueError): pass";
    let out = printed(&folder, READ_ONLY, code);
    let names = "['good.txt', 'link'] [b'good.txt', b'link'] inside\n";
    assert_eq!(out, names);
}

#[test]
fn the_longest_names_and_the_deepest_folders_of_the_host_do_not_crash() {
    let longest = "n".repeat(255);
    let deep = "d/".repeat(150);
    let folder = Folder::new(&[(&longest, "inside"), (&deep, "")]);
    let code = "import os
name = max(os.listdir('/m'), key=len)
print(len(name), open('/m/' + name).read())
depth = 0
for _ in os.walk('/m/d'): depth += 1
print(100 < depth < 150)";
    let out = printed(&folder, READ_ONLY, code);
    assert_eq!(out, "255 inside\nTrue\n");
}

#[test]
fn hard_links_and_renames_do_not_cross_mounts() {
    let folder = Folder::new(&[("f.txt", "inside"), ("d/g.txt", "g")]);
    let statements = [
        ("os.link('/m/f.txt', '/tmp/f')", "EXDEV"),
        ("os.link('/m/f.txt', '/m/second')", "EPERM"),
        (
            "open('/tmp/mine', 'w').close(); os.link('/tmp/mine', '/m/mine')",
            "EXDEV",
        ),
        ("os.rename('/m/f.txt', '/tmp/f')", "EXDEV"),
        ("os.rename('/m/d', '/home/user/d')", "EXDEV"),
        ("os.rename('/tmp/mine', '/m/f.txt')", "EXDEV"),
        ("os.replace('/tmp/mine', '/m/new')", "EXDEV"),
        ("os.rename('/m', '/tmp/m')", "EACCES"),
        ("os.rmdir('/m')", "ENOTEMPTY"),
    ];
    let (code, expected): (Vec<_>, Vec<_>) = statements.into_iter().unzip();
    assert_eq!(errors(&folder, OVERLAY, &code), expected);
}

#[test]
fn a_move_across_mounts_falls_back_to_a_copy() {
    let folder = Folder::new(&[("f.txt", "inside"), ("d/g.txt", "g")]);
    let before = folder.shown();
    let code = "import shutil, os
for name in ('f.txt', 'd'):
    try:
        print(shutil.move('/m/' + name, '/tmp/' + name))
    except OSError as e: print(e.strerror)
print(sorted(os.listdir('/m')), open('/tmp/f.txt').read(), open('/tmp/d/g.txt').read())";
    let out = printed(&folder, OVERLAY, code);
    assert_eq!(out, "/tmp/f.txt\n/tmp/d\n[] inside g\n");
    let out = printed(&folder, READ_ONLY, code);
    assert!(out.ends_with("['d', 'f.txt'] inside g\n"), "{out}");
    assert!(!out.contains("/tmp"), "{out}");
    assert_eq!(folder.shown(), before);
}

#[test]
fn a_folder_of_a_mount_cannot_be_opened_for_writing() {
    let folder = Folder::new(&[("d/f.txt", "inside")]);
    for mode in [READ_ONLY, OVERLAY] {
        let statements = [
            "open('/m/d', 'w')",
            "open('/m/d', 'r+b')",
            "open('/m/d', 'a')",
            "os.open('/m/d', os.O_WRONLY)",
            "os.open('/m/d', os.O_RDWR)",
            "os.open('/m', os.O_RDWR | os.O_TRUNC)",
            "os.open('/m/d', os.O_RDONLY | os.O_CREAT)",
        ];
        let expected = vec!["EISDIR".to_owned(); statements.len()];
        assert_eq!(errors(&folder, mode, &statements), expected, "{mode:?}");
    }
}

#[test]
fn nothing_in_a_read_only_mount_can_be_changed() {
    let folder = Folder::new(&[("f.txt", "inside"), ("d/g.txt", "g"), ("empty/", "")]);
    let statements = [
        "open('/m/f.txt', 'w')",
        "open('/m/f.txt', 'a')",
        "open('/m/f.txt', 'r+')",
        "open('/m/new', 'w')",
        "os.open('/m/f.txt', os.O_RDONLY | os.O_TRUNC)",
        "os.open('/m/new', os.O_WRONLY | os.O_CREAT | os.O_EXCL)",
        "os.truncate('/m/f.txt', 1)",
        "os.remove('/m/f.txt')",
        "os.rename('/m/f.txt', '/m/g')",
        "os.rename('/m/f.txt', '/m/f.txt')",
        "os.mkdir('/m/x')",
        "os.rmdir('/m/empty')",
        "os.symlink('f.txt', '/m/l')",
        "os.utime('/m/f.txt', (0, 0))",
        "os.utime('/m', (0, 0))",
    ];
    let expected = vec!["EROFS".to_owned(); statements.len()];
    assert_eq!(errors(&folder, READ_ONLY, &statements), expected);
    let fd = "import os
fd = os.open('/m/f.txt', os.O_RDONLY)
for do in (lambda: os.write(fd, b'x'), lambda: os.ftruncate(fd, 0), lambda: os.pwrite(fd, b'x', 0)):
    try:
        do()
        print('allowed')
    except OSError: pass";
    assert_eq!(printed(&folder, READ_ONLY, fd), "");
    assert_eq!(folder.read("f.txt"), "inside");
}

#[test]
fn removing_everything_leaves_the_hosts_folder() {
    let folder = Folder::new(&[("f.txt", "inside"), ("d/g.txt", "g")]);
    let before = folder.shown();
    for mode in [READ_ONLY, OVERLAY, MountMode::Commit] {
        let code = "import shutil, os
shutil.rmtree('/', ignore_errors=True)
shutil.rmtree('/m', ignore_errors=True)
print(sorted(os.listdir('/')))";
        let out = printed(&folder, mode, code);
        assert_eq!(out, "['dev', 'home', 'm', 'mnt', 'tmp', 'usr']\n");
        assert_eq!(folder.shown(), before, "{mode:?}");
    }
}

#[test]
fn invalid_guest_paths_are_rejected() {
    let folder = Folder::new(&[]);
    let at = |guest: &str| Mount::open(folder.path()).unwrap().at(guest);
    for guest in ["/", "//", "relative", "", "/a/../b", "/.."] {
        assert!(at(guest).is_err(), "{guest:?}");
    }
    let taken = sandbox().derive().mount(at("/a/b").unwrap());
    for guest in [
        "/usr",
        "/usr/local/lib",
        "/usr/local/lib/python3.15/json",
        "/dev",
        "/dev/null",
        // The current folder would be missing.
        "/home",
        "/a/b",
        "/a",
        "/a/b/c",
        "/a//b/.",
    ] {
        let error = taken.clone().mount(at(guest).unwrap()).build().err();
        let error = error.unwrap_or_else(|| panic!("{guest} was accepted"));
        assert!(error.to_string().contains("cannot mount"), "{error}");
    }
    assert!(taken.mount(at("/a/bc").unwrap()).build().is_ok());
}
