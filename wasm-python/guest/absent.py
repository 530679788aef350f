"""Honest errors for what a sandbox has not: each says what to use instead."""

import errno
import importlib.abc
import os
import sys


def _processes(what):
    def absent(*args, **kwargs):
        raise OSError(
            errno.ENOTSUP,
            f"{what} is not available: the sandbox has no processes and no shell; do it in Python",
        )

    absent.__name__ = absent.__qualname__ = what.rpartition(".")[2]
    return absent


def _network(*args, **kwargs):
    raise OSError(
        errno.ENOTSUP,
        "the sandbox has no network; use the data and tools you were given",
    )


_NO_INSTALLING = (
    "packages cannot be installed from inside the sandbox; use those that are there, or ask whoever "
    "runs the code to add pure-Python ones (--with NAME)"
)
_NOT_INSTALLABLE = {"pip": _NO_INSTALLING, "ensurepip": _NO_INSTALLING}


class _Finder(importlib.abc.MetaPathFinder):
    """Refuses the modules that cannot work here, with a reason."""

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in _NOT_INSTALLABLE:
            # Without `name`: tracebacks would replace the text for a module that CPython has
            # elsewhere.
            raise ModuleNotFoundError(f"No module named {name!r}: {_NOT_INSTALLABLE[top]}")
        return None


def install():
    """Puts the errors in place. Called while the image is made."""
    # Not `fork` and its kin: libraries ask for them with `hasattr`, and rightly find none.
    for name in ("system", "popen"):
        setattr(os, name, _processes(f"os.{name}"))
    import subprocess

    subprocess.Popen.__init__ = _processes("subprocess.Popen")
    subprocess.Popen.__del__ = lambda self: None
    try:
        import socket
    except ImportError:
        socket = None
    if socket is not None:
        socket.create_connection = _network
        socket.getaddrinfo = _network
        socket.socket.__init__ = _network
        socket.socket.__del__ = lambda self: None
    _without_https()
    sys.meta_path.insert(0, _Finder())


def _without_https():
    """There is no TLS here, and so no handler: the error would be that `https` is unknown."""
    import http.client
    import urllib.request

    class HTTPSConnection(http.client.HTTPConnection):
        default_port = 443
        connect = _network

    class HTTPSHandler(urllib.request.AbstractHTTPHandler):
        def https_open(self, request):
            return self.do_open(HTTPSConnection, request)

        https_request = urllib.request.AbstractHTTPHandler.do_request_

    http.client.HTTPSConnection = HTTPSConnection
    urllib.request.HTTPSHandler = HTTPSHandler
