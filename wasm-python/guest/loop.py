"""asyncio without sockets: an event loop that waits for time, and for calls of tools under way."""

import asyncio
import selectors
import time

from _codeact import door

# How many passes of a busy loop there are between two looks at the calls under way: each is a call of
# the host.
_PASSES = 64


class Sleeper(selectors.BaseSelector):
    """A selector without files: it waits until the next timer is due, or a call of a tool is done."""

    def __init__(self):
        self._map = {}
        self._passes = 0

    def register(self, fileobj, events, data=None):
        raise NotImplementedError("the sandbox has no sockets or pipes to wait for")

    def unregister(self, fileobj):
        raise KeyError(fileobj)

    def select(self, timeout=None):
        if door.pending:
            self._look(timeout)
        elif timeout is None:
            raise RuntimeError(
                "every task waits for another: nothing can ever wake this event loop"
            )
        elif timeout > 0:
            time.sleep(timeout)
        return []

    def _look(self, timeout):
        if timeout is not None and timeout <= 0:
            self._passes = (self._passes + 1) % _PASSES
            if self._passes:
                return
        # Whatever else is done by then is taken as well.
        while door.wait(timeout) and door.pending:
            timeout = 0

    def get_map(self):
        return self._map


def _nothing(self, *args):
    pass


_lasting = None


def run(coroutine):
    """Runs what a turn awaits, in an event loop that lasts as long as the session."""
    global _lasting
    if _lasting is None or _lasting.is_closed():
        _lasting = asyncio.new_event_loop()
    task = _lasting.create_task(coroutine)
    # Not its result: the exception would come with the frames of the event loop.
    task.add_done_callback(_stop)
    try:
        _lasting.run_forever()
    except BaseException:
        task.cancel()
        raise
    return task.result()


def _stop(task):
    task.get_loop().stop()


def _run(main, *, debug=None, loop_factory=None):
    """As `asyncio.run`, also from code that awaits at the top of its turn."""
    outer = asyncio._get_running_loop()
    if outer is None or outer is not _lasting:
        return _plain_run(main, debug=debug, loop_factory=loop_factory)
    # The turn's own loop stands still meanwhile.
    task = asyncio.tasks._swap_current_task(outer, None)
    asyncio._set_running_loop(None)
    try:
        return _plain_run(main, debug=debug, loop_factory=loop_factory)
    finally:
        asyncio._set_running_loop(outer)
        asyncio.tasks._swap_current_task(outer, task)


def install():
    """Makes `asyncio.run` work. Called while the image is made."""
    global _plain_run
    selectors.DefaultSelector = Sleeper
    _plain_run, asyncio.run = asyncio.run, _run
    _run.__name__ = _run.__qualname__ = "run"
    loop = asyncio.SelectorEventLoop
    # The loop wakes itself through a socket pair, for threads and signals: there are none.
    loop._make_self_pipe = _nothing
    loop._close_self_pipe = _nothing
    loop._write_to_self = _nothing
