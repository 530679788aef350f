"""Runs threads one at a time on the interpreter's one C stack, when the code that runs now has to wait.

A thread is a generator of its waits: it yields a `Wait`, or None to let others run, and is stepped by
the code that waits at the top of the stack. Code that cannot be made a generator waits on the stack
itself, in `block`, and runs other threads on top of it. It can continue only when these have left the
stack: a daemon is ended there by `Stopped`, any other thread runs on to its next `yield` or its end.
"""

import sys
import time
from _collections import deque
from _thread import get_ident as _native_ident

# The C functions. `time.sleep` is replaced later.
_clock = time.monotonic
_sleep = time.sleep
# Seconds for which the guest has waited, which are no CPU time.
waited = 0.0

# Threads that wait on the stack above each other. More are not started there.
_MAX_DEPTH = 40
# A daemon that catches `Stopped` this many times cannot be ended.
_MAX_STOPS = 100
# Polls, such as `is_alive()` in a loop, after which other threads run.
_MAX_POLLS = 20
# Threads that an error message describes.
_MAX_DESCRIBED = 8


class Stopped(BaseException):
    """Ends a daemon thread whose stack is needed. `except Exception` does not catch it."""


class Wait:
    """A wait of one thread: over when `ready()` is true or `deadline` has passed."""

    __slots__ = ("deadline", "frame", "is_idle", "ready", "task")

    def __init__(self, ready, deadline=None, is_idle=False):
        self.ready, self.deadline, self.is_idle = ready, deadline, is_idle
        self.frame = self.task = None

    def is_over(self):
        if self.ready():
            return True
        return self.deadline is not None and self.deadline <= _clock()


class Task:
    """A thread: its identity, and its steps if it is not the main thread."""

    __slots__ = (
        "context",
        "daemon",
        "ident",
        "is_done",
        "local_dicts",
        "on_end",
        "steps",
        "stops",
        "thread",
        "wait",
    )

    def __init__(self, steps, daemon):
        global _last_ident
        _last_ident += 1
        self.ident = _last_ident
        self.steps, self.daemon = steps, daemon
        self.context = self.thread = self.wait = self.on_end = None
        self.local_dicts = []
        self.is_done = False
        self.stops = 0


_last_ident = _native_ident() - 1
main = current = Task(None, False)
# Threads that are not on the stack, in the order in which they get their turns.
tasks = deque()
# Waits on the stack, the lowest first.
_stack = []
_polls = 0
# Set by modules that are loaded later: started tool calls, and the event loop of the running code.
calls = None
hide_event_loop = show_event_loop = None
# Signals that threads have raised for the main thread, as functions.
interrupts = []


def get_ident():
    """Returns the identifier of the current thread."""
    return current.ident


def deadline(timeout):
    """Returns the time at which a wait of `timeout` seconds ends. None is no limit."""
    return None if timeout is None else _clock() + timeout


def is_alone():
    """True if no other thread can run or waits below the current one."""
    return not tasks and not _stack


def add(task):
    """Starts a thread. It runs when the code that runs now has to wait."""
    tasks.append(task)


def block(ready, end=None):
    """Waits on the stack until `ready()` is true. Returns False if the time `end` has passed before.

    Runs other threads meanwhile. Raises RuntimeError if nothing can ever end the wait.
    """
    if ready():
        return True
    wait = Wait(ready, end)
    wait.task, wait.frame = current, sys._getframe(1)
    _stack.append(wait)
    try:
        while True:
            if len(_stack) > 1 and _is_lower_wait_over():
                _stop(wait.task)
            if not run_one():
                _idle(wait)
            if ready():
                return True
            if end is not None and end <= _clock():
                return False
    finally:
        _stack.pop()
        wait.frame = None


def native_sleep(seconds):
    """Waits `seconds` without running other threads."""
    global waited
    _sleep(seconds)
    waited += seconds


def sleep(seconds):
    """Waits `seconds` and runs other threads meanwhile."""
    if is_alone():
        native_sleep(seconds)
    else:
        block(never, _clock() + seconds)


def poll():
    """Lets other threads run if the code asks in a loop for something that only they can change."""
    global _polls
    if tasks or _stack:
        _polls += 1
        if _polls >= _MAX_POLLS:
            _polls = 0
            give_turn()


def give_turn():
    """Runs one other thread until it waits."""
    wait = Wait(always)
    wait.task, wait.frame = current, sys._getframe(1)
    _stack.append(wait)
    try:
        if len(_stack) > 1 and _is_lower_wait_over():
            _stop(current)
        run_one()
    finally:
        _stack.pop()
        wait.frame = None


def always():
    return True


def never():
    return False


def run_one():
    """Runs the next thread that can go on until it waits. Returns False if there is none."""
    if len(_stack) > _MAX_DEPTH:
        return False
    for _ in range(len(tasks)):
        task = tasks.popleft()
        if task.wait is None or task.wait.is_over():
            _step(task)
            return True
        tasks.append(task)
    return False


def _step(task):
    global current
    previous, current = current, task
    loop = hide_event_loop() if hide_event_loop is not None else None
    ended = True
    try:
        task.wait = _send(task)
        ended = False
    except (StopIteration, Stopped):
        pass
    finally:
        current = previous
        if loop is not None:
            show_event_loop(loop)
        if ended:
            end(task)
        else:
            tasks.append(task)
        if interrupts and current is main:
            interrupts.pop()()


def _send(task):
    if task.context is None:
        return task.steps.send(None)
    try:
        return task.context.run(task.steps.send, None)
    except RuntimeError as error:
        # A context that another thread has entered cannot be entered again.
        return task.steps.throw(error)


def end(task):
    """Marks a thread as ended."""
    task.is_done = True
    task.steps = task.wait = None
    dicts, task.local_dicts = task.local_dicts, []
    for forget in dicts:
        forget(task)
    if task.on_end is not None:
        task.on_end()


def _is_lower_wait_over():
    """True if a wait below the topmost one is over, and all threads above it can be ended."""
    for index in range(len(_stack) - 1, 0, -1):
        if not _stack[index].task.daemon:
            return False
        if _stack[index - 1].is_over():
            return True
    return False


def _stop(task):
    task.stops += 1
    if task.stops > _MAX_STOPS:
        import os

        print(
            f"{_name(task)} cannot be ended: it is a daemon thread that catches BaseException in a loop; "
            "catch Exception instead",
            file=sys.stderr,
        )
        os._exit(1)
    raise Stopped


def _idle(wait):
    """Waits for the time or tool call that ends a wait. Raises RuntimeError if there is none."""
    global waited
    ends = [task.wait.deadline for task in tasks if task.wait is not None]
    ends.append(wait.deadline)
    for index in range(len(_stack) - 1, 0, -1):
        if not _stack[index].task.daemon:
            break
        ends.append(_stack[index - 1].deadline)
    end = min((one for one in ends if one is not None), default=None)
    left = None if end is None else end - _clock()
    if left is not None and left <= 0:
        return
    if calls is not None and calls.pending:
        start = _clock()
        calls.wait(left)
        waited += _clock() - start
    elif left is not None:
        native_sleep(left)
    else:
        raise RuntimeError(_explain(wait))


def _explain(wait):
    """Returns the message for a wait that nothing can end."""
    text = f"this would wait forever: {_describe(wait.task, wait.frame)}, and no thread can end this wait"
    others = describe_waits(1)
    if others:
        text += f"; {others}"
    if len(_stack) > 1:
        text += (
            ". The sandbox runs threads on one stack: a thread that waits inside library code has to "
            "end before the code below it goes on. Wait in the thread's own functions, or use asyncio"
        )
    return text


def describe_waits(top=0):
    """Returns where all threads wait, without the topmost `top` on the stack."""
    waits = [_describe(one.task, one.frame) for one in _stack[: len(_stack) - top][::-1]]
    waits += [_describe(task, None) for task in tasks if not (task.wait and task.wait.is_idle)]
    text = "; ".join(waits[:_MAX_DESCRIBED])
    if len(waits) > _MAX_DESCRIBED:
        text += f"; {len(waits) - _MAX_DESCRIBED} more threads wait"
    return text


def _describe(task, frame):
    frames = _frames(frame) if frame is not None else _suspended_frames(task.steps)
    function = ""
    for frame in frames:
        if not _is_library(frame):
            where = f"line {frame.f_lineno} of {frame.f_code.co_filename}"
            return f"{_name(task)} waits{function} ({where})"
        function = _describe_call(frame) or function
    return f"{_name(task)} waits{function}"


def _describe_call(frame):
    names = frame.f_locals
    if "with_manager" in names:
        return f" for a {type(names['with_manager']).__name__}"
    called = names.get("called_function")
    name = getattr(called, "__qualname__", None) or frame.f_code.co_qualname
    return None if name.startswith("_") else f" in {name}"


def _frames(frame):
    # Below `_send` are the frames of another thread.
    while frame is not None and frame.f_code is not _send.__code__:
        yield frame
        frame = frame.f_back


def _suspended_frames(steps):
    frames = []
    while steps is not None and getattr(steps, "gi_frame", None) is not None:
        frames.append(steps.gi_frame)
        steps = steps.gi_yieldfrom
    return frames[::-1]


def _is_library(frame):
    name = frame.f_code.co_filename
    return name.startswith("<codeact>/") or name.startswith(_LIBRARY)


# The standard library: code whose waits are described by the function that was called.
_LIBRARY = sys.prefix + "/lib/"


def _name(task):
    if task is main:
        return "MainThread"
    return getattr(task.thread, "name", None) or f"thread {task.ident}"
