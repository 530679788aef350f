"""Source texts of the session's turns, for tracebacks, warnings and `inspect`.

Each text has a file name of its own, so that a function of an earlier turn keeps its own lines. If a
name is used again with another text, as when an edited script runs again, the name gets a number.
"""

import inspect
import io
import itertools
import linecache
import re
import sys
import tokenize

_chain = itertools.chain.from_iterable

_MAX_TEXTS = 1000
_MAX_CHARACTERS = 8 * 1024 * 1024
_MAX_NAMES = 1000
# Lines of decorators between a class's first line and its `class` statement.
_MAX_DECORATOR_LINES = 200

# File names and texts, the oldest first.
_texts = {}
_characters = 0
# Number of texts and the newest file name of each requested name.
_versions = {}
# The same as `_texts`, as a flat tuple of names and texts: the host reads it from the memory of a
# stopped guest, through a variable of the runner.
flat = ()


def remember(name, text):
    """Registers the text of a turn. Returns its file name: `name`, or `name` with a number."""
    global _characters, flat
    count, file = _versions.pop(name, (0, name))
    if count == 0:
        count = 1
    elif _texts.get(file) != text:
        count += 1
        file = f"{name[:-1]} ({count})>" if name.endswith(">") else f"{name} ({count})"
    _versions[name] = count, file
    if len(_versions) > _MAX_NAMES:
        del _versions[next(iter(_versions))]
    _characters += len(text) - len(_texts.pop(file, ""))
    _texts[file] = text
    while len(_texts) > 1 and (len(_texts) > _MAX_TEXTS or _characters > _MAX_CHARACTERS):
        oldest = next(iter(_texts))
        _characters -= len(_texts.pop(oldest))
        linecache.cache.pop(oldest, None)
    linecache.cache[file] = (len(text), None, _lines(text), file)
    flat = tuple(_chain(_texts.items()))
    return file


def _lines(text):
    # As the tokenizer counts them. `str.splitlines` also splits at form feeds and U+2028.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = [line + "\n" for line in text.split("\n")]
    if lines[-1] == "\n":
        lines.pop()
    return lines


def line(file, number):
    """Returns a line of a turn's text, or None."""
    lines = _lines(_texts.get(file, ""))
    return lines[number - 1] if 0 < number <= len(lines) else None


def decode(source):
    """Decodes a source file as PEP 263 specifies. Returns None if CPython refuses its encoding."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return source.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError):
        return None


def _clearcache():
    """Clears the cache, except for the texts of turns, which are in no file."""
    _plain_clearcache()
    for file, text in _texts.items():
        linecache.cache[file] = (len(text), None, _lines(text), file)


def forget_all():
    """Removes all texts. Called while the image is made."""
    global _characters, flat
    linecache.cache.clear()
    _texts.clear()
    _versions.clear()
    _characters, flat = 0, ()


def _file_of_class(cls):
    """Returns the file name of the turn that defined a class of `__main__`, or None."""
    first = cls.__dict__.get("__firstlineno__")
    if type(first) is not int or first < 1:
        return None
    # The files of the class's own functions, if it has any, are certain.
    files = [code.co_filename for code in map(_code_of, list(cls.__dict__.values())) if code]
    for file in files + list(reversed(_texts)):
        if file in _texts and _defines_class(_texts[file], first, cls.__name__):
            return file
    return None


def _code_of(value):
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    elif isinstance(value, property):
        value = value.fget
    return getattr(value, "__code__", None) if inspect.isfunction(value) else None


def _defines_class(text, first, name):
    """Returns true if a definition of the class `name` starts at line `first` of `text`."""
    lines = _lines(text)[first - 1 : first + _MAX_DECORATOR_LINES]
    if not lines:
        return False
    statement = re.compile(rf"\s*class\s+{re.escape(name)}\b")
    if lines[0].lstrip().startswith("@"):
        return any(statement.match(line) for line in lines)
    return statement.match(lines[0]) is not None


def _getfile(object):
    """Returns the file in which an object was defined, as `inspect.getfile` of CPython.

    For classes of `__main__` it is the file name of their turn: all turns share that module.
    """
    if isinstance(object, type) and object.__dict__.get("__module__") == "__main__":
        file = _file_of_class(object)
        if file is not None:
            return file
    elif object is sys.modules.get("__main__") and "__file__" in object.__dict__:
        name = object.__dict__["__file__"].rpartition("/")[2]
        for requested, (_, file) in reversed(_versions.items()):
            if requested.rpartition("/")[2] == name:
                return file
    return _plain_getfile(object)


def install():
    """Makes `inspect` find classes of the session. Called while the image is made."""
    global _plain_getfile, _plain_clearcache
    _plain_getfile = inspect.getfile
    _getfile.__name__ = _getfile.__qualname__ = "getfile"
    inspect.getfile = _getfile
    _plain_clearcache = linecache.clearcache
    _clearcache.__name__ = _clearcache.__qualname__ = "clearcache"
    linecache.clearcache = _clearcache
