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
    sys.meta_path.insert(0, _Finder())
