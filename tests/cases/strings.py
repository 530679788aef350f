# String methods: splitting, joining, trimming, searching, translating, and text wrapping.
import string
import textwrap

line = "  The quick, brown fox; jumps  "
print(line.split(), line.strip().split(", ", 1), "a,b,,c".split(","), "a-b-c".rsplit("-", 1), "k=v=w".partition("="))
print("-".join("abc"), "abc".removeprefix("a").removesuffix("c"), "xxabxx".strip("x"), "one\ntwo\r\n".splitlines(True))
print("banana".count("an"), "banana".find("n", 3), "banana".rfind("a"), "banana".replace("a", "o", 2), "banana".index("nan"))
print("hello world".title(), "Hello".swapcase(), "hELLO".capitalize(), "42".zfill(5), "-42".zfill(5), "x".ljust(3, ".") + "|")
print("abc".translate(str.maketrans("ab", "xy", "c")), "abc" < "abd", "a" * 3, "b" in "abc", "abc"[::-1], "abcdef"[-3:-1])
print("12".isdigit(), "1.2".isnumeric(), "aB".isalpha(), "".isalnum(), "A b".istitle(), " ".isspace(), "ab".startswith(("x", "a")))
print(repr("it's"), repr('"'), repr("'\""), repr("tab\t nul\0 é"), str(b"x"), "a" "b")
text = "A long paragraph that has to be wrapped at a narrow width, with_some_very_long_words inside it."
print(textwrap.fill(text, 24, initial_indent="* ", subsequent_indent="  "))
print(textwrap.shorten(text, 30, placeholder="..."), textwrap.wrap("abcdefgh", 3))
print(textwrap.dedent("""\
    one
      two
    three"""))
print(textwrap.indent("a\n\nb", "> "))
print(string.Template("$who owes $$${amount}").substitute(who="Ann", amount=5), string.Template("$a $b").safe_substitute(a=1))
print(string.ascii_lowercase[:5], string.digits, string.capwords("a bc  d"), list(string.Formatter().parse("x{y!r:>3}")))
try:
    string.Template("$missing").substitute()
except KeyError as error:
    print(type(error).__name__, error)
