"""asyncio without sockets: an event loop whose only waits are for time."""

import asyncio
import selectors
import time


class Sleeper(selectors.BaseSelector):
    """A selector with nothing to select from: it waits until the next timer is due."""

    def __init__(self):
        self._map = {}

    def register(self, fileobj, events, data=None):
        raise NotImplementedError("the sandbox has no sockets or pipes to wait for")

    def unregister(self, fileobj):
        raise KeyError(fileobj)

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError(
                "every task waits for another: nothing can ever wake this event loop"
            )
        if timeout > 0:
            time.sleep(timeout)
        return []

    def get_map(self):
        return self._map


def _nothing(self, *args):
    pass


def install():
    """Makes `asyncio.run` work. Called while the image is made."""
    selectors.DefaultSelector = Sleeper
    loop = asyncio.SelectorEventLoop
    # The loop wakes itself through a socket pair, for threads and signals: there are none.
    loop._make_self_pipe = _nothing
    loop._close_self_pipe = _nothing
    loop._write_to_self = _nothing
