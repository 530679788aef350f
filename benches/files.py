"""File operations in Python, for native CPython on a memory file system and for the sandbox.

The argument is the name of a benchmark, which uses the current folder. Prints one JSON line: the
seconds, and a checksum that must be the same in every build.
"""

import importlib
import json
import os
import sys
import time
import zlib

SIZE = 64 << 20
PIECE = 1 << 20
SMALL_FILES = 10_000

# 200 modules of the standard library that exist in every build of 3.12 and later, and in the sandbox.
STDLIB = """
__future__ abc argparse array ast asyncio atexit base64 bdb binascii bisect bz2 calendar cmath cmd
code codecs codeop collections colorsys compileall concurrent.futures configparser contextlib
contextvars copy copyreg csv dataclasses datetime decimal difflib dis doctest email email.charset
email.encoders email.errors email.generator email.header email.message email.mime.base
email.mime.multipart email.mime.text email.parser email.policy email.utils encodings.ascii
encodings.cp1252 encodings.idna encodings.latin_1 encodings.utf_16 enum errno filecmp fileinput
fnmatch fractions ftplib functools gc getopt getpass gettext glob graphlib gzip hashlib heapq hmac
html html.entities html.parser http.client http.cookiejar http.cookies http.server imaplib
importlib.abc importlib.machinery importlib.metadata importlib.resources importlib.util inspect io
ipaddress itertools json json.tool keyword linecache locale logging logging.config logging.handlers
lzma mailbox marshal math mimetypes modulefinder netrc ntpath numbers opcode operator optparse os
pdb pickle pickletools pkgutil platform plistlib poplib posixpath pprint profile pstats py_compile
pyclbr pydoc queue quopri random re reprlib rlcompleter runpy sched secrets selectors shelve shlex
shutil signal site smtplib socket socketserver sqlite3 sqlite3.dump stat statistics string
stringprep struct symtable sysconfig tabnanny tarfile tempfile textwrap threading timeit token
tokenize tomllib trace traceback tracemalloc types typing unicodedata unittest unittest.mock urllib
urllib.error urllib.parse urllib.request urllib.response urllib.robotparser uuid warnings wave
weakref webbrowser wsgiref wsgiref.handlers wsgiref.headers wsgiref.simple_server wsgiref.util
wsgiref.validate xml xml.dom xml.dom.expatbuilder xml.dom.minidom xml.dom.pulldom xml.etree
xml.etree.ElementTree xml.parsers.expat xml.sax xml.sax.expatreader xml.sax.saxutils xmlrpc.client
zipapp zipfile zipimport zlib zoneinfo
""".split()


def write():
    piece = bytes(range(256)) * (PIECE // 256)
    begun = time.perf_counter()
    with open("big", "wb") as file:
        for _ in range(SIZE // PIECE):
            file.write(piece)
    seconds = time.perf_counter() - begun
    size = os.stat("big").st_size
    os.remove("big")
    return seconds, size


def read():
    piece = bytes(range(256)) * (PIECE // 256)
    with open("big", "wb") as file:
        for _ in range(SIZE // PIECE):
            file.write(piece)
    total = 0
    begun = time.perf_counter()
    with open("big", "rb") as file:
        while data := file.read(PIECE):
            total += len(data)
    seconds = time.perf_counter() - begun
    os.remove("big")
    return seconds, total


def small_files():
    os.mkdir("many")
    begun = time.perf_counter()
    for number in range(SMALL_FILES):
        with open(f"many/{number}.txt", "w") as file:
            file.write("a small file\n")
    names = sorted(entry.name for entry in os.scandir("many") if entry.is_file())
    for name in names:
        os.remove(f"many/{name}")
    seconds = time.perf_counter() - begun
    os.rmdir("many")
    return seconds, zlib.crc32("".join(names).encode())


def loaded():
    """Returns the modules that are already imported, by the interpreter's start or its image."""
    return 0.0, [name for name in STDLIB if name in sys.modules]


def imports(names):
    begun = time.perf_counter()
    for name in names:
        importlib.import_module(name)
    return time.perf_counter() - begun, len(names)


def main():
    what = sys.argv[1]
    if what == "imports":
        seconds, checksum = imports(sys.argv[2:] or STDLIB)
    else:
        seconds, checksum = {
            "write": write,
            "read": read,
            "small_files": small_files,
            "loaded": loaded,
        }[what]()
    print(json.dumps({"seconds": seconds, "checksum": checksum}))


main()
