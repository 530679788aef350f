# Positions in files: holes, past the end, truncation in both directions, appending, and later reads.
import errno
import io
import os
import tempfile


def content(path):
    with open(path, "rb") as file:
        return file.read()


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        with open("hole", "wb") as file:
            print(file.write(b"start"), file.seek(10), file.tell(), os.path.getsize("hole"))
            print(file.write(b"end"), file.tell())
        print(content("hole"))
        with open("hole", "r+b") as file:
            print(file.seek(100), file.read(), file.tell(), os.fstat(file.fileno()).st_size)
            print(file.seek(0, os.SEEK_END), file.seek(-3, os.SEEK_END), file.read(), file.seek(-2, os.SEEK_CUR), file.read(1))
            for args in [(-1,), (-100, os.SEEK_END), (-100, os.SEEK_CUR), (0, 99)]:
                try:
                    print(file.seek(*args))
                except (OSError, ValueError) as error:
                    print("seek", args, type(error).__name__)
            print(file.tell())
        with open("hole", "r+b", buffering=0) as file:
            for args in [(-1, os.SEEK_SET), (-100, os.SEEK_END), (-1, os.SEEK_CUR)]:
                try:
                    print(os.lseek(file.fileno(), *args))
                except OSError as error:
                    print("lseek", args, errno.errorcode[error.errno], file.tell())

        with open("cut", "w+b", buffering=0) as file:
            print(file.write(b"0123456789"), file.truncate(4), file.tell(), content("cut"))
            print(file.write(b"X"), content("cut"))
            print(file.truncate(3), file.truncate(6), content("cut"), file.tell())
            print(file.seek(2), file.truncate(), content("cut"), file.read())
            print(file.truncate(0), content("cut"), file.tell(), file.write(b"y"), content("cut"))
            try:
                file.truncate(-1)
            except OSError as error:
                print(errno.errorcode[error.errno], content("cut"))
        os.truncate("cut", 5)
        print(content("cut"))
        os.truncate("cut", 1)
        print(content("cut"), os.truncate("cut", 1), content("cut"))
        # After truncating and extending, the old bytes do not reappear.
        with open("old", "w+b") as file:
            file.write(b"secret" * 10)
            file.truncate(3)
            file.truncate(9)
            file.seek(0)
            print(file.read())
            file.seek(2)
            file.truncate()
            file.seek(4)
            file.write(b"!")
            file.seek(0)
            print(file.read())
        # Buffered: data that is not flushed yet counts for truncate and tell.
        with open("buffered", "w+b") as file:
            file.write(b"abcdef")
            print(os.path.getsize("buffered"), file.tell(), file.truncate(3), os.path.getsize("buffered"), file.tell())
            file.write(b"Z")
            file.flush()
            print(content("buffered"))
        with open("text", "w+", encoding="utf-8") as file:
            file.write("añb\nline two\n")
            file.seek(0)
            print(repr(file.readline()), file.tell(), repr(file.read()))
            file.seek(5)
            print(file.truncate(), os.path.getsize("text"), repr(file.read()))
            try:
                file.seek(1, os.SEEK_CUR)
            except io.UnsupportedOperation as error:
                print(error)
            print(file.seek(0, os.SEEK_END), file.write("ü"), file.tell())

        with open("log", "wb") as file:
            file.write(b"12345")
        with open("log", "ab") as file:
            print(file.tell(), file.seek(0), file.write(b"67"), file.tell())
            file.flush()
            print(file.tell(), content("log"))
        with open("log", "a+b") as file:
            print(file.tell(), file.read(), file.seek(1), file.read(2), file.write(b"8"), file.tell())
            file.seek(0)
            print(file.read(), file.truncate(2), file.write(b"end"))
        print(content("log"))
        with open("log", "ab", buffering=0) as one, open("log", "ab", buffering=0) as two:
            for i in range(3):
                one.write(b"a%d" % i)
                two.write(b"b%d" % i)
            print(one.tell(), two.tell())
        print(content("log"))
        with open("new", "a", encoding="utf-8") as file:
            print(file.tell(), file.write("x"), file.tell())
        try:
            with open("new", "a") as file:
                file.read()
        except io.UnsupportedOperation as error:
            print(error)
        # Two open files on one path, each with its own position.
        with open("both", "w+b", buffering=0) as one, open("both", "r+b", buffering=0) as two:
            one.write(b"hello world")
            print(two.read(5), one.tell(), two.tell())
            two.write(b"-")
            one.seek(0)
            print(one.read(), two.read())
            two.truncate(3)
            print(one.read(), one.tell(), one.seek(0), one.read())
            one.seek(6)
            one.write(b"!")
            two.seek(0)
            print(two.read())
        copy = os.open("both", os.O_RDONLY)
        print(os.read(copy, 2), os.lseek(copy, 0, os.SEEK_CUR), os.lseek(copy, 3, os.SEEK_END), os.read(copy, 2))
        os.close(copy)
        # A write of no bytes past the end does not extend the file.
        with open("nothing", "wb", buffering=0) as file:
            print(file.seek(10), file.write(b""), os.path.getsize("nothing"))
        with open("large", "wb") as file:
            print(file.seek(3_000_000), file.write(b"x"))
        data = content("large")
        print(len(data), data.count(0), data[-1:])
    finally:
        os.chdir(start)
