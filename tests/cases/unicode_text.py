# Unicode: emoji and combining characters on stdout, case, normalisation, and encodings with errors.
import unicodedata

text = "Grüße 東京 \U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 \u05e9\u05dc\u05d5\u05dd"
print(text)
print(len(text), len(text.encode()), text[::-1][:3] == "\u05dd\u05d5\u05dc", ascii(text[6:10]))
print("straße".upper(), "ΑΣ".lower(), "İ".lower() == "i\u0307", "ß".casefold() == "SS".casefold(), "ǆ".title())
print(len(unicodedata.normalize("NFC", "e\u0301")), len(unicodedata.normalize("NFD", "é")), unicodedata.normalize("NFKC", "ﬁ①"))
print(unicodedata.name("☃"), unicodedata.category("A"), unicodedata.lookup("GREEK SMALL LETTER PI"), unicodedata.numeric("½"))
print("é".encode("latin-1"), "é".encode("ascii", "replace"), "é☃".encode("ascii", "xmlcharrefreplace"), "é".encode("ascii", "backslashreplace"))
print(b"\xff\xfea\x00".decode("utf-16"), b"a\xffb".decode("utf-8", "replace"), b"a\xff".decode("utf-8", "surrogateescape").encode("utf-8", "surrogateescape"))
for bad in (lambda: b"\xff".decode(), lambda: "☃".encode("ascii"), lambda: "\ud800".encode()):
    try:
        bad()
    except UnicodeError as error:
        print(type(error).__name__, error.start, error.end)
print("٣".isdigit(), int("٣٤"), "²".isdecimal(), "a\u2028b".splitlines(), " \u3000x\xa0".strip())
print("日本".center(6, "-"), "tab\tx".expandtabs(8), sorted("äaz"), "\N{BULLET}", chr(0x1F40D), ord("\U0001f40d"))
größe = "identifiers too"
print(größe, "x".isidentifier(), "1x".isidentifier(), "über".isidentifier())
