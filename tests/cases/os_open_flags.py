# Flags of os.open: creating, exclusive creation, truncating, appending, wrong access modes, and folders.
import errno
import os
import tempfile


def attempt(what, do, *args):
    try:
        print(what, "->", do(*args))
    except OSError as error:
        print(what, "->", type(error).__name__, errno.errorcode[error.errno])


def open_with(path, flags):
    fd = os.open(path, flags, 0o600)
    os.close(fd)
    return "opened"


def content(path):
    with open(path, "rb") as file:
        return file.read()


def on(fd, do, *args):
    try:
        return do(fd, *args)
    finally:
        os.close(fd)


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        os.mkdir("dir")
        attempt("missing", open_with, "new", os.O_RDWR)
        attempt("create", open_with, "new", os.O_CREAT | os.O_WRONLY)
        attempt("create again", open_with, "new", os.O_CREAT | os.O_WRONLY)
        attempt("exclusive, is there", open_with, "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        attempt("exclusive, is not there", open_with, "other", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        attempt("create, read only", open_with, "empty", os.O_CREAT | os.O_RDONLY)
        attempt("create below a missing folder", open_with, "no/new", os.O_CREAT | os.O_WRONLY)
        attempt("create below a file", open_with, "new/new", os.O_CREAT | os.O_WRONLY)
        attempt("create with a slash at the end", open_with, "slash/", os.O_CREAT | os.O_WRONLY)
        os.symlink("target", "link")
        attempt("exclusive, a dangling link", open_with, "link", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        attempt("read a dangling link", open_with, "link", os.O_RDONLY)
        attempt("create through a dangling link", open_with, "link", os.O_CREAT | os.O_WRONLY)
        print(sorted(os.listdir()), os.path.islink("link"), os.path.islink("target"))
        attempt("exclusive, a link to a file", open_with, "link", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        attempt("do not follow a link", open_with, "link", os.O_RDONLY | os.O_NOFOLLOW)
        attempt("do not follow a file", open_with, "new", os.O_RDONLY | os.O_NOFOLLOW)

        fd = os.open("text", os.O_CREAT | os.O_RDWR)
        print(os.write(fd, b"0123456789"), os.lseek(fd, 0, os.SEEK_CUR), os.read(fd, 5))
        print(os.lseek(fd, 2, os.SEEK_SET), os.read(fd, 3), os.lseek(fd, -1, os.SEEK_CUR), os.read(fd, 100), os.read(fd, 1))
        os.close(fd)
        fd = os.open("text", os.O_WRONLY)
        print(os.write(fd, b"AB"), content("text"))
        os.close(fd)
        attempt("truncate", open_with, "text", os.O_WRONLY | os.O_TRUNC)
        print(os.path.getsize("text"))
        attempt("truncate a missing file", open_with, "missing", os.O_WRONLY | os.O_TRUNC)
        attempt("create and truncate", open_with, "made", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)

        with open("log", "wb") as file:
            file.write(b"one,")
        first = os.open("log", os.O_WRONLY | os.O_APPEND)
        second = os.open("log", os.O_RDWR | os.O_APPEND)
        print(os.lseek(first, 0, os.SEEK_CUR), os.write(first, b"two,"), os.lseek(first, 0, os.SEEK_CUR))
        print(os.read(second, 3), os.write(second, b"three,"), os.lseek(second, 0, os.SEEK_CUR), os.read(second, 3))
        print(os.lseek(first, 0, os.SEEK_SET), os.write(first, b"four"), os.lseek(first, 0, os.SEEK_CUR), content("log"))
        os.close(first)
        os.close(second)

        attempt("write to one open for reading", lambda: on(os.open("log", os.O_RDONLY), os.write, b"x"))
        attempt("read from one open for writing", lambda: on(os.open("log", os.O_WRONLY), os.read, 1))
        attempt("cut one open for reading", lambda: on(os.open("log", os.O_RDONLY), os.ftruncate, 0))
        print(content("log"))

        attempt("a folder", open_with, "dir", os.O_RDONLY)
        attempt("a folder as a folder", open_with, "dir", os.O_RDONLY | os.O_DIRECTORY)
        attempt("a file as a folder", open_with, "log", os.O_RDONLY | os.O_DIRECTORY)
        attempt("a missing folder", open_with, "none", os.O_RDONLY | os.O_DIRECTORY)
        attempt("a folder for writing", open_with, "dir", os.O_WRONLY)
        attempt("a folder for both", open_with, "dir", os.O_RDWR)
        attempt("a folder, exclusive", open_with, "dir", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        attempt("read a folder", lambda: on(os.open("dir", os.O_RDONLY), os.read, 1))
        attempt("write to a folder", lambda: on(os.open("dir", os.O_RDONLY), os.write, b"x"))
        os.symlink("dir", "dirlink")
        attempt("a folder through a link", open_with, "dirlink", os.O_RDONLY | os.O_DIRECTORY)
        attempt("a folder, link not followed", open_with, "dirlink/", os.O_RDONLY | os.O_NOFOLLOW)

        copy = os.open("log", os.O_RDONLY)
        print(os.read(copy, 3))
        os.close(copy)
        attempt("read what is closed", os.read, copy, 1)
        attempt("close it twice", os.close, copy)
        attempt("the size of what is closed", os.fstat, copy)
        files = [os.open("log", os.O_RDONLY) for _ in range(5)]
        os.close(files[2])
        again = os.open("log", os.O_RDONLY)
        print(again == files[2])
        for fd in {*files, again}:
            os.close(fd)
    finally:
        os.chdir(start)
