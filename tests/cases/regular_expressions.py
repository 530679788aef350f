# Regular expressions: groups, flags, look-around, substitution, splitting and scanning.
import re

log = "2024-03-09 ERROR disk=sda1 code=17\n2024-03-10 info disk=sdb code=2"
pattern = re.compile(r"^(?P<date>\d{4}-\d\d-\d\d)\s+(?P<level>\w+).*?code=(?P<code>\d+)$", re.M)
for match in pattern.finditer(log):
    print(match.groupdict(), match.span("code"), match.lastgroup)
print(re.findall(r"(\w+)=(\w+)", log), re.findall(r"(?i)\berror\b|\bINFO\b", log))
print(re.sub(r"(\d+)-(\d+)-(\d+)", r"\3.\2.\1", log).splitlines()[0])
print(re.sub(r"\d", lambda m: str(9 - int(m[0])), "a1b2"), re.subn("a", "b", "banana"))
print(re.split(r"[,;]\s*", "a, b;c,d"), re.split(r"(-)", "1-2-3", maxsplit=1))
print(re.search(r"(?<=\$)\d+(?!\d|%)", "cost $250 now")[0], re.match(r"b", "ab"), re.fullmatch(r"a+", "aaa")[0])
print(re.findall(r"(a)|(b)", "ab"), re.findall(r"<.+?>", "<a><b>"), re.escape("a.b*c"))
print(re.search(r"(.)(.)\2\1", "xabbay")[0], bool(re.match(r"\w+$", "straße")), re.findall(r"\w+", "é東 ☃", re.A))
verbose = re.compile(r"""
    (\d+)   # whole
    (?:\.(\d+))?  # part
""", re.X)
print(verbose.fullmatch("3.14").groups(), verbose.fullmatch("3").groups("0"))
print(re.search(rb"\x00(.)", b"a\x00b").group(1), re.findall(r"(?s)a.b", "a\nb"))
print([m.start() for m in re.finditer(r"(?=aa)", "aaaa")], re.findall(r"(?>a+)b|c*+d", "aabccd"))
try:
    re.compile("(")
except re.error as error:
    print("error at", error.pos)
