# Renaming and replacing files, folders and links, also while they are open.
import errno
import os
import tempfile


def attempt(what, do, *args):
    try:
        result = do(*args)
    except OSError as error:
        print(what, "->", type(error).__name__, errno.errorcode[error.errno])
    else:
        print(what, "->", "done" if result is None else result)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def show(top="."):
    found = []
    for folder, folders, files in os.walk(top):
        found += [os.path.join(folder, name) + "/" for name in folders] + [os.path.join(folder, name) for name in files]
    return sorted(path.replace(os.sep, "/").removeprefix("./") for path in found)


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        write("a", "first")
        write("b", "second")
        before = os.stat("a")
        os.rename("a", "c")
        print(show(), read("c"), os.stat("c").st_ino == before.st_ino, os.stat("c").st_mtime_ns == before.st_mtime_ns)
        os.replace("c", "b")
        print(show(), read("b"))
        os.rename("b", "b")
        print(show(), read("b"))

        # Open files of both names stay usable.
        write("x", "old content")
        write("y", "new content")
        with open("x", encoding="utf-8") as old, open("y", "a+", encoding="utf-8") as new:
            os.replace("y", "x")
            new.write("!")
            new.flush()
            print(old.read(), os.fstat(old.fileno()).st_nlink, read("x"), os.fstat(new.fileno()).st_ino == os.stat("x").st_ino)
        print(show())

        os.makedirs("dir/sub")
        write("dir/sub/f", "deep")
        os.mkdir("empty")
        os.rename("dir", "empty")
        print(show(), read("empty/sub/f"))
        os.rename("empty/sub", "sub")
        print(show(), os.stat("empty").st_nlink >= 1)
        attempt("folder below itself", os.rename, "sub", "sub/inner")
        attempt("folder below its own folder", os.rename, "empty", "empty/x/y")
        attempt("folder over a full one", os.rename, "empty", "sub")
        attempt("folder over a file", os.rename, "empty", "b")
        attempt("file over a folder", os.rename, "b", "empty")
        attempt("folder with a slash", os.rename, "empty/", "other/")
        attempt("file with a slash", os.rename, "b", "b2/")
        attempt("file named with a slash", os.rename, "b/", "b2")
        print(show())
        attempt("replace a missing file", os.replace, "none", "b")
        attempt("replace into a missing folder", os.replace, "b", "none/b")
        attempt("renames makes and removes folders", os.renames, "sub/f", "p/q/f")
        print(show())
        attempt("renames back", os.renames, "p/q/f", "f")
        print(show())

        os.symlink("b", "link")
        os.symlink("other", "dirlink")
        os.rename("link", "moved")
        print(os.readlink("moved"), os.path.islink("moved"), read("moved"))
        os.rename("f", "moved")
        print(os.path.islink("moved"), read("moved"), read("b"))
        os.rename("dirlink", "dirlink2")
        print(os.readlink("dirlink2"), os.path.isdir("other"))
        attempt("file through a link to a folder", os.rename, "moved", "dirlink2/in")
        attempt("folder over a link to a folder", os.rename, "other", "dirlink2")
        attempt("a link over an empty folder", os.rename, "dirlink2", "other2")
        print(show())
        os.link("b", "hard")
        os.rename("b", "hard")
        print(sorted(os.listdir()), os.stat("hard").st_nlink)
        os.rename("other/in", "./other/../other/./out")
        print(show())

        os.mkdir("here")
        write("here/in", "inside")
        # Atomic replacement by a new version, as programs save files safely.
        for version in range(3):
            write("save.tmp", f"version {version}")
            os.replace("save.tmp", "save")
            print(read("save"), os.path.exists("save.tmp"))
        # A folder moved while it is being listed, and its descriptor used afterwards.
        with os.scandir("here") as entries:
            os.rename("here", "there")
            print([entry.name for entry in entries], os.path.exists("here"))
        fd = os.open("there", os.O_RDONLY)
        os.rename("there", "again")
        print(os.listdir("again"), os.fstat(fd).st_ino == os.stat("again").st_ino)
        os.close(fd)
        for i in range(20):
            write(f"n{i}", str(i))
        for i in range(20):
            os.rename(f"n{i}", f"n{(i + 1) % 20}")
        print([name for name in sorted(os.listdir()) if name.startswith("n")], read("n0") if os.path.exists("n0") else None)
    finally:
        os.chdir(start)
