# Reading and writing at an offset, into buffers, and several descriptors and streams over one file.
import errno
import io
import os
import tempfile


def attempt(what, do, *args):
    try:
        print(what, "->", do(*args))
    except OSError as error:
        print(what, "->", errno.errorcode[error.errno])


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        fd = os.open("f", os.O_CREAT | os.O_RDWR)
        print(os.write(fd, b"0123456789"), os.pread(fd, 4, 2), os.pread(fd, 100, 8), os.pread(fd, 5, 10), os.pread(fd, 5, 1000), os.pread(fd, 0, 0))
        print(os.pwrite(fd, b"AB", 3), os.lseek(fd, 0, os.SEEK_CUR), os.pread(fd, 20, 0))
        print(os.pwrite(fd, b"end", 15), os.fstat(fd).st_size, os.pread(fd, 50, 8))
        print(os.pwrite(fd, b"", 100), os.fstat(fd).st_size)
        attempt("pread before the start", os.pread, fd, 1, -1)
        attempt("pwrite before the start", os.pwrite, fd, b"x", -1)
        os.lseek(fd, 0, os.SEEK_SET)
        buffers = [bytearray(3), bytearray(4), bytearray(50)]
        with open("f", "rb", buffering=0) as file:
            print(file.readinto(buffers[0]), file.readinto(buffers[1]), file.readinto(memoryview(buffers[2])[:6]), buffers[0], buffers[1], bytes(buffers[2][:8]))
            print(file.readinto(buffers[2]), file.readinto(buffers[2]), file.read(), file.read(1))
        os.close(fd)

        reading = os.open("f", os.O_RDONLY)
        writing = os.open("f", os.O_WRONLY)
        attempt("pwrite, open for reading", os.pwrite, reading, b"x", 0)
        attempt("pread, open for writing", os.pread, writing, 1, 0)
        attempt("a folder", os.pread, os.open(".", os.O_RDONLY), 1, 0)
        print(os.pwrite(writing, b"__", 0), os.read(reading, 4))
        os.close(writing)
        attempt("closed", os.pwrite, writing, b"x", 0)
        os.close(reading)

        # A stream over a descriptor, with and without closing it.
        fd = os.open("f", os.O_RDWR)
        with open(fd, "rb", closefd=False) as file:
            print(file.name == fd, file.read(2))
        print(os.lseek(fd, 0, os.SEEK_SET), os.read(fd, 2))
        with os.fdopen(fd, "r+b") as file:
            file.seek(1)
            file.write(b"#")
        attempt("closed with its stream", os.fstat, fd)
        try:
            open(fd, "rb")
        except OSError as error:
            print(errno.errorcode[error.errno])
        raw = io.FileIO("f", "r+")
        print(raw.mode, raw.readable(), raw.writable(), raw.seekable(), raw.isatty(), raw.closefd)
        stream = io.BufferedRandom(raw, buffer_size=4)
        print(stream.read(3), stream.peek(1)[:1], stream.tell(), raw.tell() >= 3, stream.write(b"mid"), stream.read(2), stream.tell())
        stream.flush()
        stream.seek(0)
        print(stream.read(), stream.read1(5))
        left = stream.detach()
        print(left is raw, raw.closed)
        raw.close()
        for do in [raw.read, raw.tell, raw.fileno, stream.close]:
            try:
                do()
            except ValueError as error:
                print(error)

        print(os.fsync(fd := os.open("f", os.O_RDWR)), os.fdatasync(fd), os.isatty(fd), os.get_inheritable(fd))
        os.close(fd)
        with open("lines", "wb", buffering=0) as file:
            print(file.writelines([b"a\n", b"b\n", memoryview(b"c\n")]))
        with open("lines", "rb") as file:
            print(file.readlines(), file.readline(), file.seek(2), file.readlines(1), list(file))
        # Many concurrent streams over the same file.
        files = [open("lines", "rb") for _ in range(30)]
        for i, file in enumerate(files):
            file.seek(i % 6)
        print([file.read(1) for file in files][:7])
        for file in files:
            file.close()
        big = os.urandom(1 << 20)
        with open("big", "wb") as file:
            for at in range(0, len(big), 77_777):
                file.write(big[at : at + 77_777])
        fd = os.open("big", os.O_RDONLY)
        print(os.pread(fd, 1000, 500_000) == big[500_000:501_000], os.pread(fd, 1 << 21, 0) == big, os.read(fd, 1 << 22) == big, os.read(fd, 1))
        os.close(fd)
    finally:
        os.chdir(start)
