# glob and fnmatch: patterns, hidden files, recursion, links, and escaping.
import fnmatch
import glob
import os
import tempfile

start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        for path in ["a.txt", "b.txt", "B.TXT", "c.py", ".hidden", "dir/d.txt", "dir/.h.txt", "dir/sub/e.txt", "dir/sub/f.py", ".dot/g.txt", "odd[1].txt", "odd1.txt", "star*.txt", "q?.txt", "sp ace.txt", "ümlaut.txt", "empty/"]:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            if not path.endswith("/"):
                with open(path, "w") as file:
                    file.write(path)
        os.symlink("dir", "dirlink")
        os.symlink("nowhere.txt", "dangling.txt")
        os.symlink("a.txt", "link.txt")
        for pattern in ["*", "*.txt", "?.txt", "[ab].*", "[!ab].*", "[a-c]*", "*[0-9]*", "dir/*", "dir/*/*", "*/*.txt", "*/", "dir/", "dir", "none", "none*", ".*", "./*.py", "dir/../*.py", "dirlink/*", "a.txt", "a.txt/", "a.txt/*", "odd[[]1].txt", "odd[1].txt", "star[*].txt", "q[?].txt", "sp *", "ü*", "**", "**/*.txt", ""]:
            print(repr(pattern), sorted(glob.glob(pattern)))
        for pattern in ["**", "**/", "**/*.txt", "dir/**", "dir/**/*.py", "**/sub", "**/sub/*", "**/.*", "dir/**/**/e.txt"]:
            print("recursive", repr(pattern), sorted(glob.glob(pattern, recursive=True)))
        print(sorted(glob.glob("*.txt", root_dir="dir")), sorted(glob.glob("**/*.txt", root_dir="dir", recursive=True)), glob.glob("*", root_dir="none"))
        print(sorted(glob.glob("*", include_hidden=True)), sorted(glob.glob("**/*.txt", recursive=True, include_hidden=True)))
        print(sorted(glob.glob(b"*.py")), sorted(os.path.relpath(path) for path in glob.glob(os.path.join(os.getcwd(), "*.py"))))
        for name in ["odd[1].txt", "star*.txt", "q?.txt"]:
            print(glob.escape(name), glob.glob(glob.escape(name)))
        found = glob.iglob("*.txt")
        print(iter(found) is found, len(list(found)), list(found))
        print(glob.has_magic("a*"), glob.has_magic("a"))
        # Files that are created and removed while globbing.
        for i in range(30):
            with open(f"n{i}.tmp", "w"):
                pass
        seen = []
        for path in glob.iglob("n*.tmp"):
            seen.append(path)
            os.unlink(path)
        print(len(seen), glob.glob("n*.tmp"))

        names = ["a.txt", "B.TXT", "c", "", "x\ny", "a/b", ".h", "[z]", "a]", "é"]
        for pattern in ["*", "?", "*.txt", "[a-c]*", "[!a-c]*", "[]]", "[]a]*", "[[]z]", "[", "a[", "*[.]*", "a?b", "**", "[a-", "[b-a]", "\\*", "x*y", "[^a]*"]:
            print(repr(pattern), [name for name in names if fnmatch.fnmatchcase(name, pattern)])
        print(fnmatch.filter(names, "*[a-z]*"), fnmatch.fnmatch("A.txt", "a.TXT"), fnmatch.fnmatchcase(b"ab", b"a*"))
        try:
            fnmatch.fnmatch("a", b"a")
        except TypeError as error:
            print(type(error).__name__)
    finally:
        os.chdir(start)
