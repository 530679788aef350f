# SQLite in memory: parameters, transactions, functions, row factories and errors.
import sqlite3

db = sqlite3.connect(":memory:")
db.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL, data BLOB)")
with db:
    db.executemany("INSERT INTO item (name, price, data) VALUES (?, ?, ?)", [("nut", 0.5, b"\x00"), ("bölt", 1.25, None), ("gear", 10, b"ab")])
print(db.execute("SELECT * FROM item ORDER BY price DESC").fetchall(), db.total_changes)
print(db.execute("SELECT count(*), sum(price), max(name) FROM item WHERE price > :min", {"min": 0.75}).fetchone())
try:
    with db:
        db.execute("UPDATE item SET price = 0")
        db.execute("INSERT INTO item (name) VALUES ('nut')")
except sqlite3.IntegrityError as error:
    print(type(error).__name__, db.execute("SELECT sum(price) FROM item").fetchone())
db.create_function("twice", 1, lambda x: x * 2)
db.row_factory = sqlite3.Row
row = db.execute("SELECT twice(id) AS double, name FROM item WHERE name LIKE 'g%'").fetchone()
print(row.keys(), tuple(row), row["double"])


class Longest:
    def __init__(self):
        self.best = ""

    def step(self, value):
        self.best = max(self.best, value, key=len)

    def finalize(self):
        return self.best


db.create_aggregate("longest", 1, Longest)
print(db.execute("SELECT longest(name) FROM item").fetchone()[0])
query = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x * 2 FROM n WHERE x < 100) SELECT group_concat(x) FROM n"
print(db.execute(query).fetchone()[0])
print([tuple(r) for r in db.execute("SELECT name, rank() OVER (ORDER BY price) FROM item ORDER BY name")])
try:
    db.execute("SELEC 1")
except sqlite3.OperationalError as error:
    print(type(error).__name__)
db.close()
try:
    db.execute("SELECT 1")
except sqlite3.ProgrammingError as error:
    print(type(error).__name__)
