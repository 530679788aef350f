# In-memory streams and file modes: newlines, buffering, iteration, print options and stdin at its end.
import io
import os
import sys

stream = io.StringIO("one\ntwo\nthree")
print(stream.readline(), stream.read(2), stream.readlines(), stream.tell(), sep="|")
stream.seek(0, io.SEEK_END)
stream.write("!")
print(stream.getvalue()[-6:])
raw = io.BytesIO()
with io.TextIOWrapper(raw, encoding="utf-8", newline="\r\n") as text:
    text.write("é\nb\n")
    text.flush()
    print(raw.getvalue())
print(io.StringIO("a\r\nb\rc", newline=None).read().split("\n"), list(io.BytesIO(b"x\ny")))
name = "case_text_streams.txt"
with open(name, "w", encoding="utf-8", newline="") as file:
    file.write("a\r\nb\n")
try:
    with open(name, encoding="utf-8") as file:
        print(repr(file.read()))
    with open(name, "rb") as file:
        print(file.read())
    with open(name, encoding="ascii", errors="strict") as file:
        print(next(file), file.readable(), file.writable(), sep="|")
    try:
        open(name, "q")
    except ValueError as error:
        print(type(error).__name__)
    try:
        with open(name) as file:
            file.write("x")
    except io.UnsupportedOperation as error:
        print(type(error).__name__)
finally:
    os.remove(name)
print("a", "b", sep="-", end=";\n")
print("to stderr", file=sys.stderr)
sys.stdout.write("written\n")
sys.stdout.flush()
print(*range(3), sep="\n")
