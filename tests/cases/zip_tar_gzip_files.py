# Archives and compressed files on disk: zip, tar, gzip, bz2 and lzma, appending, damage and path traversal.
import bz2
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import tempfile
import zipfile
import zlib


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
    except (OSError, KeyError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        print(what, "->", type(error).__name__)
    else:
        print(what, "->", "done" if result is None else result)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


DATA = b"".join(hashlib.sha256(str(i).encode()).digest() * 3 for i in range(3000))
start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        os.makedirs("src/sub")
        os.mkdir("src/empty")
        write("src/a.txt", b"text a\n")
        write("src/sub/big.bin", DATA)
        write("src/sub/ünï.txt", "ü".encode())
        for path in ["src/a.txt", "src/sub/big.bin", "src/sub/ünï.txt"]:
            os.utime(path, (1_000_000_000, 1_000_000_000))

        # zip
        for name, method in [("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED), ("bzip2", zipfile.ZIP_BZIP2), ("lzma", zipfile.ZIP_LZMA)]:
            with zipfile.ZipFile(f"{name}.zip", "w", method) as archive:
                archive.write("src/a.txt", "a.txt")
                archive.write("src/sub/big.bin")
                archive.writestr("made/here.txt", "made ☃")
                archive.writestr(zipfile.ZipInfo("dated", (2020, 2, 29, 12, 30, 58)), b"x")
                archive.mkdir("folder")
            with zipfile.ZipFile(f"{name}.zip") as archive:
                print(name, archive.namelist(), archive.testzip(), archive.read("src/sub/big.bin") == DATA, archive.getinfo("src/sub/big.bin").compress_size < len(DATA))
                info = archive.getinfo("a.txt")
                print(info.file_size, hex(info.CRC), info.is_dir(), archive.getinfo("folder/").is_dir(), archive.getinfo("dated").date_time)
                with archive.open("made/here.txt") as member:
                    print(member.read(4), member.seek(0), io.TextIOWrapper(member, encoding="utf-8").read())
                archive.extractall(f"out_{name}")
                print(read(f"out_{name}/src/sub/big.bin") == DATA, sorted(os.listdir(f"out_{name}")))
        with zipfile.ZipFile("deflated.zip", "a") as archive:
            archive.writestr("added.txt", "added", compresslevel=9)
        with zipfile.ZipFile("deflated.zip") as archive:
            print(len(archive.namelist()), archive.read("added.txt"), archive.extract("added.txt", "one") == os.path.join("one", "added.txt"))
            attempt("no such member", archive.read, "none")
        attempt("exclusive", zipfile.ZipFile, "deflated.zip", "x")
        print(zipfile.is_zipfile("deflated.zip"), zipfile.is_zipfile("src/a.txt"), zipfile.is_zipfile("none"))
        attempt("not a zip", zipfile.ZipFile, "src/a.txt")
        attempt("no file", zipfile.ZipFile, "none.zip")
        with zipfile.ZipFile("escape.zip", "w") as archive:
            archive.writestr("../../outside.txt", "x")
            archive.writestr("/absolute.txt", "x")
        with zipfile.ZipFile("escape.zip") as archive:
            archive.extractall("jail")
        print(sorted(os.listdir("jail")), os.path.exists("outside.txt"))
        damaged = bytearray(read("stored.zip"))
        damaged[damaged.index(b"text a")] ^= 1
        write("damaged.zip", damaged)
        with zipfile.ZipFile("damaged.zip") as archive:
            attempt("damaged", archive.read, "a.txt")
            print(archive.testzip())
        write("cut.zip", read("stored.zip")[:-30])
        attempt("cut", zipfile.ZipFile, "cut.zip")
        root = zipfile.Path("deflated.zip")
        print(sorted(path.name for path in root.iterdir()), (root / "made" / "here.txt").read_text(encoding="utf-8"), (root / "none").exists())
        with zipfile.ZipFile("stream.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("big", "w") as member:
            for at in range(0, len(DATA), 10_000):
                member.write(DATA[at : at + 10_000])
        with zipfile.ZipFile("stream.zip") as archive, archive.open("big") as member:
            print(member.seek(100_000), member.read(10) == DATA[100_000:100_010], sum(len(chunk) for chunk in iter(lambda: member.read(7777), b"")))

        # tar
        os.symlink("a.txt", "src/link")
        os.link("src/a.txt", "src/zz_hard")
        for mode in ["", "gz", "bz2", "xz"]:
            name = f"t.tar.{mode}"
            with tarfile.open(name, f"w:{mode}") as archive:
                archive.add("src", "top")
                info = tarfile.TarInfo("made.txt")
                info.size = 4
                archive.addfile(info, io.BytesIO(b"made"))
            with tarfile.open(name) as archive:
                print(mode, sorted(archive.getnames()), archive.getmember("top/link").issym(), archive.getmember("top/empty").isdir(), archive.getmember("top/a.txt").mtime)
                print(archive.extractfile("top/sub/big.bin").read() == DATA, archive.extractfile("top/link").read(), {archive.getmember(f"top/{hard}").islnk() for hard in ("a.txt", "zz_hard")})
                archive.extractall(f"untar{mode}", filter="data")
            print(sorted(os.listdir(f"untar{mode}/top")), os.readlink(f"untar{mode}/top/link"), read(f"untar{mode}/top/zz_hard"), os.stat(f"untar{mode}/top/a.txt").st_nlink, os.path.getmtime(f"untar{mode}/top/a.txt"))
        with tarfile.open("t.tar.", "a") as archive:
            archive.add("src/a.txt", "appended")
        with tarfile.open("t.tar.") as archive:
            print(archive.getnames()[-1], tarfile.is_tarfile("t.tar.gz"), tarfile.is_tarfile("src/a.txt"))
        with tarfile.open("stream.tar.gz", "w|gz") as archive:
            archive.add("src/sub", "s")
        with tarfile.open("stream.tar.gz", "r|gz") as archive:
            print(sorted((member.name, member.size) for member in archive if member.isfile()))
        for name, target in [("../out", None), ("/abs", None), ("link", "../../etc"), ("link2", "/etc/passwd")]:
            with tarfile.open("bad.tar", "w") as archive:
                info = tarfile.TarInfo(name)
                if target:
                    info.type, info.linkname = tarfile.SYMTYPE, target
                archive.addfile(info)
            with tarfile.open("bad.tar") as archive:
                attempt(f"extract {name}", archive.extractall, "jail2", filter="data")
        attempt("not a tar", tarfile.open, "src/a.txt")
        write("cut.tar.gz", read("t.tar.gz")[:5000])
        attempt("a cut tar", lambda: tarfile.open("cut.tar.gz").extractall("x", filter="data"))

        # gzip, bz2, lzma
        for module, suffix in [(gzip, "gz"), (bz2, "bz2"), (lzma, "xz")]:
            name = f"f.{suffix}"
            with module.open(name, "wb") as file:
                print(suffix, file.write(DATA), file.write(b"end"), file.tell())
            with module.open(name) as file:
                print(file.read(10) == DATA[:10], file.seek(len(DATA)), file.read(), file.seek(5), file.read(3) == DATA[5:8], os.path.getsize(name) < len(DATA))
            with module.open(name, "at", encoding="utf-8") as file:
                file.write("äppended\nline\n")
            with module.open(name, "rt", encoding="latin-1") as file:
                print(len(file.read()))
            with module.open(name, "rb") as file:
                print(sum(1 for _ in file) > 0, file.closed)
            write(f"cut.{suffix}", read(name)[:2000])
            attempt("cut", lambda: module.open(f"cut.{suffix}").read())
            attempt("not one", lambda: module.open("src/a.txt").read())
            attempt("no file", module.open, f"none.{suffix}")
            attempt("exclusive", module.open, name, "xb")
        with gzip.GzipFile("mtime.gz", "wb", mtime=0) as file:
            file.write(b"x")
        print(read("mtime.gz")[4:8], gzip.decompress(read("mtime.gz")))
    finally:
        os.chdir(start)
