//! Functions of Unix that WASI lacks: users, descriptors, locales, and keys from passwords.

use crate::support::exec;

#[test]
fn users_and_processes_are_constants() {
    let code = "
import grp, os, pathlib, pwd, shutil, time
assert os.getuid() == os.geteuid() == os.getgid() == os.getegid() == os.stat('.').st_uid == 0
assert os.getgroups() == [0] and os.getresuid() == (0, 0, 0) and os.getlogin() == 'user'
assert pwd.getpwuid(os.getuid()).pw_dir == os.path.expanduser('~user') == '/home/user'
assert grp.getgrgid(0).gr_name == 'user' and pathlib.Path('.').owner() == 'user'
assert os.getpgid(0) == os.getpid() and os.getppid() == 1 and os.nice(0) == 0
assert os.umask(0o077) == 0o022 and os.umask(0o022) == 0o077
assert len(os.sched_getaffinity(0)) == os.cpu_count() == 1
assert tuple(os.get_terminal_size()) == (80, 24)
assert os.statvfs('/').f_bsize and shutil.disk_usage('/').free
os.setuid(0); os.chown('.', 0, -1); os.sync(); os.register_at_fork(before=print); time.tzset()
assert os.minor(os.makedev(300, 70000)) == 70000 and os.major(os.makedev(300, 70000)) == 300
with open('f', 'wb+') as f:
    assert os.writev(f.fileno(), [b'ab', b'cd']) == 4
    one, two = bytearray(3), bytearray(3)
    assert os.preadv(f.fileno(), [one, two], 0) == 4 and one + two == b'abcd\\0\\0'
";
    exec().code(code).run().success();
}

#[test]
fn changes_that_are_impossible_are_errors() {
    let code = "
import os, pwd, time
def fails(kind, call, *args):
    try: call(*args)
    except kind as error: return error
    raise AssertionError(call)
open('f', 'w').close()
assert fails(PermissionError, os.chown, 'f', 5, 5).filename == 'f'
fails(FileNotFoundError, os.chown, 'none', 0, 0)
assert fails(FileNotFoundError, os.chmod, 'none', 0o600).filename == 'none'
fails(PermissionError, os.setuid, 5)
fails(ProcessLookupError, os.getpgid, 7)
fails(KeyError, pwd.getpwnam, 'root')
fails(KeyError, pwd.getpwuid, 5)
assert 'BytesIO' in str(fails(OSError, os.pipe))
os.environ['TZ'] = 'Europe/Berlin'
assert 'ZoneInfo' in str(fails(OSError, time.tzset))
assert 'one process' in str(fails(AttributeError, lambda: os.eventfd))
fails(ImportError, exec, 'from os import memfd_create')
";
    exec().code(code).run().success();
}

#[test]
fn errors_name_the_path_as_it_was_given() {
    let code = "
import os, pathlib
for call in (os.chdir, os.listdir, os.scandir, os.stat, os.rmdir, os.remove, os.readlink,
             lambda p: os.chmod(p, 0), lambda p: os.open(p, 0), lambda p: os.utime(p)):
    for path in ('missing', b'missing', 'a/../missing', '/tmp/none/x', './missing'):
        try: call(path)
        except FileNotFoundError as error: assert error.filename is path, error.filename
        else: raise AssertionError(call)
for path in ('', b''):
    try: os.chdir(path)
    except FileNotFoundError as error: assert error.filename is path
open('f', 'w').close()
try: os.chdir(b'f')
except NotADirectoryError as error: assert error.filename == b'f'
try: os.chdir('a\\0b')
except ValueError as error: assert str(error).startswith('chdir: '), error
";
    exec().code(code).run().success();
}

#[test]
fn duplicated_descriptors_share_their_position() {
    let code = "
import os
f = open('f', 'wb+', buffering=0)
copy = os.dup(f.fileno())
third = os.dup2(copy, 77)
assert third == 77
f.write(b'one'); os.write(copy, b'two'); os.write(77, b'three')
assert f.tell() == os.lseek(copy, 0, os.SEEK_CUR) == 11
os.close(f.fileno()); os.lseek(77, 3, os.SEEK_SET)
assert os.read(copy, 3) == b'two' and os.read(77, 9) == b'three'
other = os.open('f', os.O_RDONLY)
assert os.read(other, 3) == b'one' and os.read(77, 3) == b''
# Output goes to a file, and back.
saved = os.dup(1)
os.dup2(copy, 1)
print('into the file')
os.dup2(saved, 1); os.close(saved)
print(open('f').read())
for call in (lambda: os.dup(99), lambda: os.dup2(99, 5), lambda: os.dup2(1, 10**9), lambda: os.dup2(1, 3)):
    try: call()
    except OSError: pass
    else: raise AssertionError
try: os.dup('x')
except TypeError: pass
";
    let done = exec().code(code).run().success();
    assert_eq!(done.stdout, "onetwothreeinto the file\n\n");
}

#[test]
fn a_stream_that_is_left_in_a_file_is_back_in_the_next_turn() {
    let sessions = tempfile::tempdir().unwrap();
    let run = |code: &str| {
        exec()
            .args(["--session", "s"])
            .host_env("CODEACT_SESSIONS", sessions.path())
            .code(code)
            .run()
            .success()
    };
    let done = run("import os\nf = open('f', 'w')\nos.dup2(f.fileno(), 1)\nprint('lost')");
    assert_eq!(done.stdout, "");
    let done = run("print('there', open('f').read(), f.tell())");
    assert_eq!(done.stdout, "there lost\n 5\n");
}

#[test]
fn unknown_locales_are_errors() {
    let code = "
import locale
for name in ('de_DE.UTF-8', 'no such thing', 'en_US', 'C.UTF-8;de_DE', ('de_DE', 'UTF-8')):
    try: locale.setlocale(locale.LC_ALL, name)
    except locale.Error as error: assert 'unsupported locale setting' in str(error)
    else: raise AssertionError(name)
for name in ('', 'C', 'POSIX', 'C.UTF-8', locale.setlocale(locale.LC_ALL), None):
    locale.setlocale(locale.LC_ALL, name)
import calendar
calendar.LocaleTextCalendar().formatmonth(2024, 1)
";
    exec().code(code).run().success();
}

#[test]
fn keys_are_derived_from_passwords() {
    // The values of RFC 6070, RFC 7914 and OpenSSL.
    let code = "
import hashlib
def hex(*args, **named): return hashlib.pbkdf2_hmac(*args, **named).hex()
assert hex('sha1', b'password', b'salt', 4096) == '4b007901b765489abead49d926f721d065a429c1'
assert hex('sha1', b'passwordPASSWORDpassword', b'saltSALTsaltSALTsaltSALTsaltSALTsalt', 4096, 25) == \\
    '3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038'
assert hex('sha256', b'passwd', b'salt', 1, 64) == (
    '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc4'
    '9ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783')
assert hashlib.scrypt(b'', salt=b'', n=16, r=1, p=1).hex() == (
    '77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442'
    'fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906')
assert hashlib.scrypt(b'password', salt=b'NaCl', n=1024, r=8, p=16).hex().startswith('fdbabe1c9d347200')
for wrong in (dict(n=15, r=8, p=1), dict(n=2**20, r=8, p=1), dict(n=2**20, r=8, p=1, maxmem=2**31 - 1),
              dict(n=16, r=0, p=1), dict(n=16, r=1, p=0), dict(n=0, r=1, p=1)):
    try: hashlib.scrypt(b'x', salt=b'y', **wrong)
    except ValueError: pass
    else: raise AssertionError(wrong)
for wrong in (('nope', b'', b'', 1), ('sha256', b'', b'', 0), ('sha256', b'', b'', 1, 0)):
    try: hashlib.pbkdf2_hmac(*wrong)
    except ValueError: pass
    else: raise AssertionError(wrong)
";
    exec().code(code).run().success();
}

#[test]
fn pytest_runs_with_its_defaults() {
    let code = "
import pytest
open('test_a.py', 'w').write('''
import os
def test_output(capfd):
    print('one'); os.write(1, b'two')
    assert capfd.readouterr().out == 'one\\\\ntwo'
def test_folder(tmp_path):
    (tmp_path / 'f').write_text('x')
def test_fails():
    print('noise')
    assert 1 + 1 == 3
''')
print('exit', int(pytest.main(['test_a.py'])))
";
    let done = exec()
        .args(["--with", "pytest==8.4.2"])
        .code(code)
        .run()
        .success();
    for part in [
        "1 failed, 2 passed",
        "assert (1 + 1) == 3",
        "noise",
        "exit 1",
    ] {
        assert!(done.stdout.contains(part), "{}", done.stdout);
    }
}
