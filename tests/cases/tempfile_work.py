# tempfile: names, files with and without one, spooled ones, folders, and their removal.
import gc
import io
import os
import pathlib
import tempfile
import warnings


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
    except (OSError, ValueError, TypeError) as error:
        print(what, "->", type(error).__name__)
    else:
        print(what, "->", result)


start = os.getcwd()
with tempfile.TemporaryDirectory(prefix="case_") as folder:
    print(os.path.isdir(folder), os.path.basename(folder).startswith("case_"), os.path.isabs(folder), os.listdir(folder))
    os.chdir(folder)
    try:
        print(os.path.isdir(tempfile.gettempdir()), type(tempfile.gettempdirb()).__name__, tempfile.gettempprefix(), os.path.dirname(folder) == tempfile.gettempdir())
        fd, path = tempfile.mkstemp(suffix=".txt", prefix="pre_", dir=".")
        name = os.path.basename(path)
        print(name.startswith("pre_"), name.endswith(".txt"), os.path.isabs(path), os.path.getsize(path), os.listdir() == [name])
        print(os.write(fd, b"data"), os.lseek(fd, 0, 0), os.read(fd, 10))
        os.close(fd)
        os.unlink(path)
        print(len({tempfile.mkdtemp(dir=folder) for _ in range(50)}), len(os.listdir()), all(os.path.isdir(name) for name in os.listdir()))
        for name in os.listdir():
            os.rmdir(name)
        fd, path = tempfile.mkstemp(dir=os.fsencode(folder), text=True)
        print(type(path).__name__)
        os.close(fd)
        os.unlink(path)
        attempt("a missing folder", tempfile.mkstemp, dir="none")
        attempt("a missing folder for a folder", tempfile.mkdtemp, dir="none")
        attempt("text and bytes", tempfile.mkstemp, prefix=b"x", suffix="y")

        with tempfile.TemporaryFile() as file:
            print(file.write(b"one\ntwo\n"), file.seek(0), file.readlines(), os.fstat(file.fileno()).st_size, os.listdir())
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="", dir=".") as file:
            print(file.write("ü\r\n"), file.seek(0), repr(file.read()), os.listdir())
        with tempfile.NamedTemporaryFile("w+", suffix=".csv", dir=".", encoding="utf-8") as file:
            file.write("a,b\n")
            file.flush()
            with open(file.name, encoding="utf-8") as again:
                print(again.read(), os.listdir() == [os.path.basename(file.name)], pathlib.Path(file.name).suffix)
            name = file.name
        print(os.path.exists(name), file.closed)
        with tempfile.NamedTemporaryFile(dir=".", delete=False) as file:
            file.write(b"stays")
        print(os.path.exists(file.name), os.path.getsize(file.name))
        os.unlink(file.name)
        with tempfile.NamedTemporaryFile(dir=".", delete_on_close=False) as file:
            file.write(b"until the end")
            file.close()
            with open(file.name, "rb") as again:
                print(again.read(), os.path.exists(file.name))
        print(os.path.exists(file.name))
        file = tempfile.NamedTemporaryFile(dir=".")
        file.write(b"dropped")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del file
            gc.collect()
        print(os.listdir())
        try:
            with tempfile.NamedTemporaryFile(dir=".") as file:
                raise KeyError("inside")
        except KeyError as error:
            print(error, os.listdir())
        with tempfile.NamedTemporaryFile(dir=".") as file:
            os.unlink(file.name)
            attempt("closed after it was unlinked", os.path.exists, file.name)
            try:
                file.close()
            except FileNotFoundError as error:
                print(type(error).__name__)

        with tempfile.SpooledTemporaryFile(max_size=10) as file:
            print(file.write(b"12345"), file._rolled, file.tell(), file.write(b"6789012"), file._rolled, file.seek(0), file.read())
            print(file.fileno() > 2, file.seek(3), file.truncate(), file.seek(0), file.read())
        with tempfile.SpooledTemporaryFile(mode="w+", encoding="utf-8") as file:
            file.write("line\nünd\n")
            print(file.seek(0), list(file), file._rolled, file.rollover(), file._rolled, file.seek(0), file.read())
        with tempfile.SpooledTemporaryFile() as file:
            print(isinstance(file, io.IOBase), file.readable(), file.writable(), file.seekable(), file.closed)

        with tempfile.TemporaryDirectory(dir=".", suffix=".d") as inner:
            os.makedirs(os.path.join(inner, "a", "b"))
            with open(os.path.join(inner, "a", "f"), "w") as file:
                file.write("x")
            os.symlink("..", os.path.join(inner, "up"))
            print(os.path.basename(inner).endswith(".d"), sorted(os.listdir(inner)))
        print(os.path.exists(inner), os.listdir())
        kept = tempfile.TemporaryDirectory(dir=".")
        kept.cleanup()
        print(os.path.exists(kept.name), kept.cleanup())
        with tempfile.TemporaryDirectory(dir=".", delete=False) as inner:
            pass
        print(os.path.isdir(inner))
        os.rmdir(inner)
        with tempfile.TemporaryDirectory(dir=".") as inner:
            os.rmdir(inner)
        print(os.listdir())
        before = tempfile.tempdir
        tempfile.tempdir = folder
        with tempfile.NamedTemporaryFile() as file:
            print(os.path.dirname(file.name) == folder, os.listdir() == [os.path.basename(file.name)])
        tempfile.tempdir = before
        print(os.listdir())
    finally:
        os.chdir(start)
print(os.path.exists(folder))
