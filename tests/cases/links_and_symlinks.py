# Hard and symbolic links: relative, dangling, chained, looped, link/.., counts, unlinking while open.
import errno
import os
import stat
import tempfile


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
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


def kinds(path):
    return os.path.islink(path), os.path.isfile(path), os.path.isdir(path), os.path.exists(path), os.path.lexists(path)


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    folder = os.path.realpath(folder)
    os.chdir(folder)
    try:
        os.makedirs("d/e")
        write("f", "file")
        write("d/g", "in d")
        write("d/e/h", "in e")
        os.symlink("f", "to_f")
        os.symlink("d", "to_d")
        os.symlink("../f", "d/up")
        os.symlink("../../f", "d/e/up2")
        os.symlink("nowhere", "dangling")
        os.symlink(os.path.join(folder, "f"), "absolute")
        os.symlink("loop2", "loop1")
        os.symlink("loop1", "loop2")
        os.symlink("self", "self")
        os.symlink("d/e", "to_e")
        os.symlink(".", "dot")
        os.symlink("..", "d/parent")
        os.symlink("d/", "to_d_slash")
        os.symlink("f/", "to_f_slash")
        for path in ["f", "to_f", "to_d", "d/up", "d/e/up2", "dangling", "absolute", "loop1", "self", "to_e", "dot", "dot/dot/f", "d/parent/f", "to_d_slash/g", "to_f_slash"]:
            print(path, kinds(path))
        for path in ["to_f", "d/up", "d/e/up2", "absolute", "to_d/g", "to_d/up", "to_e/h", "to_e/up2", "dot/to_d/e/h", "d/parent/d/g", "to_d//g", "to_e/../g", "to_d/../f"]:
            attempt(f"read {path}", read, path)
        for path in ["dangling", "loop1", "self", "self/x", "to_f/x", "dangling/x", "to_f/", "to_e/../h", "to_f_slash", "to_f/../f"]:
            attempt(f"read {path}", read, path)
        print(sorted(os.listdir("to_e/..")), sorted(os.listdir("to_d/e/..")) == sorted(os.listdir("d")))
        for path in ["to_f", "to_d", "d/up", "dangling", "loop1", "to_d/up", "to_d_slash"]:
            print(path, os.readlink(path), os.readlink(os.fsencode(path)))
        print(os.readlink("absolute") == os.path.join(folder, "f"))
        for path in ["f", "d", "none", "to_d/", "to_f/x"]:
            attempt(f"readlink {path}", os.readlink, path)
        for path in ["to_f", "to_e/..", "to_e/../g", "d/e/up2", "loop1", "dangling", "dangling/x", "to_d/parent/f", "dot/dot"]:
            print(path, os.path.relpath(os.path.realpath(path), folder))
        for path in ["loop1", "dangling"]:
            attempt(f"realpath, strict, {path}", os.path.realpath, path, strict=True)

        # stat follows, lstat does not.
        print(os.stat("to_f").st_ino == os.stat("f").st_ino, os.lstat("to_f").st_ino == os.stat("f").st_ino)
        print(stat.S_ISLNK(os.lstat("to_f").st_mode), stat.S_ISREG(os.stat("to_f").st_mode), os.lstat("to_f").st_size, os.stat("to_f").st_size)
        print(os.stat("to_d", follow_symlinks=False).st_size, stat.S_ISDIR(os.lstat("to_d/").st_mode), stat.S_ISLNK(os.lstat("to_d").st_mode))
        print(os.path.samefile("to_f", "absolute"), os.path.samefile("to_d", "d"), os.path.samefile("f", "d"), os.path.getsize("to_f"))

        # Writing through links, and changing their targets.
        write("to_f", "changed")
        print(read("f"), os.path.islink("to_f"))
        write("dangling", "made")
        print(read("nowhere"), kinds("dangling"))
        os.unlink("nowhere")
        print(kinds("dangling"), os.path.lexists("nowhere"))
        os.unlink("to_d")
        print(os.path.isdir("d"), kinds("to_d"))
        attempt("rmdir a link", os.rmdir, "to_e")
        attempt("unlink a link with a slash", os.unlink, "to_e/")
        attempt("unlink a link", os.unlink, "to_e")
        attempt("a link where one is", os.symlink, "x", "dangling")
        attempt("a link below a file", os.symlink, "x", "f/x")
        os.symlink("x" * 500, "long")
        print(os.lstat("long").st_size, len(os.readlink("long")))
        os.symlink("späte Straße", "non-ascii ☃")
        print(os.readlink("non-ascii ☃"), "non-ascii ☃" in os.listdir())

        # Chains, as long as every system follows, and longer than any system follows.
        write("c0", "end of the chain")
        for i in range(60):
            os.symlink(f"c{i}", f"c{i + 1}")
        attempt("a chain of 8", read, "c8")
        attempt("a chain of 30", read, "c30")
        attempt("a chain of 60", read, "c60")
        attempt("stat a chain of 60", os.stat, "c60")
        attempt("lstat a chain of 60", lambda: stat.S_ISLNK(os.lstat("c60").st_mode))
        attempt("remove the end of a chain", os.unlink, "c60")

        # Hard links.
        os.link("f", "hard")
        os.link("hard", "d/hard2")
        print([os.stat(path).st_nlink for path in ["f", "hard", "d/hard2", "to_f"]], os.lstat("to_f").st_nlink, os.path.samefile("f", "d/hard2"))
        with open("hard", "a", encoding="utf-8") as file:
            file.write(" through hard")
        print(read("f"), read("d/hard2"))
        os.unlink("f")
        print(read("hard"), os.stat("hard").st_nlink, kinds("to_f"))
        os.rename("hard", "f")
        print(read("to_f"))
        attempt("link over a file", os.link, "f", "d/g")
        attempt("link a missing file", os.link, "none", "x")
        attempt("link a folder", os.link, "d", "d3")
        os.unlink("d/hard2")
        print(os.stat("f").st_nlink)

        # A file without a name exists until it is closed.
        with open("temporary", "w+b") as file:
            file.write(b"kept")
            file.flush()
            os.unlink("temporary")
            print(os.path.exists("temporary"), os.fstat(file.fileno()).st_nlink, os.fstat(file.fileno()).st_size)
            write("temporary", "another")
            file.seek(0)
            print(file.read(), file.write(b"!"), read("temporary"))
            with open("temporary", "rb") as other:
                print(os.fstat(other.fileno()).st_ino != os.fstat(file.fileno()).st_ino)
        os.mkdir("gone")
        fd = os.open("gone", os.O_RDONLY)
        os.rmdir("gone")
        print(stat.S_ISDIR(os.fstat(fd).st_mode), os.path.exists("gone"))
        os.close(fd)
        print(sorted(name for name in os.listdir() if not name.startswith("c")))
    finally:
        os.chdir(start)
