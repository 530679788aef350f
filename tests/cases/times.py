# Times of files: setting and reading them to the nanosecond, and operations that change them.
import os
import shutil
import tempfile
import time

DAY = 86_400


def write(path, text="text"):
    with open(path, "w") as file:
        file.write(text)


def times(path):
    status = os.stat(path)
    return status.st_atime_ns, status.st_mtime_ns


def old(path):
    """Sets both times to the distant past, so that any change is visible."""
    os.utime(path, (DAY, DAY))


def touched(path):
    return os.stat(path).st_mtime > DAY


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        before = time.time()
        write("f")
        os.mkdir("d")
        after = time.time()
        for path in ["f", "d"]:
            status = os.stat(path)
            print(path, all(before - 2 <= t <= after + 2 for t in [status.st_atime, status.st_mtime, status.st_ctime]))
        for ns in [(0, 0), (1, 2), (1_234_567_890_123_456_789, 987_654_321_987_654_321), (10**18, 10**18 + 1), (1_700_000_000_000_000_001, 1_700_000_000_999_999_999)]:
            os.utime("f", ns=ns)
            print(times("f"), times("f") == ns)
        os.utime("f", (1.5, 2.25))
        print(os.stat("f").st_atime, os.stat("f").st_mtime, os.path.getmtime("f"), os.path.getatime("f"), times("f"))
        os.utime("f", times=(10, 20))
        print(times("f"), os.path.getctime("f") > DAY)
        os.utime("d", ns=(5, 6))
        print(times("d"))
        for bad in [{"times": (1, 2), "ns": (1, 2)}, {"times": (1,)}, {"ns": ("a", 1)}, {"ns": (1,)}, {"times": 5}]:
            try:
                os.utime("f", **bad)
            except (TypeError, ValueError) as error:
                print(type(error).__name__)
        print(times("f"))
        os.utime("f")
        print(touched("f"), times("f")[0] == times("f")[1])
        with open("f", "r+") as file:
            os.utime(file.fileno(), ns=(7, 8))
            print(times("f"))
        os.symlink("f", "link")
        os.utime("link", ns=(100, 200))
        print(times("f"), os.lstat("link").st_mtime > DAY)
        os.utime("link", ns=(300, 400), follow_symlinks=False)
        print(times("f"), os.lstat("link").st_mtime_ns, os.lstat("link").st_atime_ns)
        before = os.stat("f").st_ctime_ns
        time.sleep(0.02)
        os.utime("f", ns=(1, 1))
        print(os.stat("f").st_ctime_ns > before)

        # Operations that change a file's time.
        def changes(what, do):
            write("f", "0123456789")
            old("f")
            do()
            print(what, touched("f"))

        def with_file(mode, do):
            with open("f", mode) as file:
                do(file)

        changes("nothing", lambda: None)
        changes("open for reading", lambda: with_file("rb", lambda file: file.read()))
        changes("open for appending", lambda: with_file("ab", lambda file: None))
        changes("open for both", lambda: with_file("r+b", lambda file: file.read()))
        changes("open for writing", lambda: with_file("wb", lambda file: None))
        changes("a write", lambda: with_file("r+b", lambda file: file.write(b"x")))
        changes("a write of the same", lambda: with_file("r+b", lambda file: file.write(b"0123456789")))
        changes("an append", lambda: with_file("ab", lambda file: file.write(b"x")))
        changes("shorter", lambda: os.truncate("f", 3))
        changes("longer", lambda: os.truncate("f", 30))
        changes("a second name", lambda: (os.link("f", "g"), os.unlink("g")))
        changes("renamed", lambda: (os.rename("f", "g"), os.rename("g", "f")))
        changes("stat", lambda: (os.stat("f"), os.listdir(), os.access("f", os.R_OK)))
        changes("a seek", lambda: with_file("r+b", lambda file: file.seek(100)))

        # Operations that change a folder's time.
        def changes_folder(what, do):
            shutil.rmtree("d", ignore_errors=True)
            os.makedirs("d/sub")
            write("d/f")
            write("d/sub/f")
            old("d")
            do()
            print("folder:", what, touched("d"))

        changes_folder("nothing", lambda: None)
        changes_folder("a new file", lambda: write("d/new"))
        changes_folder("a changed file", lambda: write("d/f", "changed"))
        changes_folder("a removed file", lambda: os.unlink("d/f"))
        changes_folder("a renamed file", lambda: os.rename("d/f", "d/g"))
        changes_folder("a file moved out", lambda: os.rename("d/f", "moved"))
        changes_folder("a file moved in", lambda: os.rename("moved", "d/moved"))
        changes_folder("a new folder", lambda: os.mkdir("d/new"))
        changes_folder("a removed folder", lambda: shutil.rmtree("d/sub"))
        changes_folder("a change deeper", lambda: write("d/sub/new"))
        changes_folder("a link", lambda: os.symlink("x", "d/link"))
        changes_folder("a listing", lambda: os.listdir("d"))

        # Order.
        for i, name in enumerate(["third", "first", "second"]):
            write(name)
            os.utime(name, (1000 + i, 2000 - i))
        print(sorted(["first", "second", "third"], key=os.path.getmtime), sorted(["first", "second", "third"], key=os.path.getatime))
        write("early")
        time.sleep(0.05)
        write("late")
        print(os.path.getmtime("early") < os.path.getmtime("late"), os.stat("early").st_mtime_ns < os.stat("late").st_mtime_ns)
        shutil.copy("first", "copy")
        shutil.copy2("first", "copy2")
        print(touched("copy"), os.stat("copy2").st_mtime_ns == os.stat("first").st_mtime_ns)
        shutil.copystat("second", "copy")
        print(os.stat("copy").st_mtime)
        print(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(os.path.getmtime("copy"))))
    finally:
        os.chdir(start)
