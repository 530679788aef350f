"""Users, processes and devices of Unix as constants, which many packages read when they are imported.

There is one user, `user` with the number 0, who owns all files, and one process. Functions that would
change them are accepted if they change nothing, and raise PermissionError otherwise. What cannot be
imitated is an error that says what to use instead.
"""

import collections
import errno
import operator
import os
import posix
import shutil
import time
import types

from _codeact.user_database import ID as _ID
from _codeact.user_database import USER as _USER

_PROCESS = 42
_COLUMNS, _LINES = 80, 24
_BLOCK = 4096
# The default limit of the files that the code creates, in blocks.
_BLOCKS = 256 * 1024 * 1024 // _BLOCK
_UTC = ("", "UTC", "UTC0", "GMT", "GMT0", "Etc/UTC", "Etc/GMT", "Universal", "Zulu")

_umask = 0o022


def _error(code, text=None):
    return OSError(code, text or os.strerror(code))


# Users and groups.


def getuid():
    """Returns 0, the number of the only user."""
    return _ID


def getresuid():
    """Returns the real, effective and saved user number: 0."""
    return _ID, _ID, _ID


def getgroups():
    """Returns the numbers of the user's groups: 0."""
    return [_ID]


def getgrouplist(user, group, /):
    """Returns the groups of a user: `group` only."""
    return [group]


def getlogin():
    """Returns the name of the only user."""
    return _USER


def _set_ids(*ids):
    """Accepts the only user and group, and -1, which is no change."""
    for one in ids:
        if operator.index(one) not in (_ID, -1):
            raise _error(errno.EPERM)


def setgroups(groups, /):
    """Accepts the only group."""
    _set_ids(*groups)


def initgroups(username, gid, /):
    """Accepts the only group."""
    _set_ids(gid)


def chown(path, uid, gid, *, dir_fd=None, follow_symlinks=True):
    """Accepts the owner that the file has. Raises PermissionError for any other one."""
    os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    try:
        _set_ids(uid, gid)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def lchown(path, uid, gid):
    """As `chown`, without following a symbolic link."""
    chown(path, uid, gid, follow_symlinks=False)


def fchown(fd, uid, gid):
    """As `chown`, for an open file."""
    os.fstat(fd)
    _set_ids(uid, gid)


# Modes: WASI stores none.


def umask(mask, /):
    """Sets the mask of file modes and returns the one before. It has no effect on files."""
    global _umask
    before, _umask = _umask, operator.index(mask) & 0o777
    return before


def fchmod(fd, mode):
    """Has no effect, as `os.chmod`."""
    os.fstat(fd)


def _chmod(path, mode, *args, dir_fd=None, follow_symlinks=True, **kwargs):
    # The C library accepts missing files.
    os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
    if args or kwargs:
        raise TypeError("chmod() takes 2 positional arguments")
    operator.index(mode)


# Processes.


def getppid():
    """Returns the number of the parent process: 1."""
    return 1


def getpgid(pid):
    """Returns the process group of the only process."""
    if pid not in (0, _PROCESS):
        raise _error(errno.ESRCH)
    return _PROCESS


def getpgrp():
    """Returns the process group of the only process."""
    return _PROCESS


def setpgid(pid, pgrp, /):
    """Accepts the group that the process has."""
    if getpgid(pid) != (pgrp or _PROCESS):
        raise _error(errno.EPERM)


def setsid():
    """Raises PermissionError: the process leads its session already."""
    raise _error(errno.EPERM)


def getpriority(which, who):
    """Returns 0, the priority of the only process."""
    getpgid(who)
    return 0


def setpriority(which, who, priority):
    """Has no effect."""
    getpgid(who)


def nice(increment, /):
    """Has no effect and returns 0, the niceness."""
    operator.index(increment)
    return 0


def getloadavg():
    """Returns three zeros."""
    return 0.0, 0.0, 0.0


def sched_getaffinity(pid, /):
    """Returns the set of the only processor."""
    getpgid(pid)
    return {0}


def sched_setaffinity(pid, mask, /):
    """Accepts a set with the only processor."""
    getpgid(pid)
    if 0 not in mask:
        raise _error(errno.EINVAL)


def register_at_fork(*, before=None, after_in_child=None, after_in_parent=None):
    """Has no effect: no process is ever forked."""
    if before is None and after_in_child is None and after_in_parent is None:
        raise TypeError("At least one argument is required.")


# Files and devices.


def sync():
    """Has no effect: files are in memory."""


def getrandom(size, flags=0):
    """As `os.urandom`."""
    return os.urandom(size)


def statvfs(path):
    """Returns constants: 256 MiB, the default limit of files, all of it free."""
    os.stat(path)
    return os.statvfs_result((_BLOCK, _BLOCK, *(3 * [_BLOCKS]), *(3 * [10_000]), 0, 255))


def fstatvfs(fd, /):
    """As `statvfs`, for an open file."""
    return statvfs(fd)


def disk_usage(path):
    """Returns the constants of `os.statvfs`: 256 MiB, all of it free."""
    total = statvfs(path).f_blocks * _BLOCK
    return _DiskUsage(total, 0, total)


_DiskUsage = collections.namedtuple("usage", "total used free")


def get_terminal_size(fd=1, /):
    """Returns 80 columns and 24 lines."""
    return os.terminal_size((_COLUMNS, _LINES))


def ctermid():
    """Returns the name of the terminal, which does not exist."""
    return "/dev/tty"


def ttyname(fd, /):
    """Raises OSError: no file is a terminal."""
    os.fstat(fd)
    raise _error(errno.ENOTTY)


def major(device, /):
    """Returns the major number of a device, as in Linux."""
    return device >> 8 & 0xFFF | device >> 32 & 0xFFFFF000


def minor(device, /):
    """Returns the minor number of a device, as in Linux."""
    return device & 0xFF | device >> 12 & 0xFFFFFF00


def makedev(major, minor, /):
    """Returns the number of a device, as in Linux."""
    high = (major & 0xFFFFF000) << 32 | (minor & 0xFFFFFF00) << 12
    return high | (major & 0xFFF) << 8 | minor & 0xFF


def writev(fd, buffers, /):
    """Writes buffers one after another. Returns the number of bytes that were written."""
    return os.write(fd, b"".join(buffers))


def readv(fd, buffers, /):
    """Reads into buffers one after another. Returns the number of bytes that were read."""
    return _fill(buffers, os.read(fd, sum(memoryview(one).nbytes for one in buffers)))


def preadv(fd, buffers, offset, flags=0, /):
    """As `readv`, at an offset."""
    size = sum(memoryview(one).nbytes for one in buffers)
    return _fill(buffers, os.pread(fd, size, offset))


def pwritev(fd, buffers, offset, flags=0, /):
    """As `writev`, at an offset."""
    return os.pwrite(fd, b"".join(buffers), offset)


def _fill(buffers, data):
    at = 0
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        part = data[at : at + len(view)]
        view[: len(part)] = part
        at += len(part)
    return at


def posix_fallocate(fd, offset, len, /):
    """Extends a file to a length."""
    if offset < 0 or len <= 0:
        raise _error(errno.EINVAL)
    if os.fstat(fd).st_size < offset + len:
        os.ftruncate(fd, offset + len)


def _instead(name, use):
    """Returns a function `name` that raises ENOTSUP and says what to use."""

    def unsupported(*args, **kwargs):
        raise OSError(errno.ENOTSUP, f"{name} is not available in the sandbox: {use}")

    return unsupported


# Time.


def tzset():
    """Accepts UTC, the sandbox's local time. Raises OSError if the variable TZ names another zone."""
    zone = os.environ.get("TZ", "").lstrip(":")
    if zone not in _UTC:
        raise OSError(
            errno.ENOTSUP,
            f"time.tzset is not available: the sandbox's local time is UTC; for TZ={zone!r} use "
            f"zoneinfo.ZoneInfo, for example datetime.now(ZoneInfo({zone!r}))",
        )


# Names of other functions of `os`. An attribute error for them has an explanation.
_MISSING = frozenset(
    """
    chroot copy_file_range epoll eventfd eventfd_read eventfd_write fchdir fwalk getxattr grantpt
    listxattr lockf login_tty memfd_create openpty pidfd_open posix_openpt ptsname removexattr
    sched_get_priority_max sched_get_priority_min sched_getparam sched_getscheduler
    sched_rr_get_interval sched_setparam sched_setscheduler sendfile setns setxattr splice tcgetpgrp
    tcsetpgrp timerfd_create timerfd_gettime timerfd_settime unlockpt unshare
    """.split()
)


def _missing(name):
    if name in _MISSING:
        raise AttributeError(
            f"module 'os' has no attribute {name!r}: the sandbox has one process, files in memory, "
            "and no devices",
            name=name,
            obj=os,
        )
    raise AttributeError(f"module 'os' has no attribute {name!r}", name=name, obj=os)


def _replace(name, function):
    """Sets a function of `os`, also in the sets of functions that accept certain arguments."""
    plain = getattr(os, name, None)
    function.__name__ = function.__qualname__ = name
    for supported in (
        os.supports_dir_fd,
        os.supports_fd,
        os.supports_follow_symlinks,
        os.supports_effective_ids,
    ):
        if plain in supported:
            supported.discard(plain)
            supported.add(function)
    setattr(os, name, function)
    setattr(posix, name, function)


def install():
    """Installs the functions and modules. Called while the image is made, before other imports."""
    functions = {
        name: function
        for name, function in globals().items()
        if type(function) is types.FunctionType and not name.startswith("_")
    }
    for name in ("install", "disk_usage", "tzset"):
        del functions[name]
    for name in ("geteuid", "getgid", "getegid"):
        functions[name] = _copy(getuid, name)
    functions["getresgid"] = _copy(getresuid, "getresgid")
    functions["getsid"] = _copy(getpgid, "getsid")
    functions["setpgrp"] = lambda: None
    for name in (
        "setuid seteuid setgid setegid setreuid setregid setresuid setresgid".split()
    ):
        functions[name] = _copy(_set_ids, name)
    functions["pipe"] = _instead("os.pipe", "use io.BytesIO or collections.deque in this process")
    functions["pipe2"] = functions["pipe"]
    functions["mkfifo"] = _instead("os.mkfifo", "use an ordinary file")
    functions["mknod"] = _instead("os.mknod", "use an ordinary file")
    functions["chmod"] = _chmod
    for name, function in functions.items():
        _replace(name, function)
    os.supports_fd.update((os.statvfs, os.chown))
    os.supports_follow_symlinks.add(os.chown)
    os.__getattr__ = _missing
    for name in ("PRIO_PROCESS", "PRIO_PGRP", "PRIO_USER"):
        setattr(os, name, ("PRIO_PROCESS", "PRIO_PGRP", "PRIO_USER").index(name))
    for name, value in (("GRND_NONBLOCK", 1), ("GRND_RANDOM", 2), ("ST_RDONLY", 1)):
        setattr(os, name, value)
    shutil.disk_usage = disk_usage
    shutil._ntuple_diskusage = _DiskUsage
    time.tzset = tzset
    time.thread_time = time.process_time
    time.thread_time_ns = time.process_time_ns


def _copy(function, name):
    copy = types.FunctionType(function.__code__, globals(), name, function.__defaults__)
    copy.__doc__ = function.__doc__
    return copy
