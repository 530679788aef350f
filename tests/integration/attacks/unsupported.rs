//! Unsupported operations: processes, network, threads. Each is an error with a reason.

use codeact::sandbox::Outcome;

use super::attack;
use crate::support::shown;

/// Asserts that `code` raises an exception whose message contains one of `words`.
#[track_caller]
fn refused(code: &str, words: &[&str]) {
    let e = attack(code);
    let Outcome::Raised(error) = &e.outcome else {
        panic!("{code}: {}", shown(&e));
    };
    assert!(
        words.iter().any(|w| error.message.contains(w)),
        "{code}: {}",
        error.message
    );
}

#[test]
fn processes_are_errors_with_advice() {
    for code in [
        "import subprocess; subprocess.run(['ls'])",
        "import subprocess; subprocess.check_output('ls', shell=True)",
        "import subprocess; subprocess.Popen('ls')",
        "import os; os.system('ls')",
        "import os; os.popen('ls')",
    ] {
        refused(code, &["no processes"]);
    }
    for code in [
        "import os; os.fork()",
        "import os; os.execv('/bin/sh', [])",
        "import os; os.kill(1, 9)",
        "import multiprocessing; multiprocessing.Process(target=print).start()",
        "import pty; pty.spawn('sh')",
    ] {
        let e = attack(code);
        assert!(
            matches!(e.outcome, Outcome::Raised(_)),
            "{code}: {}",
            shown(&e)
        );
    }
}

#[test]
fn the_network_is_an_error_with_advice() {
    for code in [
        "import socket; socket.create_connection(('example.com', 80))",
        "import socket; socket.getaddrinfo('example.com', 80)",
        "import socket; socket.socket().connect(('127.0.0.1', 80))",
        "import urllib.request; urllib.request.urlopen('http://example.com')",
        "import http.client; http.client.HTTPConnection('example.com').request('GET', '/')",
    ] {
        refused(code, &["network", "not supported", "Not supported"]);
    }
}

#[test]
fn a_server_cannot_listen() {
    for code in [
        "import socket; s = socket.socket(); s.bind(('0.0.0.0', 8000)); s.listen(); s.accept()",
        "import socket; socket.fromfd(0, 2, 1).recv(1)",
        "import http.server; http.server.HTTPServer(('', 8000), None).serve_forever()",
    ] {
        let e = attack(code);
        assert!(
            matches!(e.outcome, Outcome::Raised(_)),
            "{code}: {}",
            shown(&e)
        );
    }
}

#[test]
fn packages_cannot_be_installed() {
    refused("import pip", &["packages cannot be installed"]);
    refused("import ensurepip", &["packages cannot be installed"]);
}

#[test]
fn processes_cannot_be_started_by_a_pool() {
    refused(
        "from concurrent.futures import ProcessPoolExecutor as P; P().submit(print).result()",
        &["process", "synchronize", "semaphore", "multiprocessing"],
    );
}

#[test]
fn signals_and_timers_are_harmless() {
    attack("import signal; signal.raise_signal(signal.SIGINT)");
    attack("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)");
    super::is_stopped(
        "import signal\nsignal.signal(signal.SIGINT, lambda *a: None)\nwhile True: pass",
    );
}

#[test]
fn ctypes_reaches_nothing() {
    for code in [
        "import ctypes; ctypes.string_at(0)",
        "import ctypes; ctypes.CDLL(None)",
        "import ctypes; ctypes.CDLL('libc.so.6').system(b'ls')",
        "import ctypes; ctypes.memset(0, 255, 10**9)",
        "import ctypes; ctypes.cast(2**32 - 8, ctypes.POINTER(ctypes.c_long))[0]",
    ] {
        let e = attack(code);
        assert!(
            matches!(e.outcome, Outcome::Raised(_) | Outcome::Trapped { .. }),
            "{code}: {}",
            shown(&e)
        );
    }
}
