# open(): modes, newlines, buffering, encodings, byte order marks, and unsupported operations.
import codecs
import io
import os
import tempfile


def content(path="f"):
    with open(path, "rb") as file:
        return file.read()


def put(data, path="f"):
    with open(path, "wb") as file:
        file.write(data)


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
    except (OSError, ValueError, TypeError, LookupError) as error:
        print(what, "->", type(error).__name__)
    else:
        print(what, "->", result)


def closing(*args, **options):
    with open(*args, **options) as file:
        return type(file).__name__, file.mode


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        for mode in ["r", "w", "a", "x", "r+", "w+", "a+", "x+", "rb", "wb", "ab", "xb", "r+b", "w+b", "a+b", "x+b", "rt", "br", "wt+"]:
            put(b"12345")
            if "x" in mode:
                os.unlink("f")
            with open("f", mode) as file:
                print(mode, type(file).__name__, file.mode.replace("w", "r") if "+b" in mode else file.mode, file.readable(), file.writable(), file.seekable(), file.tell(), os.path.getsize("f"))
        for mode in ["", "q", "rw", "rr", "wa", "r+w", "tb", "U", "+", "b", "rbt", "wx"]:
            attempt(f"mode {mode!r}", closing, "f", mode)
        attempt("x, is there", closing, "f", "x")
        attempt("r, is not there", closing, "none", "r")
        attempt("r+, is not there", closing, "none", "r+")
        attempt("binary with an encoding", closing, "f", "rb", encoding="utf-8")
        attempt("binary with newline", closing, "f", "rb", newline="")
        attempt("bad newline", closing, "f", newline="x")
        attempt("unbuffered text", closing, "f", "w", 0)
        attempt("unbuffered bytes", closing, "f", "wb", 0)
        attempt("unbuffered reading", closing, "f", "rb", buffering=0)
        attempt("unknown encoding", closing, "f", encoding="no-such-code")
        attempt("opener", closing, "f", opener=lambda path, flags: os.open("f", flags))

        # Newlines.
        for newline in [None, "", "\n", "\r", "\r\n"]:
            with open("f", "w", newline=newline, encoding="utf-8") as file:
                print(repr(newline), file.write("a\nb\r\nc\rd"), end=" ")
            print(content(), end=" ")
            put(b"a\nb\r\nc\rd\r")
            with open("f", newline=newline, encoding="utf-8") as file:
                print(file.readlines(), file.newlines)
        put(b"one\r\n" * 3000 + b"\r")
        with open("f") as file:
            text = file.read()
            print(len(text), text.count("\n"), file.newlines)
        with open("f", newline="") as file:
            print(sum(1 for line in file if line.endswith("\r\n")))

        # Buffering.
        with open("f", "wb") as file:
            file.write(b"abc")
            print(content(), file.flush(), content())
        print(content())
        with open("f", "w", buffering=1) as file:
            file.write("part")
            print(content(), file.line_buffering)
            file.write(" of a line\nnext")
            print(content())
        with open("f", "wb", buffering=4) as file:
            sizes = []
            for i in range(6):
                file.write(b"xy")
                sizes.append(os.path.getsize("f") <= 2 * i + 2)
            print(all(sizes), file.write(b"z" * 100), os.path.getsize("f") > 90)
        with open("f", "w") as file:
            file.reconfigure(line_buffering=True, newline="\r\n")
            file.write("é\n")
            print(content())
        with open("f", "wb", 0) as file:
            print(file.write(b"now"), content(), file.write(bytearray(b"!")), file.write(memoryview(b"?")))

        def open_and(path, mode, data):
            with open(path, mode) as file:
                return file.write(data)

        attempt("text to a binary file", open_and, "f", "wb", "text")
        attempt("bytes to a text file", open_and, "f", "w", b"bytes")
        attempt("write what cannot be encoded", open_and, "f", "w", "\ud800")

        # r+, w+ and a+.
        put(b"hello world\n")
        with open("f", "r+") as file:
            print(file.read(5), file.tell())
            file.seek(0)
            file.write("HE")
            file.seek(0)
            print(file.read())
            file.write("more")
        print(content())
        with open("f", "w+") as file:
            print(repr(file.read()), file.write("xyz"), file.seek(1), file.read())
        with open("f", "a+") as file:
            print(repr(file.read()), file.write("!"), file.seek(0), file.read())
        with open("g", "x+b") as file:
            print(file.write(b"\0\xff\r\n"), file.seek(0), file.read())

        # Encodings.
        text = "aé€😀\n"
        for encoding in ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "latin-1", "cp1252", "cp437", "koi8-r", "shift_jis", "gb18030", "ascii"]:
            try:
                with open("f", "w", encoding=encoding, newline="") as file:
                    file.write(text)
            except UnicodeEncodeError as error:
                print(encoding, error.reason, content())
                continue
            with open("f", encoding=encoding, newline="") as file:
                print(encoding, content().hex(), file.read() == text)
        for errors in ["strict", "ignore", "replace", "backslashreplace", "xmlcharrefreplace", "namereplace", "surrogateescape"]:
            with open("f", "w", encoding="ascii", errors=errors) as file:
                attempt(errors, file.write, "aé€\n")
            data = content()
            put(b"a\xe9\xff\n")
            with open("f", encoding="utf-8", errors=errors) as file:
                try:
                    print(data, ascii(file.read()))
                except (UnicodeDecodeError, TypeError) as error:
                    print(data, type(error).__name__)
        put(codecs.BOM_UTF8 + "ü\n".encode())
        for encoding in ["utf-8", "utf-8-sig", "latin-1"]:
            with open("f", encoding=encoding) as file:
                print(encoding, ascii(file.read()))
        with open("f", "a", encoding="utf-8-sig") as file:
            file.write("end")
        print(content())
        put(codecs.BOM_UTF16_BE + "big".encode("utf-16-be"))
        with open("f", encoding="utf-16") as file:
            print(file.read(1), file.tell(), file.read(), file.seek(0), file.read())
        with open("f", "w", encoding="utf-16") as file:
            file.write("a")
        with open("f", "a", encoding="utf-16") as file:
            file.write("b")
        print(content() == "ab".encode("utf-16"))
        with open("f") as file:
            print(file.encoding, file.errors)

        # Streams: telling and seeking in text, iterating, closing.
        put("ééé\nzwölf\nlast".encode())
        with open("f", encoding="utf-8") as file:
            print(file.readline(), end="")
            place = file.tell()
            print(file.read(2), file.readline().strip(), file.seek(place), file.readline().strip(), file.read(), repr(file.read()))
        with open("f", encoding="utf-8") as file:
            next(file)
            attempt("tell while iterating", file.tell)
            print(list(file), file.tell())
        with open("f", encoding="utf-8") as file:
            print(file.readlines(5), file.read(0) == "", file.buffer.raw.name, file.name)
        for do in [file.read, file.write, file.seek, file.tell, file.flush, file.readable, file.fileno, file.__iter__, file.__enter__]:
            try:
                do(*([""] if do.__name__ == "write" else [0] if do.__name__ == "seek" else []))
            except ValueError as error:
                print(do.__name__, error)
        print(file.closed, file.close())
        with open("f", "rb") as file:
            print(file.peek()[:3], file.read1(2), file.readinto(bytearray(4)), file.readline(), file.raw.closed)
        file = open("f", encoding="utf-8")
        raw = file.detach()
        attempt("detached", file.read)
        print(raw.read(2), raw.close(), raw.closed)
        put(b"mixed")
        with open("f", "rb") as file, io.TextIOWrapper(io.BufferedReader(file.raw), encoding="ascii") as text:
            print(text.read())
        with open(os.devnull, "r+b", buffering=0) as file:
            print(file.write(b"gone"), file.read())
    finally:
        os.chdir(start)
