//! Texts of uncaught errors about unsupported operations, with their hints.

use crate::texts::Page;

const REPL: [&str; 2] = ["repl", "--no-mcp-config"];

/// Pins the errors of `lines`. Each line is a block that fails.
fn failing(name: &str, lines: &[&str]) {
    let mut page = Page::with_pack();
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    page.typed(&REPL, &input);
    page.pinned(name);
}

#[test]
fn modules_that_are_missing() {
    failing(
        "python_modules",
        &[
            "import pip",
            "import ensurepip",
            "import requests",
            "import httpx",
            "import polars",
            "import pyarrow",
            "import torch",
            "import tensorflow",
            "import cv2",
            "import h5py",
            "import tkinter",
            "import no_such_module",
            "from numpy import no_such_name",
            "import _ctypes_test",
            "import ctypes; ctypes.CDLL('libc.so.6')",
        ],
    );
}

#[test]
fn unsupported_processes_and_threads() {
    failing(
        "python_processes",
        &[
            "import os, subprocess, sys, threading, queue, multiprocessing, signal, asyncio",
            "os.system('ls')",
            "os.popen('ls')",
            "subprocess.run(['ls'])",
            "subprocess.check_output('ls', shell=True)",
            "subprocess.run([sys.executable, '-m', 'pip', 'install', 'rich'])",
            "os.fork()",
            "os.kill(1, 9)",
            "signal.alarm(1)",
            "threading.Thread(target=print, args=('in a thread',)).start()",
            "threading.Event().wait()",
            "queue.Queue().get()",
            "lock = threading.Lock(); lock.acquire(); lock.acquire()",
            "threading.Barrier(2).wait()",
            "multiprocessing.Process(target=print).start()",
            "multiprocessing.Pool(2)",
            "asyncio.run(asyncio.Event().wait())",
            "asyncio.run(asyncio.create_subprocess_exec('ls'))",
            "asyncio.run(asyncio.start_server(print, '127.0.0.1', 80))",
            "asyncio.run(asyncio.open_connection('127.0.0.1', 80))",
            "t = threading.Thread(target=print); t.join()",
        ],
    );
}

#[test]
fn unsupported_sockets_and_mappings() {
    failing(
        "python_sockets",
        &[
            "import mmap, os, socket, ssl, select, http.client, urllib.request, numpy as np",
            "socket.create_connection(('example.com', 80))",
            "socket.socket().bind(('', 80))",
            "socket.socket(socket.AF_UNIX)",
            "socket.socketpair()",
            "socket.getaddrinfo('example.com', 80)",
            "urllib.request.urlopen('https://example.com')",
            "http.client.HTTPSConnection('example.com').request('GET', '/')",
            "import pandas as pd; pd.read_csv('https://example.com/a.csv')",
            "open('f', 'wb').write(b'x' * 100)",
            "mmap.mmap(os.open('f', os.O_RDWR), 0)",
            "np.memmap('f')",
            "ssl.create_default_context().load_cert_chain('a.pem')",
            "os.chmod('f', 0o777); os.chown('f', 0, 0)",
            "os.mkfifo('p')",
            "open('/etc/passwd')",
            "open('/usr/x', 'w')",
        ],
    );
}

#[test]
fn unsupported_kinds_of_files() {
    failing(
        "python_kinds",
        &[
            "import numpy as np, pandas as pd, PIL.Image, matplotlib.pyplot as plt",
            "df = pd.DataFrame({'a': [1]})",
            "df.to_parquet('a.parquet')",
            "df.to_feather('a.feather')",
            "df.to_hdf('a.h5', key='a')",
            "df.to_sql('t', 'sqlite:///a.db')",
            "PIL.Image.new('RGB', (1, 1)).save('a.jpg')",
            "PIL.Image.new('RGB', (1, 1)).save('a.webp')",
            "plt.savefig('a.jpg')",
            "import PIL.ImageFont; PIL.ImageFont.truetype('a.ttf')",
        ],
    );
}

#[test]
fn invalid_answers_and_questions() {
    let mut page = Page::with_pack();
    for code in [
        "ask_user('')",
        "ask_user(5)",
        "ask_user('a?', choices=[])",
        "ask_user('a?', choices=['x'] * 1000)",
        "final_answer(1)",
        "await print(1)",
        "from IPython.display import display\ndisplay(1)",
        "def f(): f()\nf()",
        "x = [0] * (1 << 40)",
        "import sys; sys.setrecursionlimit(10 ** 9)",
        "print('\\ud800')",
        "class E(Exception):\n    def __str__(self): raise ValueError('no')\nraise E",
        "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
        "try: 1 / 0\nexcept ZeroDivisionError as e: raise KeyError('k') from e",
        "e = ValueError('v')\ne.add_note('a note')\nraise e",
    ] {
        page.run(&["exec", "-c", code]);
    }
    page.pinned("python_exceptions");
}
