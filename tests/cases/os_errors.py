# Errors of each invalid use of a path, with trailing slashes, dots, loops and long names.
import errno
import os
import tempfile


def name(error):
    return f"{type(error).__name__} {errno.errorcode[error.errno]}"


def attempt(what, do, *args):
    try:
        result = do(*args)
    except OSError as error:
        print(what, "->", name(error))
    else:
        print(what, "->", "done" if result is None else result)


def touch(path):
    with open(path, "x"):
        pass


def read(path):
    with open(path, "rb") as file:
        return file.read()


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        os.mkdir("empty")
        os.makedirs("full/sub")
        with open("file", "w") as file:
            file.write("text")
        os.symlink("b", "a")
        os.symlink("a", "b")
        os.symlink("nowhere", "dangling")
        os.symlink("full", "dirlink")
        os.symlink("file", "filelink")

        for path in ["none", "none/x", "file", "file/", "file/x", "file/.", "file/..", "empty/", "empty/.", "empty/..", "full/../file", "none/../file", "a", "a/x", "dangling", "dangling/x", "dirlink/", "dirlink/sub/..", "filelink/", ".", "..", "./", "empty//", "full//sub///", "./file", ".//file"]:
            attempt(f"stat {path!r}", lambda: "folder" if os.path.isdir(path) and os.stat(path) else os.stat(path).st_size)
        for path in ["none", "file", "file/", "file/x", "dangling", "dangling/", "a", "dirlink", "dirlink/sub"]:
            attempt(f"lstat {path!r}", lambda: oct(os.lstat(path).st_mode & 0o170000))
        for path in ["none", "file", "filelink", "a", "dangling", "empty", "empty/", "dirlink"]:
            attempt(f"listdir {path!r}", os.listdir, path)
        for path in ["empty", "empty/", "file", "none/x", "file/x", ".", "..", "full/..", "dangling", "dirlink", "a", "full/new/", "full/./newer", "made/."]:
            attempt(f"mkdir {path!r}", os.mkdir, path)
        for path in ["none", "file", "file/", "full", "full/sub/x", "dirlink", "dirlink/", "full/.", "full/new/.", "full/new/..", "dangling", "a", "full/new/", "full/newer"]:
            attempt(f"rmdir {path!r}", os.rmdir, path)
        for path in ["none", "empty", "empty/", "file/", "file/x", "dirlink/", "a/x"]:
            attempt(f"unlink {path!r}", os.unlink, path)
        for path in ["file", "empty", "none/x", "dangling", "a", "file/x", "new/"]:
            attempt(f"create {path!r}", touch, path)
        for path in ["none", "empty", "file/", "filelink/", "a", "dangling"]:
            attempt(f"read {path!r}", read, path)
        for path in ["none", "file", "empty", "a", "dangling", "dirlink", "dirlink/"]:
            attempt(f"readlink {path!r}", os.readlink, path)
        for path in ["none", "empty", "file/x", "a"]:
            attempt(f"truncate {path!r}", os.truncate, path, 1)
        for path in ["none", "file/x", "a", "dangling"]:
            attempt(f"utime {path!r}", os.utime, path, (1, 1))
        for path in ["file", "none", "file/sub", "a"]:
            attempt(f"chdir {path!r}", os.chdir, path)

        moves = [("none", "x"), ("file", "empty"), ("file", "full"), ("full", "empty/none/x"), ("full", "full/sub"), ("full", "full/x"), ("full", "file"), ("empty", "full"), ("file", "file/x"), ("file", "x/"), ("file/", "x"), ("empty", "moved/."), ("none", "none"), ("a", "c"), ("c", "a"), ("file", "file"), ("full", "full")]
        for old, new in moves:
            attempt(f"rename {old!r} {new!r}", os.rename, old, new)
        for old, new in [("none", "x"), ("file", "empty"), ("file", "dangling"), ("file", "none/x"), ("file/", "x"), ("file", "x/"), ("file", "file")]:
            attempt(f"link {old!r} {new!r}", os.link, old, new)
        for target, path in [("x", "file"), ("x", "empty"), ("x", "none/x"), ("", "x"), ("x", "file/x"), ("x", "dangling"), ("x", "new/"), ("x", "sym/.")]:
            attempt(f"symlink {target!r} {path!r}", os.symlink, target, path)

        long = "n" * 255
        attempt("a name of 255", touch, long)
        attempt("unlink it", os.unlink, long)
        for do in [touch, os.mkdir, os.stat, os.unlink, os.rmdir, os.listdir, read, os.readlink]:
            attempt(f"a name of 256, {do.__name__}", do, "n" * 256)
        attempt("a name of 255 bytes in UTF-8", touch, "é" * 127 + "x")
        attempt("a name of 256 bytes in UTF-8", touch, "é" * 128)
        attempt("a long name in the middle", os.stat, "n" * 256 + "/x")
        attempt("a long name after a missing one", os.stat, "none/" + "n" * 256)
        attempt("rename to a long name", os.rename, "file", "n" * 256)
        attempt("a long path", os.stat, "./" * 5000 + "file")
        attempt("a path below the bound", os.stat, "./" * 5000)
        print(os.path.exists("./" * 1000 + "file"), os.path.exists("n" * 256), os.path.exists("a"), os.path.lexists("a"))

        uses = {"fstat": os.fstat, "close": os.close, "fsync": os.fsync}
        uses |= {"read": lambda fd: os.read(fd, 1), "write": lambda fd: os.write(fd, b""), "lseek": lambda fd: os.lseek(fd, 0, 0), "ftruncate": lambda fd: os.ftruncate(fd, 0), "open": open}
        for what, do in uses.items():
            attempt(f"descriptor 900, {what}", do, 900)
        for bad in ["a\0b", b"a\0b"]:
            for do in [os.stat, os.mkdir, open, os.listdir]:
                try:
                    do(bad)
                except ValueError as error:
                    print(do.__name__, type(error).__name__)
        try:
            os.rename("none", "elsewhere")
        except OSError as error:
            print(error.filename, error.filename2, isinstance(error, FileNotFoundError), error.strerror)
        try:
            open("none/file")
        except OSError as error:
            print(error.filename, error.filename2, error.strerror)
        print(sorted(os.listdir()), read("file"))
    finally:
        os.chdir(start)
