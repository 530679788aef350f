"""Hints for exceptions whose own message suggests an action that is impossible in the sandbox."""

import sys

_CANNOT_INSTALL = (
    "packages cannot be installed from inside the sandbox; a pure-Python package can be added to the "
    "sandbox's packages before the code runs. "
)
_TABLES = "For tables use CSV, JSON, pickle, .xlsx or sqlite3"
_NO_CODEC = "Pillow has no JPEG, WebP or AVIF codec in the sandbox: use PNG"
_NO_FONTS = "Pillow has only its built-in font in the sandbox: draw text with matplotlib"

_NO_TERMINAL = "the sandbox has no terminal"
_NO_DISPLAY = "the sandbox has no display: draw with matplotlib or PIL"
_NO_LOCKS = "one process uses the sandbox's files, which need no locks"
_REMOVED = "this Python has no such module: "

# Hints by the name of the missing module.
_MODULES = {
    "_curses": _NO_TERMINAL,
    "termios": _NO_TERMINAL,
    "readline": _NO_TERMINAL,
    "tkinter": _NO_DISPLAY,
    "_tkinter": _NO_DISPLAY,
    "turtle": _NO_DISPLAY,
    "fcntl": _NO_LOCKS,
    "msvcrt": _NO_LOCKS,
    "resource": "for memory use tracemalloc, for time use time.process_time()",
    "syslog": "use logging",
    "_gdbm": "use dbm.sqlite3, dbm.dumb or sqlite3",
    "_dbm": "use dbm.sqlite3, dbm.dumb or sqlite3",
    "_posixshmem": "the sandbox has one process: use ordinary objects",
    "_multiprocessing": "the sandbox has one process: use asyncio or a plain loop",
    "_posixsubprocess": "the sandbox has no processes and no shell; do it in Python",
    "cgi": _REMOVED + "use urllib.parse and html",
    "crypt": _REMOVED + "use hashlib",
    "distutils": _REMOVED + "use shutil, sysconfig or packaging",
    "imp": _REMOVED + "use importlib",
    "pipes": _REMOVED + "use shlex",
    "pyarrow": _CANNOT_INSTALL + _TABLES,
    "fastparquet": _CANNOT_INSTALL + _TABLES,
    "tables": _CANNOT_INSTALL + _TABLES,
    "pytables": _CANNOT_INSTALL + _TABLES,
    "h5py": _CANNOT_INSTALL + _TABLES,
    "odf": _CANNOT_INSTALL + _TABLES,
    "polars": _CANNOT_INSTALL + "Use pandas",
    "cv2": _CANNOT_INSTALL + "Use PIL, numpy and scipy.ndimage",
    "torch": _CANNOT_INSTALL + "Use scikit-learn, scipy and numpy",
    "tensorflow": _CANNOT_INSTALL + "Use scikit-learn, scipy and numpy",
    "requests": _CANNOT_INSTALL + "Use urllib.request, if the sandbox has a network",
    "httpx": _CANNOT_INSTALL + "Use urllib.request, if the sandbox has a network",
    "PIL._imagingft": _NO_FONTS,
    "_imagingft": _NO_FONTS,
}
# Hints by a part of the message. The first match applies.
_MESSAGES = (
    ("pyarrow", _CANNOT_INSTALL + _TABLES),
    ("sqlalchemy", _CANNOT_INSTALL + "Use a connection of sqlite3.connect(...)"),
    ("pip or conda", _CANNOT_INSTALL + _TABLES),
    ("coder jpeg", _NO_CODEC),
    ("coder webp", _NO_CODEC),
    (": .webp", _NO_CODEC),
    (": .avif", _NO_CODEC),
    (": .jpg", _NO_CODEC),
    ("_imagingft", _NO_FONTS),
    ("mmap is unavailable", "read the file instead of mapping it"),
)


def hint(error):
    """Returns a hint for `error`, or None."""
    if isinstance(error, ImportError):
        if type(error.name) not in (str, type(None)):
            return None
        top = (error.name or "").partition(".")[0]
        found = _MODULES.get(error.name) or _MODULES.get(top)
        if found:
            return found
    elif not isinstance(error, (OSError, ValueError)):
        return None
    message = str(error)
    for part, found in _MESSAGES:
        if part in message:
            return found
    if isinstance(error, ModuleNotFoundError) and "sandbox" not in message:
        if top in sys.stdlib_module_names or ("." in (error.name or "") and top in sys.modules):
            # A package cannot help: Python has this module elsewhere, or has the package without it.
            return None
        return _CANNOT_INSTALL.strip()
    return None
