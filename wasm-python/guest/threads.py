"""`threading` and thread pools on `scheduler`: threads run when the code that runs now has to wait.

A tool that is submitted to a pool runs concurrently with the code: `list(pool.map(tools.price, items))`
waits for all calls together.
"""

import asyncio
import contextvars
import importlib.abc
import importlib.machinery
import itertools
import queue
import sys
import threading
import time
import types
from concurrent import futures
from concurrent.futures import thread as pools

import _queue
import _thread
from _codeact import answer, event_loop, hostcall, scheduler, thread_calls

_OUR_FILES = "<codeact>/"
# These end a thread without a report. An answer ends the turn.
_ENDS = scheduler.Stopped, GeneratorExit, answer.AnswerGiven


def _start(self):
    if not self._initialized:
        raise RuntimeError("thread.__init__() not called")
    if self._started.is_set():
        raise RuntimeError("threads can only be started once")
    if self._context is None:
        inherits = sys.flags.thread_inherit_context
        self._context = contextvars.copy_context() if inherits else contextvars.Context()
    steps = _run_thread(self)
    if threading._trace_hook is not None or threading._profile_hook is not None:
        steps = _with_hooks(steps, threading._trace_hook, threading._profile_hook)
    task = scheduler.Task(steps, self._daemonic)
    task.context, task.thread = self._context, self
    self._os_thread_handle._begin(task)
    self._ident, self._native_id = task.ident, 1 + task.ident - scheduler.main.ident
    threading._active[task.ident] = self
    self._started.set()
    scheduler.add(task)


def _run_thread(thread):
    """The steps of a thread: those of its function, and then the report of its exception."""
    try:
        yield from thread_calls.call(thread.run)
    except _ENDS:
        raise
    except BaseException as error:
        error.__traceback__ = _without_our_frames(error.__traceback__)
        thread._invoke_excepthook(thread)
    finally:
        threading._active.pop(thread._ident, None)


def _run(thread):
    """The steps of `Thread.run`, which subclasses call too."""
    try:
        if thread._target is not None:
            yield from thread_calls.call(thread._target, *thread._args, **thread._kwargs)
    finally:
        # The thread may be referenced by its target's arguments.
        del thread._target, thread._args, thread._kwargs


def _without_our_frames(traceback):
    entries = []
    while traceback is not None:
        if not traceback.tb_frame.f_code.co_filename.startswith(_OUR_FILES):
            entries.append(traceback)
        traceback = traceback.tb_next
    for one in reversed(entries):
        traceback = types.TracebackType(traceback, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return traceback


def _with_hooks(steps, trace, profile):
    """Steps with the functions of `threading.settrace` and `threading.setprofile`."""
    while True:
        before = sys.gettrace(), sys.getprofile()
        sys.settrace(trace)
        sys.setprofile(profile)
        try:
            wait = steps.send(None)
        except StopIteration:
            return
        finally:
            sys.settrace(before[0])
            sys.setprofile(before[1])
        try:
            yield wait
        except BaseException as error:
            steps.throw(error)
            raise


def _polling(function):
    """Returns `function`, which code calls in loops, with turns for other threads."""

    def polling(*args):
        scheduler.poll()
        return function(*args)

    polling.__name__, polling.__doc__ = function.__name__, function.__doc__
    polling.__qualname__ = function.__qualname__
    polling.__module__ = function.__module__
    return polling


_CSimpleQueue = _queue.SimpleQueue


class _Builtins(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Keeps the changed built-in modules if code removes them from `sys.modules` and imports them again."""

    def __init__(self):
        self.modules = {one.__name__: one for one in (_thread, _queue, time)}

    def find_spec(self, name, path=None, target=None):
        if name in self.modules:
            return importlib.machinery.ModuleSpec(name, self, origin="built-in")
        return None

    def create_module(self, spec):
        return self.modules[spec.name]

    def exec_module(self, module):
        pass


class SimpleQueue(_CSimpleQueue):
    """Simple, unbounded, reentrant FIFO queue."""

    __module__ = "_queue"

    def get(self, block=True, timeout=None):
        if block and timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        if block and self.empty():
            scheduler.block(self._is_filled, scheduler.deadline(timeout))
        return _CSimpleQueue.get(self, False)

    def _is_filled(self):
        return not self.empty()


def _time_sleep(seconds, /):
    """Suspends the current thread for `seconds`, which may be a fraction."""
    if scheduler.is_alone():
        scheduler.native_sleep(seconds)
    elif seconds > 0:
        scheduler.sleep(seconds)
    else:
        scheduler.native_sleep(seconds)
        scheduler.give_turn()


def _measure_cpu_time():
    """Removes waits from the clocks of CPU time: WASI has none, and CPython takes the elapsed time."""
    plain, plain_ns, plain_clock = time.process_time, time.process_time_ns, time.clock_gettime

    def process_time():
        """Returns the CPU time of the process in seconds, without waits."""
        return plain() - scheduler.waited

    def process_time_ns():
        """Returns the CPU time of the process in nanoseconds, without waits."""
        return plain_ns() - int(scheduler.waited * 1e9)

    def clock_gettime(clk_id, /):
        """Returns the time of a clock in seconds."""
        now = plain_clock(clk_id)
        cpu = clk_id in (time.CLOCK_PROCESS_CPUTIME_ID, time.CLOCK_THREAD_CPUTIME_ID)
        return now - scheduler.waited if cpu else now

    for function in (process_time, process_time_ns, clock_gettime):
        function.__qualname__ = function.__name__
        function.__module__ = "time"
        setattr(time, function.__name__, function)
    time.thread_time, time.thread_time_ns = process_time, process_time_ns


def _work(executor_reference, context, work_queue):
    """A worker of `ThreadPoolExecutor`, as steps."""
    try:
        context.initialize()
    except _ENDS:
        raise
    except BaseException:
        futures._base.LOGGER.critical("Exception in initializer:", exc_info=True)
        executor = executor_reference()
        if executor is not None:
            executor._initializer_failed()
        return
    try:
        while True:
            if work_queue.empty():
                executor = executor_reference()
                if executor is not None:
                    executor._idle_semaphore.release()
                del executor
                yield scheduler.Wait(lambda: not work_queue.empty(), is_idle=True)
            item = work_queue.get_nowait()
            if item is not None:
                yield from _run_item(item, context)
                del item
                # Another thread may have been waiting for the result.
                yield None
                continue
            executor = executor_reference()
            if pools._shutdown or executor is None or executor._shutdown:
                if executor is not None:
                    executor._shutdown = True
                # For the other workers.
                work_queue.put(None)
                return
            del executor
    finally:
        context.finalize()


def _run_item(item, context):
    future = item.future
    if not future.set_running_or_notify_cancel():
        return
    try:
        if type(context) is pools.WorkerContext:
            function, args, kwargs = item.task
            result = yield from thread_calls.call(function, *args, **kwargs)
        else:
            result = context.run(item.task)
    except _ENDS:
        raise
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def _submit(self, fn, /, *args, **kwargs):
    if not thread_calls.is_tool(fn):
        return _plain_submit(self, fn, *args, **kwargs)
    with self._shutdown_lock:
        if self._shutdown:
            raise RuntimeError("cannot schedule new futures after shutdown")
    future = futures.Future()
    future.set_running_or_notify_cancel()
    try:
        hostcall.start(fn.tool, fn.arguments(*args, **kwargs), _FutureWaiter(future))
    except Exception as error:
        future.set_exception(error)
    else:
        self.__dict__.setdefault("_started_calls", []).append(future)
    return future


def _shut_down(self, wait=True, *, cancel_futures=False):
    _plain_shutdown(self, wait, cancel_futures=cancel_futures)
    started = self.__dict__.pop("_started_calls", ())
    if wait and started:
        futures.wait(started)


class _FutureWaiter:
    """Sets the result of a future when a call ends."""

    def __init__(self, future):
        self.done = future.set_result
        self.failed = future.set_exception


def end_turn():
    """Waits for the threads that are not daemons, as Python does at its exit.

    Daemons and idle workers of pools stay suspended, and continue when a later turn waits. After an
    answer, nothing waits for threads: they are ended.
    """
    if not scheduler.tasks:
        return
    failed = sys.exception()
    if isinstance(failed, answer.AnswerGiven):
        _end_threads()
        return
    try:
        scheduler.block(_have_ended)
    except RuntimeError:
        message = f"at the end of the code, threads would wait forever: {scheduler.describe_waits()}"
        _end_threads()
        if failed is None:
            raise RuntimeError(message) from None
        print(f"RuntimeError: {message}", file=sys.stderr)


def _end_threads():
    """Ends the suspended threads that are not daemons. Their `finally` blocks run."""
    for task in [task for task in scheduler.tasks if not task.daemon]:
        scheduler.tasks.remove(task)
        try:
            task.steps.close()
        except Exception:
            # The thread waits in a `finally` block too.
            pass
        scheduler.end(task)


def _have_ended():
    for task in scheduler.tasks:
        if not task.daemon and not (task.wait is not None and task.wait.is_idle and not task.wait.ready()):
            return False
    return True


def forget_names():
    """Restarts the numbers of threads and pools. Called while the image is made, after its imports."""
    threading._counter = itertools.count(1).__next__
    pools.ThreadPoolExecutor._counter = itertools.count().__next__


def install():
    """Installs the replacements. Called while the image is made."""
    global _plain_submit, _plain_shutdown
    _start.__name__, _start.__qualname__ = "start", "Thread.start"
    threading.Thread.start = _start
    queue.SimpleQueue = _queue.SimpleQueue = SimpleQueue
    _time_sleep.__name__ = _time_sleep.__qualname__ = "sleep"
    time.sleep = _time_sleep
    for kind, names in (
        (threading.Event, ("is_set",)),
        (threading.Thread, ("is_alive",)),
        (futures.Future, ("done", "running")),
        (queue.Queue, ("empty", "full", "qsize")),
        (threading, ("active_count",)),
    ):
        for name in names:
            setattr(kind, name, _polling(getattr(kind, name)))
    executor = pools.ThreadPoolExecutor
    _plain_submit, _plain_shutdown = executor.submit, executor.shutdown
    _submit.__name__, _shut_down.__name__ = "submit", "shutdown"
    _submit.__qualname__ = "ThreadPoolExecutor.submit"
    _shut_down.__qualname__ = "ThreadPoolExecutor.shutdown"
    executor.submit, executor.shutdown = _submit, _shut_down
    sys.meta_path.insert(0, _Builtins())
    scheduler.calls = hostcall
    thread_calls.install()
    thread_calls.add_steps(pools._worker, _work)
    thread_calls.add_steps(threading.Thread.run, _run)
    thread_calls.add_steps(asyncio.BaseEventLoop.run_forever, event_loop.run_forever)
    _measure_cpu_time()
