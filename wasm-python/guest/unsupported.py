"""Error messages for processes and package installers, which the sandbox does not have."""

import errno
import importlib.abc
import os
import sys


def _no_processes(name):
    """Returns a function `name` that raises ENOTSUP."""

    def unsupported(*args, **kwargs):
        raise OSError(
            errno.ENOTSUP,
            f"{name} is not available: the sandbox has no processes and no shell; do it in Python",
        )

    unsupported.__name__ = unsupported.__qualname__ = name.rpartition(".")[2]
    return unsupported


_INSTALLERS = ("pip", "ensurepip")
_CANNOT_INSTALL = (
    "packages cannot be installed from inside the sandbox; use an available package, or add a "
    "pure-Python one to the sandbox's packages before the code runs"
)


class _Finder(importlib.abc.MetaPathFinder):
    """Refuses to import package installers, with a reason."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in _INSTALLERS:
            # Without the `name` attribute: tracebacks would replace this message by the one for
            # missing modules of the standard library.
            raise ModuleNotFoundError(f"No module named {name!r}: {_CANNOT_INSTALL}")
        return None


def install():
    """Installs the errors. Called while the image is made."""
    # Not for `fork` and similar functions: libraries test for them with `hasattr`, and they do not
    # exist here.
    for name in ("system", "popen"):
        setattr(os, name, _no_processes(f"os.{name}"))
    import subprocess

    subprocess.Popen.__init__ = _no_processes("subprocess.Popen")
    subprocess.Popen.__del__ = lambda self: None
    sys.meta_path.insert(0, _Finder())
