# Files under the current folder: write, append, seek, read back, rename, list, remove, and errors.
import os
import pathlib
import shutil
import tempfile

root = pathlib.Path(tempfile.mkdtemp(dir=".", prefix="case_files_"))
try:
    path = root / "a.txt"
    print(path.write_text("one\ntwo\n", encoding="utf-8"), path.read_text(encoding="utf-8").split())
    with open(path, "a", encoding="utf-8") as file:
        file.write("thrée\n")
        print(file.closed)
    with open(path, "r+b") as file:
        print(file.seek(4), file.read(3), file.tell())
        file.seek(0)
        file.write(b"ONE")
        file.seek(-3, os.SEEK_END)
        print(file.read())
        file.truncate(8)
    with open(path, encoding="utf-8") as file:
        print([line.rstrip() for line in file], path.stat().st_size)
    os.makedirs(root / "x" / "y" / "z")
    os.makedirs(root / "x" / "y", exist_ok=True)
    os.rename(path, root / "x" / "b.txt")
    (root / "x" / "c.bin").write_bytes(bytes(range(256)))
    shutil.copy(root / "x" / "c.bin", root / "d.bin")
    print(sorted(os.listdir(root)), sorted(os.listdir(root / "x")), path.exists())
    print(sorted(p.relative_to(root).as_posix() for p in root.rglob("*")))
    print([(sorted(d), sorted(f)) for _, d, f in os.walk(root)][0], (root / "d.bin").read_bytes()[250:])
    os.replace(root / "d.bin", root / "x" / "c.bin")
    print(sorted(e.name for e in os.scandir(root / "x") if e.is_file()), os.path.isdir(root / "x"))
    here = os.path.join(root, "x", "..", "x")
    print(os.path.samefile(here, root / "x"), pathlib.PurePosixPath("/a/b.tar.gz").suffixes, os.path.splitext("a.b.c"))
    attempts = {
        "open a missing file": lambda: open(root / "none"),
        "create what exists": lambda: open(root / "x" / "b.txt", "x"),
        "make a folder that exists": lambda: os.mkdir(root / "x"),
        "read a folder": lambda: (root / "x").read_bytes(),
        "go through a file": lambda: open(root / "x" / "b.txt" / "c"),
        "list a file": lambda: os.listdir(root / "x" / "b.txt"),
        "remove a missing file": lambda: os.unlink(root / "none"),
        "rename a missing file": lambda: os.rename(root / "none", root / "other"),
    }
    for what, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            print(what, type(error).__name__)
    try:
        os.rmdir(root / "x")
    except OSError:
        print("not empty")
    (root / "none").unlink(missing_ok=True)
    with tempfile.TemporaryFile(dir=root) as file:
        file.write(b"temporary")
        file.seek(0)
        print(file.read())
    with open(root / "closed.txt", "w", encoding="utf-8") as file:
        pass
    try:
        file.write("x")
    except ValueError as error:
        print(type(error).__name__)
finally:
    shutil.rmtree(root)
print(root.exists())
