# Creating, walking and removing trees of folders.
import errno
import os
import shutil
import tempfile


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
    except OSError as error:
        print(what, "->", type(error).__name__, errno.errorcode.get(error.errno, error))
    else:
        print(what, "->", "done" if result is None else result)


def write(path, text=""):
    with open(path, "w") as file:
        file.write(text)


def tree(top="."):
    found = []
    for folder, folders, files in os.walk(top):
        found += [os.path.join(folder, name) + "/" for name in folders] + [os.path.join(folder, name) for name in files]
    return sorted(path.replace(os.sep, "/").removeprefix("./") for path in found)


def build(top):
    for path in ["a/b/c", "a/d", "e"]:
        os.makedirs(os.path.join(top, path))
    for path in ["f0", "a/f1", "a/b/f2", "a/b/c/f3", "a/b/c/f4"]:
        write(os.path.join(top, path), path)
    os.symlink("a", os.path.join(top, "to_a"))
    os.symlink("f0", os.path.join(top, "to_f"))


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        attempt("makedirs", os.makedirs, "x/y/z")
        attempt("again", os.makedirs, "x/y/z")
        attempt("exist_ok", os.makedirs, "x/y/z", exist_ok=True)
        attempt("exist_ok, a slash", os.makedirs, "x/y/z/", exist_ok=True)
        attempt("a slash", os.makedirs, "x/new/")
        attempt("dots inside", os.makedirs, "x/./p/../q")
        write("file")
        attempt("over a file", os.makedirs, "file", exist_ok=True)
        attempt("below a file", os.makedirs, "file/x/y", exist_ok=True)
        os.symlink("x", "link")
        os.symlink("nowhere", "dangling")
        attempt("through a link", os.makedirs, "link/r/s")
        attempt("over a link", os.makedirs, "link", exist_ok=True)
        attempt("over a dangling link", os.makedirs, "dangling", exist_ok=True)
        attempt("through a dangling link", os.makedirs, "dangling/x")
        print(tree())
        attempt("removedirs", os.removedirs, "x/y/z")
        attempt("removedirs of what is full", os.removedirs, "x")
        print(tree())
        attempt("rmdir", os.rmdir, "x/new")
        attempt("rmdir again", os.rmdir, "x/new")
        attempt("rmtree a file", shutil.rmtree, "file")
        try:
            shutil.rmtree("link")
        except OSError as error:
            print("rmtree a link", type(error).__name__)
        attempt("rmtree what is not there", shutil.rmtree, "none")
        shutil.rmtree("none", ignore_errors=True)
        attempt("rmtree", shutil.rmtree, "x")
        print(tree())
        os.unlink("link")
        os.unlink("dangling")

        build("t")
        for topdown in [True, False]:
            for path, folders, files in sorted(os.walk("t", topdown=topdown), key=lambda step: step[0]):
                print(path, sorted(folders), sorted(files))
        order = [path for path, folders, _ in os.walk("t") if not folders.sort()]
        print(order)
        order = [path for path, _, _ in os.walk("t", topdown=False)]
        print(order[-1], order.index("t/a/b/c") < order.index("t/a/b") < order.index("t/a"))
        pruned = []
        for path, folders, files in os.walk("t"):
            folders[:] = sorted(name for name in folders if name != "b")
            pruned.append((path, sorted(files)))
        print(pruned)
        followed = sorted(path for path, _, _ in os.walk("t", followlinks=True))
        print(followed)
        sizes = sum(os.path.getsize(os.path.join(path, name)) for path, _, files in os.walk("t") for name in files)
        print(sizes, sorted(path for path, _, _ in os.walk(b"t"))[:2])
        for path, folders, files in os.walk("t"):
            folders.sort()
            if path == "t/a":
                os.makedirs("t/a/late")
                folders.append("late")
            if path.endswith("late"):
                print(path, folders, files)

        # Removing bottom-up by hand, and with an error handler.
        for path, folders, files in os.walk("t", topdown=False):
            for name in files:
                os.remove(os.path.join(path, name))
            for name in folders:
                inner = os.path.join(path, name)
                os.remove(inner) if os.path.islink(inner) else os.rmdir(inner)
        os.rmdir("t")
        print(tree())
        build("t")
        with open("t/a/b/c/f3") as file:
            shutil.rmtree("t")
            print(file.read(), os.path.exists("t"))
        told = []
        shutil.rmtree("none", onexc=lambda function, path, error: told.append((function.__name__, path, type(error).__name__)))
        print([entry[1:] for entry in told])
        # A link in the tree is removed, its target is not.
        os.makedirs("keep/in")
        write("keep/in/f", "kept")
        os.makedirs("t")
        os.symlink("../keep", "t/link")
        shutil.rmtree("t")
        print(tree())
        deep = "/".join(["n"] * 60)
        os.makedirs(deep)
        write(deep + "/f", "deep")
        print(len(list(os.walk("n"))), os.path.getsize(deep + "/f"))
        shutil.rmtree("n")
        for i in range(300):
            os.mkdir(f"d{i}")
            write(f"d{i}/f")
        print(sum(len(files) for _, _, files in os.walk(".")))
        for i in range(300):
            shutil.rmtree(f"d{i}")
        print(tree())
    finally:
        os.chdir(start)
