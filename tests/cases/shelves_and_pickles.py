# Objects stored in files: pickle, shelve over dbm.dumb, json, configparser and marshal.
import configparser
import datetime
import dbm.dumb
import decimal
import io
import json
import marshal
import os
import pickle
import plistlib
import shelve
import sys
import tempfile
import tomllib


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)


class Kept:
    def __init__(self):
        self.path, self.file = "kept.txt", open("kept.txt", "w+")

    def __getstate__(self):
        return {"path": self.path, "at": self.file.tell()}

    def __setstate__(self, state):
        self.path, self.file = state["path"], open(state["path"], "r+")
        self.file.seek(state["at"])


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
    except Exception as error:
        print(what, "->", type(error).__name__)
    else:
        print(what, "->", "done" if result is None else result)


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        loop = [1, "zwei", b"\0", None, 1.5, 2**100, {"k": (1, 2)}, {1, 2}, datetime.date(2024, 2, 29), decimal.Decimal("1.10"), Point(1, 2), range(3)]
        loop.append(loop)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with open("p", "wb") as file:
                pickle.dump(loop, file, protocol)
                pickle.dump("second", file, protocol)
            with open("p", "rb") as file:
                got = pickle.load(file)
                print(protocol, got[:-1] == loop[:-1], got[-1] is got, pickle.load(file))
                attempt("at the end", pickle.load, file)
        kept = Kept()
        kept.file.write("one two three")
        kept.file.seek(4)
        with open("p", "wb") as file:
            pickle.dump(kept, file)
        kept.file.close()
        with open("p", "rb") as file:
            again = pickle.load(file)
        print(again.file.read(), again.file.close())
        big = bytes(range(256)) * 5000
        with open("p", "wb") as file:
            pickler = pickle.Pickler(file, 5)
            pickler.dump([big, big])
        with open("p", "rb") as file:
            got = pickle.Unpickler(file).load()
        print(got == [big, big], got[0] is got[1], os.path.getsize("p") < 2 * len(big))
        with open("p", "r+b") as file:
            file.truncate(1000)
        with open("p", "rb") as file:
            attempt("cut", pickle.load, file)
        with open("p", "wb") as file:
            attempt("a function without a name", pickle.dump, lambda: 1, file)
            attempt("an open file", pickle.dump, file, io.BytesIO())
        with open("p", "rb") as file:
            attempt("an empty file", pickle.load, file)

        for flag in "rwcn":
            attempt(f"dbm.dumb {flag}", lambda: dbm.dumb.open("d", flag).close())
        with dbm.dumb.open("d", "c") as db:
            db["a"] = "one"
            db[b"b"] = b"\0\xff" * 300
            db["ü"] = "ümlaut"
            db["a"] = "longer than before" * 40
            del db["ü"]
            print(sorted(db.keys()), len(db), db["a"][:6], b"b" in db, db.get("none"), db.setdefault("c", b"3"))
        with dbm.dumb.open("d", "r") as db:
            print(sorted(db), len(db[b"b"]))
            attempt("write, read only", db.__setitem__, "x", "y")
            attempt("no such key", db.__getitem__, "x")
        attempt("closed", db.keys)
        print(sorted(name for name in os.listdir() if name.startswith("d.")), dbm.whichdb("d"), dbm.whichdb("none"), dbm.whichdb("p"))

        for writeback in [False, True]:
            with shelve.Shelf(dbm.dumb.open("s", "n"), writeback=writeback) as shelf:
                shelf["list"] = [1]
                shelf["list"].append(2)
                shelf["point"] = Point(3, 4)
                shelf["date"] = datetime.datetime(2024, 1, 2, 3, 4, 5)
                del shelf["date"]
                print(len(shelf), sorted(shelf), shelf["list"], "none" in shelf)
            with shelve.Shelf(dbm.dumb.open("s", "r")) as shelf:
                print(shelf["list"], shelf["point"] == Point(3, 4), dict(shelf.items())["list"])
            attempt("closed", lambda: shelf["list"])

        data = {"text": "ünï ☃ \U0001f600", "numbers": [1, -2.5, 1e300, None, True], "nested": {"a": {"b": []}}}
        with open("j.json", "w", encoding="utf-8") as file:
            json.dump(data, file, ensure_ascii=False, indent=2, sort_keys=True)
        with open("j.json", encoding="utf-8") as file:
            print(json.load(file) == data, os.path.getsize("j.json"))
        with open("l.jsonl", "w", encoding="utf-8") as file:
            for i in range(3):
                file.write(json.dumps({"i": i}) + "\n")
        with open("l.jsonl", encoding="utf-8") as file:
            print([json.loads(line)["i"] for line in file])
        with open("j.json", "w", encoding="utf-8-sig") as file:
            json.dump([1], file)
        with open("j.json", encoding="utf-8") as file:
            attempt("a byte order mark", json.load, file)
        with open("j.json", "rb") as file:
            print(json.loads(file.read()))

        settings = configparser.ConfigParser()
        settings["DEFAULT"] = {"base": "/data", "level": "1"}
        settings["one"] = {"path": "%(base)s/x", "list": "a\nb\nc", "on": "yes"}
        with open("c.ini", "w", encoding="utf-8") as file:
            settings.write(file)
        again = configparser.ConfigParser()
        print([os.path.basename(name) for name in again.read(["none.ini", "c.ini"], encoding="utf-8")], again["one"]["path"], again.getboolean("one", "on"), again.getint("one", "level"), again["one"]["list"].split(), again.get("one", "none", fallback="-"))
        with open("c.toml", "w", encoding="utf-8") as file:
            file.write('title = "ü"\n[a.b]\nwhen = 2024-02-29T12:00:00Z\nlist = [1, 2.5, "x"]\n[[t]]\nn = 1\n[[t]]\nn = 2\n')
        with open("c.toml", "rb") as file:
            print(tomllib.load(file))
        with open("c.plist", "wb") as file:
            plistlib.dump({"a": [1, 2.5, b"x", True], "d": datetime.datetime(2024, 1, 1)}, file, fmt=plistlib.FMT_BINARY)
        with open("c.plist", "rb") as file:
            print(plistlib.load(file))
        with open("m", "wb") as file:
            marshal.dump([1, "x", (2.5, None)], file)
        with open("m", "rb") as file:
            print(marshal.load(file))
        with open("mod_case.py", "w") as file:
            file.write("VALUE = 6 * 7\n")
        sys.path.insert(0, os.getcwd())
        import mod_case

        print(mod_case.VALUE, os.path.basename(mod_case.__file__), sys.path.pop(0) == os.getcwd())
    finally:
        os.chdir(start)
