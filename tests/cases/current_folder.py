# The current folder: changing it by relative paths and links, and resolving relative paths in it.
import errno
import os
import pathlib
import tempfile

start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    folder = os.path.realpath(folder)

    def here():
        return os.getcwd().removeprefix(folder) or "(top)", os.path.samefile(os.getcwd(), ".")

    def go(path):
        try:
            os.chdir(path)
        except OSError as error:
            print(path, "->", type(error).__name__, errno.errorcode[error.errno], *here())
        else:
            print("->" if path == folder else f"{path} ->", *here(), sorted(os.listdir()))

    os.makedirs(os.path.join(folder, "a/b/c"))
    with open(os.path.join(folder, "a/file"), "w") as file:
        file.write("in a")
    os.symlink("b/c", os.path.join(folder, "a/link"))
    os.symlink("a/b", os.path.join(folder, "to_b"))
    try:
        os.chdir(folder)
        for path in ["a", "b", ".", "./c", "..", "../", "b/./c//", "../../..", "a/b/../b", "../file", "none", "../none", "../..", "a/link", "..", "../link/", "../..", "to_b", "..", "a/b/c/../../link/..", "../.."]:
            go(path)
        os.chdir(os.path.join(folder, "a"))
        print(os.path.abspath("file") == os.path.join(folder, "a", "file"), os.path.relpath("file", folder))
        print(pathlib.Path.cwd() == pathlib.Path(folder, "a"), pathlib.Path("file").absolute() == pathlib.Path(folder, "a", "file"), pathlib.Path("..").resolve() == pathlib.Path(folder))
        go(pathlib.Path("b"))
        go(os.fsencode("c"))
        print(os.getcwdb() == os.fsencode(os.getcwd()))
        with open("made here", "w") as file:
            file.write("x")
        print(os.listdir(os.path.join(folder, "a/b/c")), os.path.samefile("made here", os.path.join(folder, "a/link/made here")))
        os.mkdir("../d")
        os.rename("made here", "../d/moved")
        print(os.listdir(), os.listdir("../d"))
        go("../d")
        go(folder)
        deep = "/".join(["deep"] * 20)
        os.makedirs(deep)
        go(deep)
        go("/".join([".."] * 20))
        for _ in range(20):
            os.chdir("deep")
        for _ in range(20):
            os.chdir("..")
        print(*here())
    finally:
        os.chdir(start)
