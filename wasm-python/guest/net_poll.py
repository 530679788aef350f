"""`select` and `poll` for the sockets of `net`. Libraries use them to check pooled connections.

A socket is readable after a request was written, and always writable.
"""

import select
import selectors
import time

from _codeact import net, wire

_plain_select = select.select
_plain_poll = select.poll


def _number(thing):
    return thing if isinstance(thing, int) else thing.fileno()


def _select(rlist, wlist, xlist, timeout=None, /):
    ready, rest = ([], []), ([], [], [])
    waits = False
    for kind, things in enumerate((rlist, wlist, xlist)):
        for thing in things:
            state = net.open_sockets.get(_number(thing))
            if state is None:
                rest[kind].append(thing)
            elif kind == 1 or (kind == 0 and state.is_readable):
                ready[kind].append(thing)
            else:
                waits = True
    if ready[0] or ready[1]:
        timeout = 0
    elif waits and not any(rest):
        _wait(timeout)
        return [], [], []
    files = _plain_select(*rest, timeout)
    return ready[0] + files[0], ready[1] + files[1], files[2]


def _wait(seconds):
    if seconds is None or seconds < 0:
        raise wire.unsupported(
            "this would wait forever: no data arrives on these sockets before a request is written"
        )
    time.sleep(seconds)


class Poll:
    """`select.poll` for sockets and files."""

    def __init__(self):
        self._files = _plain_poll()
        self._masks = {}
        self._has_files = False

    def register(self, fd, eventmask=select.POLLIN | select.POLLPRI | select.POLLOUT, /):
        number = _number(fd)
        if number in net.open_sockets:
            self._masks[number] = eventmask
        else:
            self._files.register(number, eventmask)
            self._has_files = True

    def modify(self, fd, eventmask, /):
        number = _number(fd)
        if number in self._masks:
            self._masks[number] = eventmask
        else:
            self._files.modify(number, eventmask)

    def unregister(self, fd, /):
        number = _number(fd)
        if self._masks.pop(number, None) is None:
            self._files.unregister(number)

    def poll(self, timeout=None, /):
        found = []
        for number, mask in self._masks.items():
            state = net.open_sockets.get(number)
            if state is None:
                events = select.POLLNVAL
            else:
                events = mask & (select.POLLOUT | (select.POLLIN if state.is_readable else 0))
            if events:
                found.append((number, events))
        if found or self._has_files or not self._masks:
            return found + self._files.poll(0 if found else timeout)
        _wait(None if timeout is None else timeout / 1000)
        return []


def install():
    """Installs the replacements. Called while the image is made."""
    select.select, select.poll = _select, Poll
    selectors.PollSelector._selector_cls = Poll
