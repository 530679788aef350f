"""`threading` and thread pools without threads: work is done when it is started, by the caller.

Differences from real threads: `start()` and `submit()` return when the work is done, so threads that
wait for each other raise an error instead of a deadlock. A tool that is submitted to a pool runs
concurrently with the code: `list(pool.map(tools.price, items))` waits for all calls together.
"""

import _thread
import concurrent.futures
import concurrent.futures.thread
import sys
import threading
import time

from _codeact import hostcall


def _start(self):
    if not self._initialized:
        raise RuntimeError("thread.__init__() not called")
    if self._started.is_set():
        raise RuntimeError("threads can only be started once")
    self._started.set()
    try:
        self.run()
    except SystemExit:
        pass
    except Exception:
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self)))


def _join(self, timeout=None):
    if not self._started.is_set():
        raise RuntimeError("cannot join thread before it is started")


def _is_alive(self):
    return self is threading.main_thread()


def _wait(self, timeout=None):
    """Waits for a notification, which only a started tool call can cause."""
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    waiter = _thread.allocate_lock()
    waiter.acquire()
    self._waiters.append(waiter)
    saved = self._release_save()
    try:
        return _wait_until_released(waiter, timeout)
    finally:
        self._acquire_restore(saved)
        if waiter.locked():
            try:
                self._waiters.remove(waiter)
            except ValueError:
                pass


def _wait_until_released(lock, timeout):
    end = None if timeout is None else time.monotonic() + timeout
    while lock.locked():
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return False
        if hostcall.pending:
            hostcall.wait(left)
        elif left is not None:
            time.sleep(left)
        else:
            raise RuntimeError(
                "this would wait forever: the sandbox has no other threads, and threads and pools do "
                "their work when they are started; use asyncio or a plain loop"
            )
    return True


class ThreadPoolExecutor(concurrent.futures.Executor):
    """Does submitted work at once. Submitted tools are started and run concurrently."""

    def __init__(self, max_workers=None, thread_name_prefix="", initializer=None, initargs=()):
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._max_workers = max_workers or 8
        self._shutdown = False
        self._started = []
        if initializer is not None:
            initializer(*initargs)

    def submit(self, fn, /, *args, **kwargs):
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = concurrent.futures.Future()
        future.set_running_or_notify_cancel()
        try:
            if hasattr(fn, "tool") and hasattr(fn, "arguments"):
                hostcall.start(fn.tool, fn.arguments(*args, **kwargs), _FutureWaiter(future))
                self._started.append(future)
            else:
                future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._shutdown = True
        if wait:
            concurrent.futures.wait(self._started)
        self._started.clear()


class _FutureWaiter:
    """Sets the result of a future when a call ends."""

    def __init__(self, future):
        self.done = future.set_result
        self.failed = future.set_exception


def install():
    """Installs the replacements. Called while the image is made."""
    threading.Thread.start = _start
    threading.Thread.join = _join
    threading.Thread.is_alive = _is_alive
    threading.Condition.wait = _wait
    ThreadPoolExecutor.__module__ = "concurrent.futures.thread"
    concurrent.futures.thread.ThreadPoolExecutor = ThreadPoolExecutor
    concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor
