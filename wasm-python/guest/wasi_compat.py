"""Functions, checks and file permissions that WASI's C library lacks and Python code relies on."""

import errno
import json
import operator
import os
import stat
import time

import _host


_ACCESS_MODES = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_LOCALES = ("", "C", "POSIX", "C.UTF-8", "C.utf8")


def _chdir(path):
    # The C library would append `path` to the current folder without resolving `..` and links.
    name = os.fspath(path)
    if (b"\0" if isinstance(name, bytes) else "\0") in name:
        raise ValueError("chdir: embedded null character in path")
    if not name:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    failed = None
    try:
        _plain_chdir(os.path.realpath(name, strict=True))
    except OSError as error:
        failed = error.errno
    if failed is not None:
        raise OSError(failed, os.strerror(failed), name)


def _open(path, flags, mode=0o777, *, dir_fd=None):
    # Elsewhere O_RDONLY is 0, and code that passes no access mode reads.
    if not flags & _ACCESS_MODES:
        flags |= os.O_RDONLY
    return _plain_open(path, flags, mode, dir_fd=dir_fd)


def _setlocale(category, locale=None):
    # The C library accepts any name, and changes nothing but the name.
    if locale is not None:
        for part in locale.split(";"):
            if part.rpartition("=")[2] not in _LOCALES:
                raise _locale.Error(
                    f"unsupported locale setting: {locale!r}; the sandbox has the locales C, POSIX "
                    "and C.UTF-8 only"
                )
    return _plain_setlocale(category, locale)


def _times():
    """Returns the CPU time and the elapsed time of the process in seconds."""
    # The C library counts ticks of another length.
    return os.times_result((time.process_time(), 0.0, 0.0, 0.0, time.monotonic()))


def _dup(fd):
    """Duplicates a file descriptor."""
    return _duplicate(b'{"op":"dup","fd":%d}' % operator.index(fd))


def _dup2(fd, fd2, inheritable=True):
    """Duplicates a file descriptor to the number `fd2`, which is closed first if it is open."""
    return _duplicate(b'{"op":"dup","fd":%d,"to":%d}' % (operator.index(fd), operator.index(fd2)))


def _duplicate(request):
    reply = json.loads(_host.call(request))
    if "fd" not in reply:
        raise OSError(reply.get("errno", 0), os.strerror(reply.get("errno", 0)))
    return reply["fd"]


def _with_permissions(mode):
    """Returns `mode` with default permissions. WASI has none, but archives store them."""
    return mode | (0o755 if stat.S_ISDIR(mode) else 0o644)


def install():
    """Installs the replacements. Called while the image is made."""
    global _locale, _plain_chdir, _plain_open, _plain_setlocale
    import _locale
    import locale
    import posix
    import tarfile
    import zipfile

    _plain_chdir = posix.chdir
    _chdir.__name__ = _chdir.__qualname__ = "chdir"
    _dup.__name__ = _dup.__qualname__ = "dup"
    os.chdir = posix.chdir = _chdir
    _dup2.__name__ = _dup2.__qualname__ = "dup2"
    os.dup = posix.dup = _dup
    _times.__name__ = _times.__qualname__ = "times"
    os.times = posix.times = _times
    os.dup2 = posix.dup2 = _dup2
    _plain_open = posix.open
    _open.__name__ = _open.__qualname__ = "open"
    os.open = posix.open = _open
    if _plain_open in os.supports_dir_fd:
        os.supports_dir_fd.add(_open)
    _plain_setlocale = _locale.setlocale
    _setlocale.__name__ = _setlocale.__qualname__ = "setlocale"
    _locale.setlocale = locale._setlocale = _setlocale

    plain_from_file = zipfile.ZipInfo.from_file.__func__

    def from_file(cls, *args, **kwargs):
        info = plain_from_file(cls, *args, **kwargs)
        if not info.external_attr >> 16 & 0o777:
            info.external_attr |= _with_permissions(info.external_attr >> 16) << 16
        return info

    zipfile.ZipInfo.from_file = classmethod(from_file)

    plain_gettarinfo = tarfile.TarFile.gettarinfo

    def gettarinfo(self, *args, **kwargs):
        member = plain_gettarinfo(self, *args, **kwargs)
        if member is not None and not member.mode & 0o777:
            member.mode |= 0o755 if member.isdir() else 0o644
        return member

    tarfile.TarFile.gettarinfo = gettarinfo
