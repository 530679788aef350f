"""`_thread` with locks and thread-local data for the threads of `scheduler`.

Loaded before anything imports `threading`. CPython's own locks trap where they would wait.
"""

import _thread
import sys
import types
from _weakref import ref as _ref

from _codeact import scheduler

_TIMEOUT_MAX = _thread.TIMEOUT_MAX
error = RuntimeError


def end_of(blocking, timeout):
    """Validates the arguments of `acquire`. Returns its deadline, or None without one."""
    if isinstance(timeout, bool) or not hasattr(timeout, "__float__"):
        if not hasattr(timeout, "__index__"):
            kind = type(timeout).__name__
            raise TypeError(f"'{kind}' object cannot be interpreted as an integer or float")
    if timeout == -1:
        return None
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    timeout = float(timeout)
    if timeout != timeout:
        raise ValueError("Invalid value NaN (not a number)")
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > _TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    return scheduler.deadline(timeout)


class lock:
    """A lock object is a synchronization primitive. See help(type(threading.Lock())) for details."""

    __slots__ = ("__weakref__", "_held")

    def __new__(cls):
        self = object.__new__(cls)
        self._held = False
        return self

    def __init_subclass__(cls):
        raise TypeError("type '_thread.lock' is not an acceptable base type")

    def acquire(self, blocking=True, timeout=-1):
        end = None
        if timeout != -1 or type(timeout) is not int:
            end = end_of(blocking, timeout)
        if self._held:
            if not blocking:
                scheduler.poll()
                return False
            if not scheduler.block(self.is_free, end):
                return False
        self._held = True
        return True

    def is_free(self):
        """True if no thread has the lock."""
        return not self._held

    def is_own(self):
        """False: no thread can acquire the lock twice."""
        return False

    def release(self):
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False

    def locked(self):
        return self._held

    def __enter__(self):
        if self._held:
            scheduler.block(self.is_free)
        self._held = True
        return True

    def __exit__(self, kind=None, value=None, traceback=None):
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False

    def __repr__(self):
        state = "locked" if self._held else "unlocked"
        return f"<{state} _thread.lock object at {id(self):#x}>"

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle '_thread.lock' object")

    def _at_fork_reinit(self):
        self._held = False

    # For `threading.Condition`: it would try to acquire the lock.
    _is_owned = locked
    acquire_lock = acquire
    release_lock = release
    locked_lock = locked


class RLock:
    """A lock that its owner, a thread, can acquire several times."""

    __slots__ = ("__weakref__", "_count", "_owner")

    def __new__(cls, *args, **kwargs):
        self = object.__new__(cls)
        self._owner, self._count = None, 0
        return self

    def __init__(self):
        pass

    def acquire(self, blocking=True, timeout=-1):
        end = None
        if timeout != -1 or type(timeout) is not int:
            end = end_of(blocking, timeout)
        task = scheduler.current
        if self._owner is not task:
            if self._count:
                if not blocking:
                    scheduler.poll()
                    return False
                if not scheduler.block(self.is_free, end):
                    return False
            self._owner = task
        self._count += 1
        return True

    def is_free(self):
        """True if no thread has the lock."""
        return not self._count

    def is_own(self):
        """True if the current thread has the lock."""
        return self._owner is scheduler.current

    def __enter__(self):
        task = scheduler.current
        if self._owner is not task:
            if self._count:
                scheduler.block(self.is_free)
            self._owner = task
        self._count += 1
        return True

    def release(self):
        if self._owner is not scheduler.current:
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None

    def __exit__(self, kind=None, value=None, traceback=None):
        # As `release`, without its call: imports and generators of numpy run this in each turn.
        if self._owner is not scheduler.current:
            raise RuntimeError("cannot release un-acquired lock")
        self._count -= 1
        if not self._count:
            self._owner = None

    def locked(self):
        return self._count > 0

    def __repr__(self):
        state = "locked" if self._count else "unlocked"
        kind = type(self)
        name = f"{kind.__module__}.{kind.__qualname__}"
        owner = self._owner.ident if self._owner is not None else 0
        return f"<{state} {name} object owner={owner} count={self._count} at {id(self):#x}>"

    def __reduce_ex__(self, protocol):
        raise TypeError(f"cannot pickle '_thread.{type(self).__name__}' object")

    def _at_fork_reinit(self):
        self._owner, self._count = None, 0

    # For `threading.Condition`.

    def _is_owned(self):
        return self._owner is scheduler.current

    def _recursion_count(self):
        return self._count if self._owner is scheduler.current else 0

    def _release_save(self):
        if not self._count:
            raise RuntimeError("cannot release un-acquired lock")
        state = self._count, self._owner
        self._owner, self._count = None, 0
        return state

    def _acquire_restore(self, state):
        if self._count:
            scheduler.block(self.is_free)
        self._count, self._owner = state


class _Dicts:
    """The attributes of one `local` object, by thread, and the arguments of its `__init__`."""

    __slots__ = ("args", "by_task", "kwargs", "task")

class _Forget:
    """Removes a thread's attributes from a `local` object, which it does not keep alive."""

    __slots__ = ("local",)

    def __init__(self, local):
        self.local = _ref(local)

    def __call__(self, task):
        local = self.local()
        if local is not None:
            dicts = _dicts_of.__get__(local)
            if dicts.task is task:
                dicts.task = None
                _set(local, "__dict__", {})
            dicts.by_task.pop(task, None)


_get, _set, _delete = object.__getattribute__, object.__setattr__, object.__delattr__


class _local:
    """Thread-local data"""

    __slots__ = ("__dict__", "__weakref__", "_dicts")

    def __new__(cls, /, *args, **kwargs):
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError("Initialization arguments are not supported")
        self = object.__new__(cls)
        dicts = _Dicts()
        dicts.args, dicts.kwargs = args, kwargs
        dicts.task = scheduler.current
        _dicts_of.__set__(self, dicts)
        dicts.by_task = {}
        _remember(self, dicts, scheduler.current, _get(self, "__dict__"))
        return self

    def __getattribute__(self, name):
        if _dicts_of.__get__(self).task is not scheduler.current:
            _switch(self)
        return _get(self, name)

    def __setattr__(self, name, value):
        if name == "__dict__":
            raise AttributeError(
                f"'{type(self).__name__}' object attribute '__dict__' is read-only"
            )
        if _dicts_of.__get__(self).task is not scheduler.current:
            _switch(self)
        _set(self, name, value)

    def __delattr__(self, name):
        if name == "__dict__":
            raise AttributeError(
                f"'{type(self).__name__}' object attribute '__dict__' is read-only"
            )
        if _dicts_of.__get__(self).task is not scheduler.current:
            _switch(self)
        _delete(self, name)


_dicts_of = _local.__dict__["_dicts"]


def _remember(local, dicts, task, attributes):
    dicts.by_task[task] = attributes
    task.local_dicts.append(_Forget(local))


def _switch(local):
    """Gives `local` the attributes of the current thread."""
    dicts, task = _dicts_of.__get__(local), scheduler.current
    attributes = dicts.by_task.get(task)
    is_new = attributes is None
    if is_new:
        attributes = {}
        _remember(local, dicts, task, attributes)
    dicts.task = task
    _set(local, "__dict__", attributes)
    if is_new and type(local).__init__ is not object.__init__:
        try:
            local.__init__(*dicts.args, **dicts.kwargs)
        except BaseException:
            dicts.by_task.pop(task, None)
            dicts.task = None
            raise


class _ThreadHandle:
    """The end of a thread, which others can wait for."""

    __slots__ = ("__weakref__", "_is_done", "_task", "ident")

    def __new__(cls):
        self = object.__new__(cls)
        self._task, self._is_done, self.ident = None, False, 0
        return self

    def is_done(self):
        return self._is_done or (self._task is not None and self._task.is_done)

    def _set_done(self):
        if self._task is None and not self.ident:
            raise RuntimeError("thread not started")
        self._is_done = True

    def join(self, timeout=None):
        if self._task is None:
            raise RuntimeError("thread not started")
        if self._task is scheduler.current and not self.is_done():
            raise RuntimeError("Cannot join current thread")
        if timeout is not None and timeout < 0:
            timeout = None
        scheduler.block(self.is_done, scheduler.deadline(timeout))

    def _begin(self, task):
        if self._task is not None:
            raise RuntimeError("thread already started")
        self._task, self.ident = task, task.ident

    def __repr__(self):
        return f"<_ThreadHandle object: ident={self.ident}>"


def _make_thread_handle(ident):
    handle = _ThreadHandle()
    handle.ident = ident
    for task in (scheduler.main, *scheduler.tasks):
        if task.ident == ident:
            handle._task = task
    return handle


def _steps(function, args, kwargs):
    """Runs `function`, and reports its exception as unraisable."""
    try:
        yield from call(function, *args, **kwargs)
    except (SystemExit, scheduler.Stopped):
        pass
    except Exception as error:
        sys.unraisablehook(
            types.SimpleNamespace(
                exc_type=type(error),
                exc_value=error,
                exc_traceback=error.__traceback__,
                err_msg=f"Exception ignored in thread started by {function!r}",
                object=None,
            )
        )


def call(function, /, *args, **kwargs):
    """Calls `function` in a thread's steps. Replaced by `thread_calls`, which makes its waits steps."""
    return function(*args, **kwargs)
    yield


def start_new_thread(function, args, kwargs=None, /):
    """Starts a thread and returns its identifier."""
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise TypeError("optional 3rd arg must be a dictionary")
    task = scheduler.Task(_steps(function, args, kwargs or {}), True)
    scheduler.add(task)
    return task.ident


def start_joinable_thread(function, handle=None, daemon=True):
    """Starts a thread and returns its handle."""
    if not callable(function):
        raise TypeError("thread function must be callable")
    if handle is None:
        handle = _ThreadHandle()
    elif not isinstance(handle, _ThreadHandle):
        raise TypeError("'handle' must be a _ThreadHandle")
    task = scheduler.Task(_steps(function, (), {}), bool(daemon))
    handle._begin(task)
    scheduler.add(task)
    return handle


def get_native_id():
    """Returns the identifier of the current thread."""
    return 1 + scheduler.current.ident - scheduler.main.ident


def interrupt_main(signum=2, /):
    """Simulates the arrival of a signal in the main thread. It takes effect when that thread goes on."""
    if scheduler.current is scheduler.main:
        _native_interrupt(signum)
    elif not 0 < signum < 65:
        raise ValueError("signal number out of range")
    else:
        scheduler.interrupts.append(lambda: _native_interrupt(signum))


_native_interrupt = _thread.interrupt_main


def _count():
    """Returns the number of threads that have not ended, without the main thread."""
    return len(scheduler.tasks) + (scheduler.current is not scheduler.main)


def _keep_import_locks():
    """Gives the import system a copy of the plain `_thread`: no thread waits while it imports."""
    import _frozen_importlib

    plain = types.ModuleType("_thread")
    plain.__dict__.update(_thread.__dict__)
    _frozen_importlib._thread = plain


def install():
    """Replaces the functions and types of `_thread`."""
    _keep_import_locks()
    lock.__module__ = "_thread"
    _thread.lock = _thread.LockType = _thread.allocate_lock = _thread.allocate = lock
    for replacement in (
        RLock,
        _local,
        _ThreadHandle,
        _make_thread_handle,
        start_new_thread,
        start_joinable_thread,
        get_native_id,
        interrupt_main,
        _count,
        scheduler.get_ident,
    ):
        replacement.__module__ = "_thread"
        setattr(_thread, replacement.__name__, replacement)
    _thread.start_new = start_new_thread


# At once: the modules that are loaded next import `threading`.
install()
