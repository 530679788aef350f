# shutil: copying files and trees, moving, archives, finding differences.
import errno
import filecmp
import os
import shutil
import tempfile


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
    except shutil.Error as error:
        print(what, "->", type(error).__name__)
    except OSError as error:
        print(what, "->", type(error).__name__, errno.errorcode.get(error.errno))
    except ValueError as error:
        print(what, "->", type(error).__name__, error)
    else:
        print(what, "->", "done" if result is None else result)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def tree(top="."):
    found = []
    for folder, folders, files in os.walk(top):
        found += [os.path.join(folder, name) + ("@" if os.path.islink(os.path.join(folder, name)) else "/") for name in folders]
        found += [os.path.join(folder, name) + ("@" if os.path.islink(os.path.join(folder, name)) else "") for name in files]
    return sorted(path.replace(os.sep, "/").removeprefix("./") for path in found)


def build(top):
    os.makedirs(os.path.join(top, "sub", "deep"))
    os.makedirs(os.path.join(top, "empty"))
    write(os.path.join(top, "a.txt"), "in a")
    write(os.path.join(top, "b.log"), "in b")
    write(os.path.join(top, "sub", "c.txt"), "in c")
    write(os.path.join(top, "sub", "deep", "d.txt"), "in d")
    os.symlink("a.txt", os.path.join(top, "link"))
    os.symlink("sub", os.path.join(top, "sublink"))


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        write("f", "content ü")
        os.utime("f", ns=(10**18, 10**18 + 5))
        os.mkdir("d")
        attempt("copyfile", shutil.copyfile, "f", "g")
        attempt("copy to a folder", shutil.copy, "f", "d")
        attempt("copy2 to a folder", shutil.copy2, "f", "d/h")
        print(tree(), read("g"), read("d/f"), read("d/h"), os.stat("d/h").st_mtime_ns, os.stat("g").st_mtime_ns == os.stat("f").st_mtime_ns)
        attempt("copyfile onto itself", shutil.copyfile, "f", "f")
        attempt("copyfile to a folder", shutil.copyfile, "f", "d")
        attempt("copyfile of a folder", shutil.copyfile, "d", "x")
        attempt("copyfile of a missing one", shutil.copyfile, "none", "x")
        attempt("copy into a missing folder", shutil.copy, "f", "none/x")
        os.symlink("f", "link")
        attempt("copyfile of a link", shutil.copyfile, "link", "from_link")
        attempt("copyfile of a link as a link", shutil.copyfile, "link", "as_link", follow_symlinks=False)
        print(os.path.islink("from_link"), os.path.islink("as_link"), read("as_link"))
        attempt("copyfile onto itself by a link", shutil.copyfile, "f", "link")
        write("long", "long " * 100_000)
        shutil.copyfile("long", "long2")
        print(filecmp.cmp("long", "long2", shallow=False), filecmp.cmp("f", "long", shallow=False), os.path.getsize("long2"))
        with open("f", "rb") as source, open("copied", "wb") as target:
            shutil.copyfileobj(source, target, 3)
        print(read("copied"))

        build("tree")
        attempt("copytree", shutil.copytree, "tree", "copy", symlinks=True)
        print(tree("copy"))
        attempt("copytree, links followed", shutil.copytree, "tree", "followed")
        print(tree("followed"))
        attempt("copytree where one is", shutil.copytree, "tree", "copy")
        write("tree/a.txt", "newer a")
        attempt("copytree, some left out", shutil.copytree, "tree", "some", ignore=shutil.ignore_patterns("*.log", "deep", "*link"))
        print(tree("some"), read("some/a.txt"))
        attempt("copytree over", shutil.copytree, "some", "followed", dirs_exist_ok=True)
        print(read("followed/a.txt"), read("followed/sub/c.txt"))
        os.symlink("nowhere", "tree/dangling")
        attempt("copytree with a dangling link", shutil.copytree, "tree", "dangling")
        attempt("the same, told to ignore it", shutil.copytree, "tree", "dangling2", ignore_dangling_symlinks=True)
        os.unlink("tree/dangling")
        comparison = filecmp.dircmp("tree", "some")
        print(sorted(comparison.left_only), sorted(comparison.right_only), sorted(comparison.common), comparison.diff_files)

        attempt("move a file", shutil.move, "g", "moved")
        attempt("move into a folder", shutil.move, "moved", "d")
        attempt("move where one is", shutil.move, "f", "d")
        attempt("move a tree", shutil.move, "some", "d")
        attempt("move a tree into itself", shutil.move, "d", "d/some/sub")
        attempt("move a link", shutil.move, "link", "d/moved_link")
        attempt("move a missing one", shutil.move, "none", "x")
        print(tree("d"), os.path.islink("d/moved_link"))
        attempt("rename a tree", shutil.move, "d", "renamed")
        print(tree("renamed") != [], os.path.exists("d"))

        print(sorted(name for name, _ in shutil.get_archive_formats() if name in ("zip", "tar", "gztar", "bztar", "xztar")))
        for kind in ["zip", "tar", "gztar", "bztar", "xztar"]:
            made = shutil.make_archive(f"archive_{kind}", kind, "tree")
            print(os.path.relpath(made), os.path.getsize(made) > 100)
            out = f"out_{kind}"
            options = {} if kind == "zip" else {"filter": "data"}
            attempt("unpack", shutil.unpack_archive, made, out, **options)
            print([path.rstrip("@/") for path in tree(out)], read(f"{out}/sub/deep/d.txt"), read(f"{out}/link"))
        made = shutil.make_archive("based", "zip", ".", "tree/sub")
        shutil.unpack_archive(made, "out_based")
        print(tree("out_based"))
        attempt("an unknown format", shutil.make_archive, "x", "rar", "tree")
        attempt("a missing folder", shutil.make_archive, "x", "zip", "none")
        write("not.zip", "not a zip")
        for path in ["not.zip", "none.zip", "f.unknown"]:
            attempt(f"unpack {path}", shutil.unpack_archive, path, "x")
        print(shutil.which("no-such-program"), os.path.exists("x.zip"))
        with tempfile.TemporaryDirectory() as elsewhere:
            shutil.move("tree", elsewhere)
            print(tree(os.path.join(elsewhere, "tree")) != [], os.path.exists("tree"))
            shutil.move(os.path.join(elsewhere, "tree", "a.txt"), "back.txt")
        print(read("back.txt"))
        for name in os.listdir():
            os.unlink(name) if os.path.isfile(name) or os.path.islink(name) else shutil.rmtree(name)
        print(os.listdir())
    finally:
        os.chdir(start)
