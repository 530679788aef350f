"""What WASI's C library leaves out and Python code relies on."""

import json
import os
import stat

import _host


def _chdir(path):
    # The C library would append `path` to the folder that it has, `..` and links included.
    _plain_chdir(os.path.realpath(path, strict=True))


def _dup(fd):
    """A second descriptor for an open file. Unlike elsewhere, each has a position of its own."""
    fd = fd.__index__()
    reply = json.loads(_host.call(b'{"op":"dup","fd":%d}' % fd))
    if "fd" not in reply:
        raise OSError(reply.get("errno", 0), os.strerror(reply.get("errno", 0)))
    return reply["fd"]


def _mode(kind):
    """The permissions that files have elsewhere: here there are none, and archives carry them."""
    return kind | (0o755 if stat.S_ISDIR(kind) else 0o644)


def install():
    """Puts it in place. Called while the image is made."""
    global _plain_chdir
    import posix
    import tarfile
    import zipfile

    _plain_chdir = posix.chdir
    _chdir.__name__ = _chdir.__qualname__ = "chdir"
    _dup.__name__ = _dup.__qualname__ = "dup"
    os.chdir = posix.chdir = _chdir
    os.dup = posix.dup = _dup

    plain_info = zipfile.ZipInfo.from_file.__func__

    def from_file(cls, *args, **kwargs):
        info = plain_info(cls, *args, **kwargs)
        if not info.external_attr >> 16 & 0o777:
            info.external_attr |= _mode(info.external_attr >> 16) << 16
        return info

    zipfile.ZipInfo.from_file = classmethod(from_file)

    plain_member = tarfile.TarFile.gettarinfo

    def gettarinfo(self, *args, **kwargs):
        member = plain_member(self, *args, **kwargs)
        if member is not None and not member.mode & 0o777:
            member.mode |= 0o755 if member.isdir() else 0o644
        return member

    tarfile.TarFile.gettarinfo = gettarinfo
