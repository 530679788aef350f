# csv files: dialects, quoting, newlines in fields, dict readers, sniffing, and errors.
import csv
import os
import tempfile


def read(path, **options):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, **options))


def raw(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, text):
    with open(path, "w", newline="", encoding="utf-8") as file:
        file.write(text)


ROWS = [["name", "value", "note"], ["plain", 1, 2.5], ["with, comma", None, ""], ['with "quotes"', -1, "line\nbreak"], ["ünï", 1e100, " spaces "], ["crlf\r\nin it", True, "tab\t"]]
start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        for dialect in ["excel", "excel-tab", "unix"]:
            with open("f.csv", "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, dialect)
                print(writer.writerow(ROWS[0]), writer.writerows(ROWS[1:]))
            print(raw("f.csv"))
            print(read("f.csv", dialect=dialect))
        for quoting in [csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC, csv.QUOTE_NONE, csv.QUOTE_STRINGS, csv.QUOTE_NOTNULL]:
            with open("q.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file, quoting=quoting, escapechar="\\", lineterminator="\n").writerows([["a", 1, 2.5], ["b,c", None, 'd"e']])
            print(raw("q.csv"))
        write("n.csv", '"a",1,2.5\n"b",-3,1e3\n')
        print(read("n.csv", quoting=csv.QUOTE_NONNUMERIC))

        with open("d.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "name"], restval="?", extrasaction="ignore")
            writer.writeheader()
            writer.writerow({"id": 1, "name": "x", "more": 2})
            writer.writerow({"id": 2})
            try:
                csv.DictWriter(file, ["id"]).writerow({"no": 1})
            except ValueError as error:
                print(error)
        with open("d.csv", "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([3, "y", "extra", "fields"])
            csv.writer(file).writerow([4])
            file.write("\r\n")
        with open("d.csv", newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, restkey="rest")
            print(reader.fieldnames, [dict(row) for row in reader], reader.line_num)
        with open("d.csv", newline="", encoding="utf-8") as file:
            print(list(csv.DictReader(file, ["a", "b"]))[:2])

        for text in ["a;b;c\n1;2;3\n", "a\tb\n1\t2\n", "a|b|c\n1|2|3\n", "'a','b'\n'c','d'\n"]:
            write("s.csv", text)
            with open("s.csv", newline="", encoding="utf-8") as file:
                dialect = csv.Sniffer().sniff(file.read())
                file.seek(0)
                print(repr(dialect.delimiter), dialect.quotechar, list(csv.reader(file, dialect)))
        write("h.csv", "name,age\nann,31\nbob,42\n")
        with open("h.csv", newline="", encoding="utf-8") as file:
            print(csv.Sniffer().has_header(file.read()))
        try:
            csv.Sniffer().sniff("")
        except csv.Error as error:
            print(error)

        cases = {"empty": "", "one line, no end": "a,b", "blank lines": "a\n\n\nb\n", "carriage returns": "a,b\rc,d\r", "open quote": 'a,"b\nc', "quote inside": 'a"b,c"d"\n', "after a quote": '"a"b,c\n', "doubled": '"a""b",""\n', "spaces": " a , b \n", "comment": "#x,y\n1,2\n", "trailing comma": "a,b,\n"}
        for what, text in cases.items():
            write("c.csv", text)
            try:
                print(what, read("c.csv"), read("c.csv", skipinitialspace=True))
            except csv.Error as error:
                print(what, "->", error)
            try:
                read("c.csv", strict=True)
            except csv.Error as error:
                print(what, "strict ->", error)
        limit = csv.field_size_limit(10)
        write("l.csv", "x" * 11)
        try:
            read("l.csv")
        except csv.Error as error:
            print(error)
        csv.field_size_limit(limit)
        write("bom.csv", "\ufeffa,b\n1,2\n")
        with open("bom.csv", newline="", encoding="utf-8-sig") as file:
            print(list(csv.reader(file)))
        with open("latin.csv", "w", newline="", encoding="latin-1") as file:
            csv.writer(file).writerow(["é", "ß"])
        print(raw("latin.csv"))
        try:
            read("latin.csv")
        except UnicodeDecodeError as error:
            print(error.reason)
        # A change in place: read all, write to another file, rename it.
        with open("big.csv", "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([i, i * i, f"name {i}"] for i in range(5000))
        with open("big.csv", newline="", encoding="utf-8") as source, open("big.tmp", "w", newline="", encoding="utf-8") as target:
            csv.writer(target).writerows(row[:2] for row in csv.reader(source) if int(row[0]) % 100 == 0)
        os.replace("big.tmp", "big.csv")
        rows = read("big.csv")
        print(len(rows), rows[-1], sum(int(row[1]) for row in rows), sorted(os.listdir()))
    finally:
        os.chdir(start)
