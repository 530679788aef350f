"""Functions and file permissions that WASI's C library lacks and Python code relies on."""

import json
import os
import stat

import _host


def _chdir(path):
    # The C library would append `path` to the current folder without resolving `..` and links.
    _plain_chdir(os.path.realpath(path, strict=True))


def _dup(fd):
    """Duplicates a file descriptor. Unlike in POSIX, the two do not share a file position."""
    fd = fd.__index__()
    reply = json.loads(_host.call(b'{"op":"dup","fd":%d}' % fd))
    if "fd" not in reply:
        raise OSError(reply.get("errno", 0), os.strerror(reply.get("errno", 0)))
    return reply["fd"]


def _with_permissions(mode):
    """Returns `mode` with default permissions. WASI has none, but archives store them."""
    return mode | (0o755 if stat.S_ISDIR(mode) else 0o644)


def install():
    """Installs the replacements. Called while the image is made."""
    global _plain_chdir
    import posix
    import tarfile
    import zipfile

    _plain_chdir = posix.chdir
    _chdir.__name__ = _chdir.__qualname__ = "chdir"
    _dup.__name__ = _dup.__qualname__ = "dup"
    os.chdir = posix.chdir = _chdir
    os.dup = posix.dup = _dup

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
