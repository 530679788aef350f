# Tools that read files by lines: fileinput (also in place), linecache, tokenize, difflib, and ways to read.
import collections
import difflib
import fileinput
import filecmp
import gzip
import itertools
import linecache
import os
import pathlib
import runpy
import tempfile
import tokenize
import traceback


def write(path, text):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        write("one", "a\nb\n")
        write("two", "c\nd")
        write("empty", "")
        write("ü", "ünï\n")
        with fileinput.input(["one", "empty", "two"], encoding="utf-8") as lines:
            for line in lines:
                print(lines.filename(), lines.lineno(), lines.filelineno(), lines.isfirstline(), line.rstrip())
        with fileinput.input("one", inplace=True, encoding="utf-8") as lines:
            for line in lines:
                print(line.rstrip().upper(), len(line))
        print(repr(read("one")), sorted(os.listdir()))
        with fileinput.input(["one", "two"], inplace=True, backup=".bak", encoding="utf-8") as lines:
            for line in lines:
                if not lines.isfirstline():
                    print("kept:", line, end="")
        print(repr(read("one")), repr(read("two")), repr(read("one.bak")), repr(read("two.bak")), sorted(os.listdir()))
        try:
            with fileinput.input("two", inplace=True, encoding="utf-8") as lines:
                for line in lines:
                    print("changed")
                    raise KeyError("in the middle")
        except KeyError as error:
            print(error, repr(read("two")), sorted(os.listdir()))
        with fileinput.input(["one.bak", "two"]) as lines:
            print(next(lines), lines.nextfile(), lines.filename())
        with fileinput.FileInput(["ü"], mode="rb") as lines:
            print(list(lines))
        try:
            list(fileinput.input(["none"]))
        except FileNotFoundError as error:
            print(error.filename)
        finally:
            fileinput.close()
        with gzip.open("z.gz", "wt", encoding="utf-8") as file:
            file.write("packed\nlines\n")
        with fileinput.input("z.gz", openhook=fileinput.hook_compressed, encoding="utf-8") as lines:
            print(list(lines))

        write("code.py", "def f():\n    return 1 / 0\n")
        print(repr(linecache.getline("code.py", 2)), repr(linecache.getline("code.py", 9)), repr(linecache.getline("none.py", 1)), len(linecache.getlines("code.py")))
        write("code.py", "# changed and longer\ndef f():\n    return 1 / 0\n")
        print(repr(linecache.getline("code.py", 1)))
        linecache.checkcache("code.py")
        print(repr(linecache.getline("code.py", 1)))
        names = runpy.run_path("code.py")
        try:
            names["f"]()
        except ZeroDivisionError as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            print(os.path.basename(frame.filename), frame.lineno, frame.line)
        linecache.clearcache()
        write("latin.py", "# -*- coding: latin-1 -*-\nx = 'abc'\n")
        with open("latin.py", "rb") as file:
            print(tokenize.detect_encoding(file.readline)[0])
        with tokenize.open("latin.py") as file:
            print(file.encoding, len(file.read()))
        with open("code.py", "rb") as file:
            print([token.string for token in tokenize.tokenize(file.readline)][:6])

        write("a.txt", "one\ntwo\nthree\n")
        write("b.txt", "one\n2\nthree\nfour\n")
        with open("a.txt") as a, open("b.txt") as b:
            print("".join(difflib.unified_diff(a.readlines(), b.readlines(), "a.txt", "b.txt")))
        print(filecmp.cmp("a.txt", "b.txt"), filecmp.cmpfiles(".", ".", ["a.txt", "none"]))

        # Common ways to read a long file.
        write("long", "".join(f"line {i} {'x' * (i % 50)}\n" for i in range(20_000)))
        with open("long") as file:
            by_line = sum(len(line) for line in file)
        with open("long") as file:
            by_chunk = sum(map(len, iter(lambda: file.read(4096), "")))
        with open("long") as file:
            by_readline = sum(map(len, iter(file.readline, "")))
        print(by_line == by_chunk == by_readline == os.path.getsize("long"), len(read("long").splitlines()))
        with open("long") as file:
            print(list(itertools.islice(file, 2)), collections.deque(file, 1), len(list(file)))
        with open("long", "rb") as file:
            file.seek(-100, os.SEEK_END)
            print(file.read().splitlines()[-1].split()[:2])
        with open("long") as file:
            offsets = [file.tell() for _ in iter(file.readline, "")]
            file.seek(offsets[9_999])
            print(len(offsets), file.readline().split()[1])
        with open("long") as file, open("short", "w") as out:
            out.writelines(line for line in file if line.startswith("line 1999"))
        print(read("short").count("\n"), len(pathlib.Path("short").read_text().split()))
        with open("short", "a") as file:
            print("printed", 1, 2, sep=";", end="|\n", file=file, flush=True)
            print(read("short")[-13:])
    finally:
        os.chdir(start)
