"""Threads, where there are none: their work is done at once, by whoever starts it.

What differs from real ones: `start()` and `submit()` return when the work is done, so threads that wait for
one another never meet; that is an error, not a hang. A tool that is given to a pool is called beside the
code, many at the same time: `list(pool.map(tools.price, items))` waits once.
"""

import _thread
import concurrent.futures
import concurrent.futures.thread
import sys
import threading
import time

from _codeact import door


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
    """Waits for a notification: only calls of tools that are under way can bring one."""
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    waiter = _thread.allocate_lock()
    waiter.acquire()
    self._waiters.append(waiter)
    saved = self._release_save()
    try:
        return _until_free(waiter, timeout)
    finally:
        self._acquire_restore(saved)
        if waiter.locked():
            try:
                self._waiters.remove(waiter)
            except ValueError:
                pass


def _until_free(waiter, timeout):
    end = None if timeout is None else time.monotonic() + timeout
    while waiter.locked():
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return False
        if door.pending:
            door.wait(left)
        elif left is not None:
            time.sleep(left)
        else:
            raise RuntimeError(
                "this waits for another thread, and there are none: threads and pools do their work "
                "when they are started; use asyncio, or a plain loop"
            )
    return True


class ThreadPoolExecutor(concurrent.futures.Executor):
    """Does its work at once. Tools it only starts: their calls run beside the code."""

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
                door.start(fn.tool, fn.arguments(*args, **kwargs), _Waiter(future))
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


class _Waiter:
    """Tells a future how a call has ended."""

    def __init__(self, future):
        self.done = future.set_result
        self.failed = future.set_exception


def install():
    """Puts it in place. Called while the image is made."""
    threading.Thread.start = _start
    threading.Thread.join = _join
    threading.Thread.is_alive = _is_alive
    threading.Condition.wait = _wait
    ThreadPoolExecutor.__module__ = "concurrent.futures.thread"
    concurrent.futures.thread.ThreadPoolExecutor = ThreadPoolExecutor
    concurrent.futures.ThreadPoolExecutor = ThreadPoolExecutor
