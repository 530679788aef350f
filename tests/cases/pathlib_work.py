# pathlib on files: reading, writing, globbing, walking, renaming, linking, and the errors.
import errno
import os
import tempfile
from pathlib import Path, PurePosixPath


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
    except OSError as error:
        print(what, "->", type(error).__name__, errno.errorcode.get(error.errno))
    except (ValueError, TypeError, NotImplementedError) as error:
        print(what, "->", type(error).__name__)
    else:
        print(what, "->", "done" if result is None else result)


def names(paths):
    return sorted(path.as_posix() for path in paths)


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        top = Path("top")
        attempt("mkdir, parents missing", (top / "a" / "b").mkdir)
        attempt("mkdir, parents", (top / "a" / "b").mkdir, parents=True)
        attempt("mkdir again", (top / "a").mkdir)
        attempt("mkdir exist_ok", (top / "a").mkdir, exist_ok=True, parents=True)
        file = top / "one.txt"
        print(file.write_text("line 1\nlïne 2\n", encoding="utf-8"), file.read_text(encoding="utf-8").splitlines(), file.read_bytes(), file.stat().st_size)
        print(file.write_text("a\nb", encoding="utf-8", newline="\r\n"), file.read_bytes(), file.write_bytes(b"\0\1\2"), file.read_bytes())
        attempt("mkdir over a file", file.mkdir, exist_ok=True)
        attempt("read what is missing", Path("none").read_text)
        attempt("read a folder", top.read_bytes)
        attempt("write a folder", top.write_text, "x")
        attempt("write text with bytes", file.write_text, b"x")
        attempt("touch", (top / "touched").touch)
        attempt("touch again", (top / "touched").touch)
        attempt("touch, exist_ok=False", (top / "touched").touch, exist_ok=False)
        attempt("touch a folder", top.touch)
        attempt("touch below a missing one", (top / "none" / "x").touch)
        os.utime(top / "touched", (1, 1))
        (top / "touched").touch()
        print((top / "touched").stat().st_mtime > 1)
        for name in ["a/x.txt", "a/y.py", "a/b/z.txt", "a/b/.hidden.txt", "UP.TXT", "[odd].txt"]:
            (top / name).write_text(name)
        (top / "link").symlink_to("a/x.txt")
        (top / "dirlink").symlink_to("a", target_is_directory=True)
        (top / "dangling").symlink_to("nowhere")

        for pattern in ["*", "*.txt", "a/*", "*/*.txt", "**/*.txt", "**/*.py", "?ne.txt", "[a-o]*", "[!a-o]*", "[[]odd].txt", "*.none", "one.txt", "a/b/z.txt", "**/b", ".*", "a/../one.txt", "*/"]:
            print(pattern, names(top.glob(pattern)))
        for pattern in ["*.txt", "*", "b/*", "x.*", "none"]:
            print("rglob", pattern, names(top.rglob(pattern)))
        print(names(top.glob("up.txt", case_sensitive=False)), names(top.glob("*.TXT", case_sensitive=True)))
        attempt("an empty pattern", lambda: list(top.glob("")))
        attempt("an absolute pattern", lambda: list(top.glob("/x")))
        print(list(Path("none").glob("*")), list((top / "one.txt").glob("*")), names(top.iterdir()))
        attempt("iterate a file", lambda: list(file.iterdir()))
        attempt("iterate a missing folder", lambda: list(Path("none").iterdir()))

        for path, folders, files in sorted(top.walk()):
            print(path.as_posix(), sorted(folders), sorted(files))
        print([path.as_posix() for path, folders, files in top.walk(top_down=False)][-1], names(path for path, _, _ in top.walk(follow_symlinks=True)))
        print(list(Path("none").walk()))

        for name in ["one.txt", "a", "link", "dirlink", "dangling", "none", "one.txt/x"]:
            path = top / name
            print(name, path.exists(), path.is_file(), path.is_dir(), path.is_symlink(), path.exists(follow_symlinks=False))
        print((top / "link").readlink(), (top / "link").read_text(), (top / "dirlink" / "y.py").read_text(), (top / "dirlink").resolve() == (top / "a").resolve())
        print((top / "link").samefile(top / "a" / "x.txt"), (top / "link").lstat().st_size, (top / "link").stat().st_size)
        attempt("readlink of a file", file.readlink)
        attempt("resolve what is missing", lambda: Path("none/x").resolve().relative_to(Path(folder).resolve()).as_posix())
        attempt("resolve it, strict", Path("none/x").resolve, strict=True)
        attempt("a link over a file", file.symlink_to, "x")
        (top / "hard").hardlink_to(top / "one.txt")
        print((top / "hard").stat().st_nlink, (top / "hard").samefile(file))
        attempt("a hard link over a file", (top / "hard").hardlink_to, file)
        attempt("a hard link to nothing", (top / "h").hardlink_to, "none")

        print((top / "touched").rename(top / "renamed").as_posix(), (top / "touched").exists())
        print((top / "renamed").replace(top / "hard").as_posix(), (top / "hard").read_bytes(), file.stat().st_nlink)
        attempt("rename a missing one", (top / "none").rename, "x")
        attempt("rename over a full folder", (top / "one.txt").rename, top / "a")
        print((top / "a").rename(top / "moved").as_posix(), (top / "link").exists(), names((top / "moved").iterdir()))
        attempt("unlink", (top / "hard").unlink)
        attempt("unlink again", (top / "hard").unlink)
        attempt("unlink, missing_ok", (top / "hard").unlink, missing_ok=True)
        attempt("unlink below a file, missing_ok", (file / "x").unlink, missing_ok=True)
        attempt("rmdir a full one", top.rmdir)
        attempt("rmdir a file", file.rmdir)
        attempt("rmdir a missing one", Path("none").rmdir)

        print(Path("top/a/../b").as_posix(), Path("top", "", "x", ".").as_posix(), Path("/a", "/b").as_posix(), Path("a//b/./c/").parts)
        print(Path("top/one.txt").relative_to("top").as_posix(), Path("top/x").relative_to("other/y", walk_up=True).as_posix(), Path("a/b").is_relative_to("a"))
        attempt("not below", Path("a").relative_to, "b")
        path = Path("dir/archive.tar.gz")
        print(path.name, path.stem, path.suffix, path.suffixes, path.with_suffix(".zip").name, path.with_stem("x").name, path.with_name("y").as_posix(), path.parent.as_posix(), [p.as_posix() for p in path.parents], path.with_suffix("").name)
        attempt("an empty name", path.with_name, "")
        attempt("a bad suffix", path.with_suffix, "zip")
        print(path.match("*.gz"), path.match("dir/*"), path.match("other/*"), Path("/a/b").is_absolute(), path.absolute() == Path.cwd() / path, Path("x").joinpath("y", "z").as_posix())
        print(sorted([Path("b"), Path("a/c"), Path("a")]) == [Path("a"), Path("a/c"), Path("b")], {Path("x"): 1}[Path("./x")], Path("x") == PurePosixPath("x"), os.fspath(Path("x/y")), bytes(Path("é")), repr(PurePosixPath("a/b")))
        with (top / "opened").open("w", encoding="utf-8") as stream:
            print(stream.write("text"), stream.name if isinstance(stream.name, str) else stream.name.as_posix())
        print((top / "opened").read_text())
        print(Path("~").expanduser() == Path(os.path.expanduser("~")), Path("~none/x").parts, Path.home().is_absolute(), Path(".").resolve() == Path.cwd().resolve())
        for path, folders, files in top.walk(top_down=False):
            for name in files:
                (path / name).unlink()
            for name in folders:
                (path / name).unlink() if (path / name).is_symlink() else (path / name).rmdir()
        top.rmdir()
        print(os.listdir())
    finally:
        os.chdir(start)
