# Text formats: CSV, INI, XML and differences, all in memory.
import configparser
import csv
import difflib
import io
import xml.etree.ElementTree as ET

out = io.StringIO()
writer = csv.DictWriter(out, ["name", "note", "n"], lineterminator="\n")
writer.writeheader()
writer.writerow({"name": "Ann", "note": 'says "hi", twice', "n": 1})
writer.writerow({"name": "Bö", "note": "two\nlines", "n": 2.5})
print(out.getvalue(), end="")
print(list(csv.DictReader(io.StringIO(out.getvalue()))))
print(list(csv.reader(["a;'b;c';d"], delimiter=";", quotechar="'")))

config = configparser.ConfigParser()
config.read_string("[DEFAULT]\nbase = /srv\n[web]\nport = 80\npath = %(base)s/web\ndebug = yes\n")
print(config.sections(), config["web"]["path"], config.getint("web", "port"), config["web"].getboolean("debug"), config.get("web", "x", fallback="-"))

root = ET.fromstring("<shop><item id='1'>Nut &amp; bolt</item><item id='2'><price>3.5</price></item></shop>")
print(root.tag, [i.get("id") for i in root.iter("item")], root.find("item").text, root.findtext("item/price"), len(root.findall("item[@id='2']")))
new = ET.SubElement(root, "item", id="3")
new.text = "<é>"
ET.indent(root)
print(ET.tostring(root, encoding="unicode"))
try:
    ET.fromstring("<a><b></a>")
except ET.ParseError as error:
    print(type(error).__name__, error.position)

old, now = "one two three four".split(), "one too three five four".split()
print("\n".join(difflib.unified_diff(old, now, "old", "new", lineterm="")))
print(difflib.SequenceMatcher(None, "abcd", "bcde").ratio(), difflib.get_close_matches("appel", ["ape", "apple", "peach"]))
