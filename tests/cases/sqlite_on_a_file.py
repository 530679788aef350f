# SQLite on a file: journal modes, reopening, two connections, attaching, backup, vacuum, damage.
import os
import sqlite3
import tempfile


def attempt(what, do, *args, **options):
    try:
        result = do(*args, **options)
    except sqlite3.Error as error:
        print(what, "->", type(error).__name__, error)
    else:
        print(what, "->", "done" if result is None else result)


def rows(db, query, *args):
    return db.execute(query, *args).fetchall()


def files():
    # Some systems lock with a second file next to it.
    return sorted(name for name in os.listdir() if not name.endswith(".lock"))


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        for mode in ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"]:
            db = sqlite3.connect("x.db")
            print(mode, rows(db, f"PRAGMA journal_mode = {mode}"))
            with db:
                db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, mode TEXT, data BLOB)")
                db.execute("INSERT INTO t (mode, data) VALUES (?, ?)", (mode, bytes(2000)))
            db.execute("BEGIN")
            db.execute("INSERT INTO t (mode) VALUES ('pending')")
            print(db.in_transaction, files())
            if mode != "OFF":
                db.rollback()
                print(rows(db, "SELECT id, mode, length(data) FROM t ORDER BY id"))
            else:
                db.commit()
            db.close()
            print(files(), os.path.getsize("x.db") % 4096)
            if os.path.exists("x.db-journal"):
                os.unlink("x.db-journal")
        db = sqlite3.connect("x.db")
        print(rows(db, "SELECT count(*), max(mode) FROM t"), rows(db, "PRAGMA integrity_check"), db.execute("PRAGMA page_size").fetchone())
        db.close()

        # Many rows, an index, deletes and a vacuum.
        db = sqlite3.connect("big.db")
        with db:
            db.execute("CREATE TABLE n (i INTEGER, square INTEGER, name TEXT)")
            db.executemany("INSERT INTO n VALUES (?, ?, ?)", ((i, i * i, f"name {i}") for i in range(20_000)))
            db.execute("CREATE INDEX by_name ON n (name)")
        size = os.path.getsize("big.db")
        print(rows(db, "SELECT sum(square) FROM n"), rows(db, "SELECT i FROM n WHERE name = 'name 777'"), size > 500_000)
        with db:
            print(db.execute("DELETE FROM n WHERE i >= 100").rowcount)
        print(os.path.getsize("big.db") == size, db.execute("VACUUM").fetchall(), os.path.getsize("big.db") < 20_000, rows(db, "SELECT count(*) FROM n"))
        # A statement too large for the page cache spills into the file before it is rolled back.
        db.execute("PRAGMA cache_size = 10")
        db.execute("BEGIN")
        db.executemany("INSERT INTO n VALUES (?, 0, ?)", ((i, "x" * 500) for i in range(3000)))
        print(os.path.getsize("big.db") > 20_000, os.path.exists("big.db-journal"))
        db.rollback()
        print(rows(db, "SELECT count(*) FROM n"), rows(db, "PRAGMA integrity_check"), os.path.getsize("big.db") < 20_000)
        db.execute("SAVEPOINT one")
        db.execute("DELETE FROM n")
        db.execute("SAVEPOINT two")
        db.execute("INSERT INTO n VALUES (1, 1, 'one')")
        db.execute("ROLLBACK TO two")
        print(rows(db, "SELECT count(*) FROM n"))
        db.execute("ROLLBACK TO one")
        db.execute("RELEASE one")
        print(rows(db, "SELECT count(*) FROM n"))
        # Sorting and grouping that may use temporary files.
        db.execute("CREATE TEMP TABLE s AS SELECT a.i * 100 + b.i AS k FROM n a, n b")
        print(rows(db, "SELECT k FROM s ORDER BY k DESC LIMIT 2"), rows(db, "SELECT k % 7, count(*) FROM s GROUP BY 1 ORDER BY 1")[:2])
        db.close()
        print(files())

        # Two connections.
        one, two = sqlite3.connect("x.db"), sqlite3.connect("x.db")
        with one:
            one.execute("DELETE FROM t")
            one.execute("INSERT INTO t (id, mode) VALUES (1, 'a')")
        print(rows(two, "SELECT id, mode FROM t"))
        one.execute("INSERT INTO t (id, mode) VALUES (2, 'b')")
        print(rows(one, "SELECT count(*) FROM t"), one.total_changes)
        one.commit()
        print(rows(two, "SELECT count(*) FROM t"))
        with two:
            two.execute("UPDATE t SET mode = 'two' WHERE id = 1")
        print(rows(one, "SELECT mode FROM t ORDER BY id"), rows(one, "PRAGMA data_version") != [])
        with one:
            one.execute("ALTER TABLE t ADD COLUMN extra DEFAULT 5")
        print(rows(two, "SELECT id, extra FROM t"))
        one.close()
        two.close()

        # Attach, backup, dump, URIs.
        db = sqlite3.connect("main.db")
        db.execute("ATTACH 'x.db' AS other")
        with db:
            db.execute("CREATE TABLE copied AS SELECT * FROM other.t")
        print(rows(db, "SELECT * FROM main.copied"), [(name, os.path.basename(path)) for _, name, path in rows(db, "PRAGMA database_list")])
        db.execute("DETACH other")
        attempt("detached", db.execute, "SELECT * FROM other.t")
        with sqlite3.connect("backup.db") as target:
            db.backup(target, pages=1)
        target.close()
        memory = sqlite3.connect(":memory:")
        db.backup(memory)
        print(rows(memory, "SELECT count(*) FROM copied"), "\n".join(memory.iterdump()))
        db.execute("VACUUM INTO 'vacuumed.db'")
        data = db.serialize()
        memory.close()
        memory = sqlite3.connect(":memory:")
        memory.deserialize(data)
        print(rows(memory, "SELECT id FROM copied"), data[:15], os.path.getsize("vacuumed.db") > 0)
        memory.close()
        db.close()
        readonly = sqlite3.connect("file:main.db?mode=ro", uri=True)
        print(rows(readonly, "SELECT count(*) FROM copied"))
        attempt("write, read only", readonly.execute, "DELETE FROM copied")
        readonly.close()
        attempt("mode=rw, is not there", sqlite3.connect, "file:none.db?mode=rw", uri=True)
        attempt("a missing folder", sqlite3.connect, "none/x.db")
        attempt("a folder", sqlite3.connect, ".")
        print(os.path.exists("none.db"))

        # Files that are not databases.
        with open("bad.db", "w") as file:
            file.write("this is no database " * 100)
        bad = sqlite3.connect("bad.db")
        attempt("no database", bad.execute, "SELECT * FROM sqlite_master")
        bad.close()
        with open("empty.db", "w"):
            pass
        empty = sqlite3.connect("empty.db")
        attempt("an empty file", lambda: rows(empty, "SELECT * FROM sqlite_master"))
        empty.close()
        with open("x.db", "r+b") as file:
            file.truncate(os.path.getsize("x.db") - 4096)
        cut = sqlite3.connect("x.db")
        attempt("cut", lambda: rows(cut, "PRAGMA integrity_check") != [("ok",)])
        cut.close()
        temporary = sqlite3.connect("")
        with temporary:
            temporary.execute("CREATE TABLE t (x)")
            temporary.executemany("INSERT INTO t VALUES (?)", [(str(i) * 100,) for i in range(5000)])
        print(rows(temporary, "SELECT count(*) FROM t"))
        temporary.close()
        with sqlite3.connect("blob.db") as db:
            db.execute("CREATE TABLE b (data BLOB)")
            db.execute("INSERT INTO b VALUES (zeroblob(100000))")
            with db.blobopen("b", "data", 1) as blob:
                blob.write(b"start")
                blob.seek(-3, os.SEEK_END)
                blob.write(b"end")
                print(len(blob), blob[0], blob[-3:])
        db.close()
        with sqlite3.connect("blob.db") as db:
            data = db.execute("SELECT data FROM b").fetchone()[0]
            print(len(data), data[:5], data[-3:])
        db.close()
        for name in os.listdir():
            os.unlink(name)
        print(os.listdir())
    finally:
        os.chdir(start)
