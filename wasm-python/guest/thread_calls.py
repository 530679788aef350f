"""Calls of a thread's functions as steps: what a function would wait for is yielded to `scheduler`."""

import functools
import queue
import threading
import time
import types
from concurrent import futures
from contextvars import Context

from _codeact import hostcall, locks, scheduler, suspend

Wait = scheduler.Wait
# Waits that are over at once between two turns of other threads.
_PASSES = 32
_passes = 0


def call(called_function, /, *args, **kwargs):
    """Calls a function in a thread. A function that cannot be made a generator waits on the stack."""
    steps = _steps_of(called_function)
    if steps is None:
        return called_function(*args, **kwargs)
    return (yield from steps(*args, **kwargs))


def _steps_of(function):
    """Returns the generator function for a callable, or None."""
    kind = type(function)
    if kind is types.FunctionType:
        return _steps_of_function(function)
    if kind is types.MethodType:
        inner = function.__func__
        steps = _steps_of_function(inner) if type(inner) is types.FunctionType else None
        return None if steps is None else functools.partial(steps, function.__self__)
    if kind is functools.partial:
        steps = _steps_of(function.func)
        if steps is None:
            return None
        return functools.partial(steps, *function.args, **function.keywords)
    if kind is types.BuiltinMethodType:
        if function.__name__ == "run" and type(function.__self__) is Context:
            return functools.partial(_run_in_context, function.__self__)
        return None
    if isinstance(function, type):
        return None
    return _steps_of_object(function)


def _steps_of_function(function):
    steps = _STEPS.get(function)
    if steps is None:
        if function.__module__ in _MODULES:
            # The module may have been imported again. Codes are compared by value.
            make = _MAKERS.get(function.__code__)
            if make is not None:
                steps = _STEPS[function] = make(function)
            return steps
        if is_tool(function):
            return functools.partial(_call_tool, function)
        # The values of a generator function are taken by `for` loops, see `_loop`.
        steps = None if suspend.is_generator(function) else suspend.convert(function)
    return steps


def _loop(called_function, /, *args, **kwargs):
    """Calls the function that a `for` loop iterates over, and returns the `_Loop`."""
    function, first = called_function, ()
    if type(function) is types.MethodType:
        function, first = function.__func__, (function.__self__,)
    if type(function) is types.FunctionType and suspend.is_generator(function):
        steps = suspend.convert(function)
        if steps is not None:
            return _Loop(steps(*first, *args, **kwargs), True)
    return _Loop(iter((yield from call(called_function, *args, **kwargs))), False)


class _Loop:
    """The iterator of a `for` loop: of a converted generator function, or any other one."""

    __slots__ = ("_is_converted", "_iterator", "result", "value")

    def __init__(self, iterator, is_converted):
        self._iterator, self._is_converted = iterator, is_converted

    def advance(self):
        """Sets `value` to the next value. Returns False at the end."""
        while True:
            try:
                step = next(self._iterator)
            except StopIteration as end:
                self.result = end.value
                return False
            if not self._is_converted:
                self.value = step
                return True
            if type(step) is _Item:
                self.value = step.value
                return True
            yield step


class _Item:
    """A value that a converted generator function yields, in contrast to its waits."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def _items(values):
    """Yields the values of `yield from` in a converted generator function."""
    loop = values if type(values) is _Loop else _Loop(iter(values), False)
    while (yield from loop.advance()):
        yield _Item(loop.value)
    return loop.result


def _steps_of_object(function):
    if is_tool(function):
        return functools.partial(_call_tool, function)
    inner = getattr(type(function), "__call__", None)
    steps = _steps_of_function(inner) if type(inner) is types.FunctionType else None
    return None if steps is None else functools.partial(steps, function)


def is_tool(function):
    """True for a function of `tools`."""
    return hasattr(function, "tool") and hasattr(function, "arguments")


class _CallWaiter:
    """The end of a started tool call."""

    def __init__(self):
        self.is_done, self.value, self.error = False, None, None

    def done(self, value):
        self.is_done, self.value = True, value

    def failed(self, error):
        self.is_done, self.error = True, error


def _call_tool(function, *args, **kwargs):
    waiter = _CallWaiter()
    number = hostcall.start(function.tool, function.arguments(*args, **kwargs), waiter)
    try:
        while not waiter.is_done:
            yield Wait(lambda: waiter.is_done)
    except BaseException:
        hostcall.cancel(number)
        raise
    if waiter.error is not None:
        raise waiter.error
    return waiter.value


def _run_in_context(context, function, /, *args, **kwargs):
    """Does the same as `context.run`."""
    steps = call(function, *args, **kwargs)
    while True:
        try:
            wait = context.run(steps.send, None)
        except StopIteration as end:
            return end.value
        try:
            yield wait
        except BaseException as error:
            context.run(steps.throw, error)
            raise


class _Held:
    """The manager of a `with` statement whose lock is acquired already."""

    __slots__ = ("_lock", "_value")

    def __init__(self, lock, value):
        self._lock, self._value = lock, value

    def __enter__(self):
        return self._value

    def __exit__(self, kind, value, traceback):
        return self._lock.__exit__(kind, value, traceback)


def _enter(with_manager):
    """Acquires the lock of a `with` statement. Returns any other manager as it is."""
    kind = type(with_manager)
    if kind is locks.lock or kind is locks.RLock:
        yield from _acquire_lock(with_manager)
        return _Held(with_manager, True)
    if kind is threading.Condition and _is_plain_lock(with_manager._lock):
        yield from _acquire_lock(with_manager._lock)
        return _Held(with_manager, True)
    if kind is threading.Semaphore or kind is threading.BoundedSemaphore:
        yield from _acquire_semaphore(with_manager)
        return _Held(with_manager, True)
    return with_manager


def _is_plain_lock(lock):
    return type(lock) is locks.lock or type(lock) is locks.RLock


def _is_late(end):
    return end is not None and end <= time.monotonic()


def _is_turn():
    """True if other threads get a turn though this one need not wait."""
    global _passes
    _passes += 1
    return _passes % _PASSES == 0


# The functions that wait, as generators with the same parameters.


def _acquire_lock(self, blocking=True, timeout=-1):
    end = locks.end_of(blocking, timeout)
    if not self.is_free() and not self.is_own():
        if not blocking:
            yield None
        else:
            yield Wait(self.is_free, end)
        if not self.is_free():
            return False
    return self.acquire()


def _sleep(seconds, /):
    if not seconds:
        yield None
    elif seconds < 0 or seconds != seconds:
        # Raises the exception.
        scheduler.native_sleep(seconds)
    else:
        yield Wait(scheduler.never, scheduler.deadline(seconds))


def _wait_condition(self, timeout=None):
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    waiter = locks.lock()
    waiter.acquire()
    self._waiters.append(waiter)
    saved = self._release_save()
    notified = False
    try:
        if timeout is None or timeout > 0:
            yield Wait(waiter.is_free, scheduler.deadline(timeout))
        else:
            yield None
        notified = waiter.is_free()
        if _is_plain_lock(self._lock) and not self._lock.is_free():
            yield Wait(self._lock.is_free)
    finally:
        self._acquire_restore(saved)
        if not notified:
            try:
                self._waiters.remove(waiter)
            except ValueError:
                pass
    return notified


def _wait_for_condition(self, predicate, timeout=None):
    end = scheduler.deadline(timeout)
    result = predicate()
    while not result:
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            break
        yield from _wait_condition(self, left)
        result = predicate()
    return result


def _wait_event(self, timeout=None):
    with self._cond:
        if self._flag:
            return True
        return (yield from _wait_condition(self._cond, timeout))


def _acquire_semaphore(self, blocking=True, timeout=None):
    if not blocking and timeout is not None:
        raise ValueError("can't specify timeout for non-blocking acquire")
    if self._value <= 0:
        if not blocking:
            yield None
        else:
            yield Wait(lambda: self._value > 0, scheduler.deadline(timeout))
    return threading.Semaphore.acquire(self, False) if self._value > 0 else False


def _wait_barrier(self, timeout=None):
    if timeout is None:
        timeout = self._timeout
    with self._cond:
        # Threads of the previous round may still leave.
        while self._state in (-1, 1):
            yield from _wait_condition(self._cond)
        if self._state < 0:
            raise threading.BrokenBarrierError
        index = self._count
        self._count += 1
        try:
            if index + 1 == self._parties:
                self._release()
            else:
                if not (yield from _wait_for_condition(self._cond, lambda: self._state != 0, timeout)):
                    self._break()
                    raise threading.BrokenBarrierError
                if self._state < 0:
                    raise threading.BrokenBarrierError
            return index
        finally:
            self._count -= 1
            self._exit()


def _join_thread(self, timeout=None):
    if self._initialized and self._started.is_set() and self is not threading.current_thread():
        end = None if timeout is None else scheduler.deadline(max(timeout, 0))
        yield Wait(self._os_thread_handle.is_done, end)
        return None
    # Raises the exception.
    return threading.Thread.join(self, timeout)


def _run_timer(self):
    yield from _wait_event(self.finished, self.interval)
    if not self.finished.is_set():
        yield from call(self.function, *self.args, **self.kwargs)
    self.finished.set()


def _make_get(get):
    def steps(self, block=True, timeout=None):
        if block and (timeout is None or timeout >= 0):
            end = scheduler.deadline(timeout)
            if self._qsize() == 0 or _is_turn():
                yield Wait(lambda: self._qsize() > 0 or self.is_shutdown, end)
            return get(self, False)
        if not block:
            yield None
        return get(self, block, timeout)

    return steps


def _make_put(put):
    def steps(self, item, block=True, timeout=None):
        if block and (timeout is None or timeout >= 0):
            end = scheduler.deadline(timeout)
            if 0 < self.maxsize <= self._qsize() or _is_turn():
                yield Wait(lambda: not 0 < self.maxsize <= self._qsize() or self.is_shutdown, end)
            return put(self, item, False)
        if not block:
            yield None
        return put(self, item, block, timeout)

    return steps


def _join_queue(self):
    if self.unfinished_tasks:
        yield Wait(lambda: not self.unfinished_tasks)


def _get_from_simple_queue(self, block=True, timeout=None):
    if block and (timeout is None or timeout >= 0):
        if self.empty() or _is_turn():
            yield Wait(lambda: not self.empty(), scheduler.deadline(timeout))
        return self.get(False)
    if not block:
        yield None
    return self.get(block, timeout)


def _result(self, timeout=None):
    yield Wait(lambda: _is_done(self), scheduler.deadline(timeout))
    return futures.Future.result(self, 0)


def _exception(self, timeout=None):
    yield Wait(lambda: _is_done(self), scheduler.deadline(timeout))
    return futures.Future.exception(self, 0)


def _is_done(future):
    return future._state in ("CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED")


def _wait_futures(fs, timeout=None, return_when=futures.ALL_COMPLETED):
    fs = set(fs)

    def ready():
        done = [one for one in fs if _is_done(one)]
        if len(done) == len(fs):
            return True
        if return_when == futures.FIRST_COMPLETED:
            return bool(done)
        if return_when == futures.FIRST_EXCEPTION:
            return any(not one.cancelled() and one.exception(0) for one in done)
        return False

    yield Wait(ready, scheduler.deadline(timeout))
    return futures.wait(fs, 0, return_when)


def _after_others(function):
    """Returns steps that let other threads run first. Code calls `function` in loops to wait."""

    def steps(*args, **kwargs):
        yield None
        return function(*args, **kwargs)

    return steps


_STEPS = {
    locks.lock.acquire: _acquire_lock,
    locks.RLock.acquire: _acquire_lock,
    threading.Condition.wait: _wait_condition,
    threading.Condition.wait_for: _wait_for_condition,
    threading.Event.wait: _wait_event,
    threading.Semaphore.acquire: _acquire_semaphore,
    threading.Barrier.wait: _wait_barrier,
    threading.Thread.join: _join_thread,
    threading.Timer.run: _run_timer,
    queue.Queue.get: _make_get(queue.Queue.get),
    queue.Queue.put: _make_put(queue.Queue.put),
    queue.Queue.join: _join_queue,
    futures.Future.result: _result,
    futures.Future.exception: _exception,
    futures.wait: _wait_futures,
}


# Functions that return the steps of a function, by its code.
_MAKERS = {}
_MODULES = frozenset(("threading", "queue", "_queue", "time", "concurrent.futures._base"))


def install():
    """Makes calls steps in all threads. Called while the image is made, after `threads`."""
    locks.call = call
    suspend.set_helpers(call=call, enter=_enter, loop=_loop, item=_Item, items=_items)
    _STEPS[time.sleep] = _sleep
    for kind in (queue.SimpleQueue, queue._PySimpleQueue):
        _STEPS[kind.get] = _get_from_simple_queue
    for kind, names in (
        (threading.Event, ("is_set",)),
        (threading.Thread, ("is_alive",)),
        (queue.Queue, ("empty", "full", "get_nowait", "put_nowait")),
        (futures.Future, ("done", "running")),
        (locks.lock, ("locked",)),
        (locks.RLock, ("locked",)),
    ):
        for name in names:
            function = getattr(kind, name)
            _STEPS[function] = _after_others(function)
    for function, steps in _STEPS.items():
        if function.__module__ in _MODULES:
            _MAKERS[function.__code__] = lambda function, steps=steps: steps
    _MAKERS[queue.Queue.get.__code__] = _make_get
    _MAKERS[queue.Queue.put.__code__] = _make_put


def add_steps(function, steps):
    """Sets the generator function for a function that waits."""
    _STEPS[function] = steps
