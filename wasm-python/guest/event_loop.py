"""asyncio without sockets: an event loop that waits for timers, started tool calls and threads."""

import asyncio
import selectors
import sys
import time

from _codeact import hostcall, scheduler

# Passes of a busy loop between two checks for completed calls. Each check is a host call.
_PASSES = 64


class Sleeper(selectors.BaseSelector):
    """A selector without files: waits until the next timer is due or a started call completes."""

    def __init__(self):
        self._map = {}
        self._passes = 0
        # The callbacks of the event loop that uses this selector.
        self.callbacks = ()

    def register(self, fileobj, events, data=None):
        raise NotImplementedError("the sandbox has no sockets or pipes to wait for")

    def unregister(self, fileobj):
        raise KeyError(fileobj)

    def select(self, timeout=None):
        if scheduler.tasks:
            self._run_threads(timeout)
        elif hostcall.pending:
            self._poll_calls(timeout)
        elif timeout is None:
            raise RuntimeError(
                "every task waits for another: nothing can ever wake this event loop"
            )
        elif timeout > 0:
            time.sleep(timeout)
        return []

    def _poll_calls(self, timeout):
        if timeout is not None and timeout <= 0:
            self._passes = (self._passes + 1) % _PASSES
            if self._passes:
                return
        # Then takes all other calls that have completed by now.
        while hostcall.wait(timeout) and hostcall.pending:
            timeout = 0

    def _run_threads(self, timeout):
        if timeout is None or timeout > 0:
            scheduler.block(self._has_callbacks, scheduler.deadline(timeout))
            return
        scheduler.give_turn()
        if hostcall.pending:
            self._poll_calls(0)

    def _has_callbacks(self):
        return bool(self.callbacks)

    def get_map(self):
        return self._map


def _nothing(self, *args):
    pass


def _show_callbacks(self):
    if isinstance(self._selector, Sleeper):
        self._selector.callbacks = self._ready


def _hide_running():
    """Makes the running event loop invisible to a thread. Returns it and its task, or None."""
    loop = asyncio._get_running_loop()
    if loop is None:
        return None
    task = asyncio.tasks._swap_current_task(loop, None)
    asyncio._set_running_loop(None)
    return loop, task


def _show_running(hidden):
    loop, task = hidden
    asyncio._set_running_loop(loop)
    asyncio.tasks._swap_current_task(loop, task)


# The event loop of top-level `await`. It lasts as long as the session.
_session_loop = None


def run(coroutine):
    """Runs a turn's coroutine in the session's event loop and returns its result."""
    global _session_loop
    if _session_loop is None or _session_loop.is_closed():
        _session_loop = asyncio.new_event_loop()
    task = _session_loop.create_task(coroutine)
    # Not `run_until_complete`: the traceback would contain the frames of the event loop.
    task.add_done_callback(_stop)
    try:
        _session_loop.run_forever()
    except BaseException:
        task.cancel()
        raise
    return task.result()


def _stop(task):
    task.get_loop().stop()


def _run(main, *, debug=None, loop_factory=None):
    """Does the same as `asyncio.run`, and also works inside a turn with top-level `await`."""
    outer = asyncio._get_running_loop()
    if outer is None or outer is not _session_loop:
        return _plain_run(main, debug=debug, loop_factory=loop_factory)
    # The session's event loop is suspended meanwhile.
    hidden = _hide_running()
    try:
        return _plain_run(main, debug=debug, loop_factory=loop_factory)
    finally:
        _show_running(hidden)


def run_forever(self):
    """`BaseEventLoop.run_forever` as the steps of a thread: other threads run while the loop waits."""
    self._run_forever_setup()
    hooks = self._old_agen_hooks

    def pause(wait):
        # The loop runs in this thread only.
        own = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(None)
        sys.set_asyncgen_hooks(*hooks)
        yield wait
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(*own)

    try:
        while not self._stopping:
            if self._ready:
                yield from pause(None)
            else:
                when = self._scheduled[0]._when if self._scheduled else None
                yield from pause(scheduler.Wait(lambda: self._ready or self._stopping, when))
            self._run_once()
    finally:
        self._run_forever_cleanup()


def install():
    """Makes `asyncio.run` work. Called while the image is made."""
    global _plain_run
    selectors.DefaultSelector = Sleeper
    _plain_run, asyncio.run = asyncio.run, _run
    _run.__name__ = _run.__qualname__ = "run"
    loop = asyncio.SelectorEventLoop
    # The socket pair wakes the loop for threads. Here the selector sees their callbacks itself.
    loop._make_self_pipe = _show_callbacks
    loop._close_self_pipe = _nothing
    loop._write_to_self = _nothing
    scheduler.hide_event_loop, scheduler.show_event_loop = _hide_running, _show_running
