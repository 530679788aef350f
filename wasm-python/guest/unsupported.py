"""Error messages for processes, signals and package installers, which the sandbox does not have."""

import errno
import importlib.abc
import os
import signal
import sys
from concurrent.futures import process
from multiprocessing import context

import multiprocessing
import multiprocessing.process

_USE_THREADS = (
    "use concurrent.futures.ThreadPoolExecutor or multiprocessing.pool.ThreadPool, or a plain loop: "
    "threads run one at a time"
)
_IN_PYTHON = "the sandbox has no processes and no shell; do it in Python"
_NO_PROCESSES = f"the sandbox has no processes; {_USE_THREADS}"
_NO_ALARMS = (
    "the sandbox has no signals that arrive by themselves; compare time.monotonic() with a deadline, or "
    "use asyncio.timeout()"
)
_NO_SIGNALS = "the sandbox has no other processes and no signals; end the code with sys.exit()"

# Functions that do not exist here, and the advice. They stay missing: libraries test for them with
# `hasattr`.
_MISSING = {
    os: {
        **dict.fromkeys(("fork", "forkpty", "register_at_fork"), _NO_PROCESSES),
        **dict.fromkeys(("wait", "waitpid", "wait3", "wait4", "waitid"), _NO_PROCESSES),
        **dict.fromkeys(("kill", "killpg"), _NO_SIGNALS),
        **dict.fromkeys(
            "execv execve posix_spawn posix_spawnp spawnl spawnle spawnlp spawnlpe spawnv spawnve "
            "spawnvp spawnvpe startfile".split(),
            _IN_PYTHON,
        ),
        **dict.fromkeys(
            ("pipe", "openpty"),
            "the sandbox has no pipes; use queue.Queue between threads, or io.BytesIO",
        ),
        **dict.fromkeys(
            ("getppid", "getpgid", "getpgrp", "getsid", "setsid", "setpgid", "nice"),
            "the sandbox has no other processes",
        ),
        **dict.fromkeys(
            ("sched_getaffinity", "sched_setaffinity"),
            "the sandbox runs on one processor; os.process_cpu_count() returns 1",
        ),
    },
    signal: {
        **dict.fromkeys(("alarm", "setitimer", "getitimer"), _NO_ALARMS),
        **dict.fromkeys(("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"), _NO_ALARMS),
        **dict.fromkeys(("pause", "sigwait", "sigwaitinfo", "sigtimedwait", "pthread_kill"), _NO_ALARMS),
        **dict.fromkeys(("siginterrupt", "pthread_sigmask", "set_wakeup_fd"), _NO_SIGNALS),
    },
}
_INSTALLERS = ("pip", "ensurepip")
_CANNOT_INSTALL = (
    "packages cannot be installed from inside the sandbox; use an available package, or add a "
    "pure-Python one to the sandbox's packages before the code runs"
)


def _not_found(module, advice):
    """Returns `module.__getattr__`, whose error says why a function is missing."""
    plain = getattr(module, "__getattr__", None)
    name_of = module.__name__

    def __getattr__(name):
        if name in advice:
            raise AttributeError(f"{name_of}.{name} is not available: {advice[name]}")
        if plain is not None:
            return plain(name)
        raise AttributeError(f"module {name_of!r} has no attribute {name!r}", name=name, obj=module)

    return __getattr__


def _refuse(name, advice, kind=OSError):
    """Returns a function `name` that raises an error with `advice`."""

    def unsupported(*args, **kwargs):
        message = f"{name} is not available: {advice}"
        raise OSError(errno.ENOTSUP, message) if kind is OSError else kind(message)

    unsupported.__name__ = unsupported.__qualname__ = name.rpartition(".")[2]
    return unsupported


class _Finder(importlib.abc.MetaPathFinder):
    """Refuses to import package installers, with a reason."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in _INSTALLERS:
            # Without the `name` attribute: tracebacks would replace this message by the one for
            # missing modules of the standard library.
            raise ModuleNotFoundError(f"No module named {name!r}: {_CANNOT_INSTALL}")
        return None


def _refuse_multiprocessing():
    """Makes each object of `multiprocessing` that needs processes an error.

    Locks and queues raise ImportError, as natively on systems without semaphores: libraries catch it.
    """
    queues = f"the sandbox has no processes; use queue.Queue with threads, and {_USE_THREADS}"
    locks = f"the sandbox has no processes; use the locks of threading, and {_USE_THREADS}"
    shared = f"the sandbox has no processes and no shared memory; threads share all objects: {_USE_THREADS}"
    base = context.BaseContext
    for names, advice, kind in (
        (("Pool",), _NO_PROCESSES, OSError),
        (("Manager", "RawValue", "RawArray", "Value", "Array"), shared, OSError),
        (("Pipe", "SimpleQueue"), queues, OSError),
        (("Queue", "JoinableQueue"), queues, ImportError),
        (
            ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition", "Event", "Barrier"),
            locks,
            ImportError,
        ),
    ):
        for name in names:
            setattr(base, name, _refuse_method(f"multiprocessing.{name}", advice, kind))
            if name in vars(multiprocessing):
                setattr(multiprocessing, name, getattr(multiprocessing.context._default_context, name))
    start = _refuse("multiprocessing.Process.start", _NO_PROCESSES)
    multiprocessing.process.BaseProcess.start = start


def _refuse_method(name, advice, kind):
    refuse = _refuse(name, advice, kind)

    def unsupported(self, *args, **kwargs):
        refuse()

    unsupported.__name__ = unsupported.__qualname__ = name.rpartition(".")[2]
    return unsupported


def install():
    """Installs the errors. Called while the image is made."""
    for name in ("system", "popen"):
        setattr(os, name, _refuse(f"os.{name}", _IN_PYTHON))
    for name in ("execl", "execle", "execlp", "execlpe", "execvp", "execvpe", "abort"):
        if name != "abort":
            setattr(os, name, _refuse(f"os.{name}", _IN_PYTHON))
    for module, advice in _MISSING.items():
        module.__getattr__ = _not_found(
            module, {name: text for name, text in advice.items() if not hasattr(module, name)}
        )
    import subprocess

    subprocess.Popen.__init__ = _refuse("subprocess.Popen", _IN_PYTHON)
    subprocess.Popen.__del__ = lambda self: None
    process._check_system_limits = _refuse(
        "ProcessPoolExecutor", _NO_PROCESSES, NotImplementedError
    )
    _refuse_multiprocessing()
    sys.meta_path.insert(0, _Finder())
