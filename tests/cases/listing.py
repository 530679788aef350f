# listdir, scandir and walk: kinds of entries, changes while listing, many entries, odd names.
import errno
import os
import stat
import tempfile


def attempt(what, do, *args):
    try:
        result = do(*args)
    except OSError as error:
        print(what, "->", type(error).__name__, errno.errorcode[error.errno])
    else:
        print(what, "->", "done" if result is None else result)


def touch(path):
    with open(path, "w"):
        pass


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        print(os.listdir(), os.listdir("."), list(os.scandir()), list(os.walk("none")))
        os.makedirs("dir/inner")
        with open("file.txt", "w") as file:
            file.write("12345")
        touch(".hidden")
        os.symlink("file.txt", "filelink")
        os.symlink("dir", "dirlink")
        os.symlink("nowhere", "dangling")
        os.symlink("loop", "loop")
        print(sorted(os.listdir()), sorted(os.listdir(b".")))
        for entry in sorted(os.scandir("."), key=lambda entry: entry.name):
            print(entry.name, entry.path == os.path.join(".", entry.name), entry.is_symlink(), entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False), end=" ")
            try:
                print(entry.is_dir(), entry.is_file(), entry.stat().st_size if entry.is_file() else "-")
            except OSError as error:
                print(errno.errorcode[error.errno])
        with os.scandir() as entries:
            entry = next(entry for entry in entries if entry.name == "file.txt")
        print(entry, entry.inode() == os.stat("file.txt").st_ino, entry.stat().st_size, os.fspath(entry), entry.is_junction())
        with os.scandir() as entries:
            entry = next(entry for entry in entries if entry.name == "filelink")
        print(stat.S_ISLNK(entry.stat(follow_symlinks=False).st_mode), entry.stat().st_size, entry.inode() == os.lstat("filelink").st_ino)
        with open("file.txt", "a") as file:
            file.write("678")
        print(entry.stat().st_size in (5, 8), os.stat("file.txt").st_size)
        for entry in os.scandir(b"dir"):
            print(entry.name, entry.path, entry.is_dir())
        os.unlink("file.txt")
        attempt("stat of an entry that went", lambda: [e for e in os.scandir() if e.name == "filelink"][0].stat())
        print(sorted(os.listdir("dirlink")), sorted(os.listdir("dirlink/inner/..")), os.listdir("dir/inner"))
        attempt("a missing folder", os.listdir, "none")
        attempt("a file", os.listdir, ".hidden")
        attempt("scan a missing folder", os.scandir, "none")
        attempt("scan a file", os.scandir, ".hidden")
        attempt("scan a loop", os.scandir, "loop")
        print(list(os.walk(".hidden")))
        errors = []
        print(list(os.walk("none", onerror=errors.append)), [type(error).__name__ for error in errors])

        touch("dir/new")
        # Changes while listing.
        os.mkdir("many")
        names = [f"n{i:04}" for i in range(1500)]
        for name in names:
            touch(os.path.join("many", name))
        print(sorted(os.listdir("many")) == names, len({entry.inode() for entry in os.scandir("many")}))
        seen = []
        with os.scandir("many") as entries:
            for entry in entries:
                seen.append(entry.name)
                os.unlink(entry.path)
        print(sorted(seen) == names, os.listdir("many"))
        for name in names[:50]:
            touch(os.path.join("many", name))
        seen = []
        for entry in os.scandir("many"):
            seen.append(entry.name)
            os.rename(entry.path, os.path.join("dir", entry.name))
        print(sorted(seen) == names[:50], len(os.listdir("dir")), os.listdir("many"))
        entries = os.scandir("dir")
        first = next(entries).name
        touch("dir/added")
        rest = [entry.name for entry in entries]
        print(len({first, *rest}) == 1 + len(rest), len(rest) in (51, 52))
        entries = os.scandir("dir")
        next(entries)
        entries.close()
        print(list(entries))
        listings = [os.scandir("dir") for _ in range(5)]
        print([len(list(listing)) for listing in listings])
        with os.scandir("many") as entries:
            os.rmdir("many")
            print(list(entries), os.path.exists("many"))

        # Names.
        odd = [" ", "a b", "tab\t", "new\nline", "back\\slash", "qu'ote\"", "*?[x]", "-rf", "...", "..x", "ünïcödé", "日本語", "🙂", "CON", "a:b", "x" * 255, "~", "$HOME", "%s", "#"]
        os.mkdir("odd")
        for name in odd:
            with open(os.path.join("odd", name), "w") as file:
                file.write(name)
        print(sorted(os.listdir("odd")) == sorted(odd), len(odd))
        for name in os.listdir("odd"):
            with open(os.path.join("odd", name), newline="") as file:
                assert file.read() == name
        print(sorted(os.listdir("odd"))[:9])
        for entry in list(os.scandir("odd")):
            os.unlink(entry)
        print(os.listdir("odd"), {type(name) for name in os.listdir(b"dir")})

    finally:
        os.chdir(start)
