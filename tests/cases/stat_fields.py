# Results of stat and os.path for files, folders and links.
import os
import pathlib
import stat
import tempfile


def write(path, data=b""):
    with open(path, "wb") as file:
        file.write(data)


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        write("empty")
        write("five", b"12345")
        write("large", bytes(1_000_000))
        os.mkdir("dir")
        os.symlink("five", "link")
        os.symlink("dir", "dirlink")
        os.symlink("nowhere", "dangling")
        for path in ["empty", "five", "large", "dir", "link", "dirlink"]:
            status = os.stat(path)
            own = os.lstat(path)
            kind = [name for name in ["S_ISDIR", "S_ISREG", "S_ISLNK", "S_ISCHR", "S_ISBLK", "S_ISFIFO", "S_ISSOCK"] if getattr(stat, name)(status.st_mode)]
            print(path, kind, stat.S_ISLNK(own.st_mode), status.st_size if kind == ["S_ISREG"] else "-", stat.filemode(status.st_mode)[0], stat.filemode(own.st_mode)[0])
        print(os.lstat("link").st_size, os.lstat("dangling").st_size, os.lstat("dirlink").st_size)
        print(stat.S_IFMT(os.stat("five").st_mode) == stat.S_IFREG, stat.S_IFMT(os.stat("dir").st_mode) == stat.S_IFDIR)

        status = os.stat("five")
        print(status.st_size, status[stat.ST_SIZE], status[stat.ST_MODE] == status.st_mode, status[stat.ST_INO] == status.st_ino, status[stat.ST_NLINK], len(status), isinstance(status, tuple))
        print(status[stat.ST_MTIME] == int(status.st_mtime), abs(status.st_mtime_ns / 1e9 - status.st_mtime) < 1e-5, type(status.st_mtime).__name__, type(status.st_mtime_ns).__name__)
        print(status == os.stat("five"), os.stat("five").st_ino == os.stat("link").st_ino, len({os.lstat(path).st_ino for path in os.listdir()}) == len(os.listdir()))
        print(len({os.stat(path).st_dev for path in ["five", "dir", "."]}), all(os.stat(path).st_ino > 0 for path in ["five", "dir"]))
        fd = os.open("five", os.O_RDONLY)
        print(os.fstat(fd) == os.stat(fd) == os.stat("five"), os.path.samestat(os.fstat(fd), os.stat("link")), os.path.sameopenfile(fd, fd))
        os.close(fd)
        fd = os.open("dir", os.O_RDONLY)
        print(stat.S_ISDIR(os.fstat(fd).st_mode), os.path.samestat(os.fstat(fd), os.stat("dirlink")))
        os.close(fd)
        with open("five", "r+b") as file:
            file.write(b"123456789")
            print(os.fstat(file.fileno()).st_size, file.flush(), os.fstat(file.fileno()).st_size, os.stat("five").st_size)
        number = os.stat("five").st_ino
        write("five", b"again")
        print(os.stat("five").st_ino == number, os.stat("five").st_size)
        os.rename("five", "moved")
        print(os.stat("moved").st_ino == number, os.path.exists("link"))
        os.rename("moved", "five")
        print(os.stat("dir/..").st_ino == os.stat(".").st_ino, os.stat("dir/.").st_ino == os.stat("dir").st_ino, os.stat("/").st_ino == os.stat("/..").st_ino)

        for path in ["five", "dir", "link", "dirlink", "dangling", "none", "five/x", "dir/", "five/"]:
            print(path, os.path.exists(path), os.path.lexists(path), os.path.isfile(path), os.path.isdir(path), os.path.islink(path), os.path.ismount(path), os.path.isjunction(path))
        print(os.access("five", os.F_OK), os.access("none", os.F_OK), os.access("dir", os.F_OK), os.access("five", os.R_OK), os.access("five", os.R_OK | os.W_OK), os.access("dir", os.R_OK | os.W_OK | os.X_OK), os.access("dangling", os.F_OK), os.access("link", os.W_OK), os.access("five/x", os.F_OK))
        print(os.path.ismount("/"), os.path.getsize("large"), os.path.getsize("empty"))
        path = pathlib.Path("five")
        print(path.stat() == os.stat("five"), pathlib.Path("link").lstat() == os.lstat("link"), path.is_file(), path.is_fifo(), path.is_socket(), path.is_block_device(), path.is_char_device(), path.is_mount())
        null = os.stat(os.devnull)
        print(stat.S_ISCHR(null.st_mode), null.st_size, pathlib.Path(os.devnull).is_char_device(), os.path.isfile(os.devnull))
        print([os.path.getsize(path) for path in sorted(os.listdir()) if os.path.isfile(path)])
        for use in [os.path.getsize, os.path.getmtime, os.stat, os.lstat]:
            try:
                use("none")
            except FileNotFoundError as error:
                print(use.__name__, error.filename)
        try:
            os.stat_result((1, 2))
        except TypeError as error:
            print(type(error).__name__)
        print(os.stat_result(range(10)).st_size, repr(os.stat_result(range(10)))[:40])
        # Sizes follow the writes, the links follow the names.
        sizes, counts = [], []
        with open("growing", "wb", buffering=0) as file:
            for i in range(5):
                file.write(b"x" * i)
                os.link("growing", f"name{i}")
                sizes.append(os.stat("growing").st_size)
                counts.append(os.fstat(file.fileno()).st_nlink)
            for name in ["growing", "name0", "name1", "name2", "name3"]:
                os.unlink(name)
                counts.append(os.fstat(file.fileno()).st_nlink)
        print(sizes, counts, os.stat("name4").st_nlink, os.stat("name4").st_size)
    finally:
        os.chdir(start)
