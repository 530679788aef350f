"""Splits Rust source into tokens and comments. Shared by `import-rings` and `comment-words`.

This is no parser: it knows enough of the lexical grammar (nested comments, raw strings, lifetimes)
that text in strings and comments is never taken for code, and the other way round.
"""

import os
import re

# Folders without sources of this repository.
SKIPPED = {".git", "target", "node_modules"}

TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<line_comment>//[^\n]*)
  | (?P<block_comment>/\*)
  | (?P<raw_string>[bc]?r(?P<hashes>\#*)")
  | (?P<string>[bc]?"(?:[^"\\]|\\.)*")
  | (?P<char>b?'(?:[^'\\\n]|\\(?:x..|u\{[^}]*\}|.))')
  | (?P<lifetime>'\w+)
  | (?P<ident>(?:r\#)?[A-Za-z_]\w*)
  | (?P<number>\d[\w.]*)
  | (?P<punct>::|=>|->|.)
    """,
    re.VERBOSE | re.DOTALL,
)


class Token:
    """One token: its kind (`ident`, `punct`, `string`, …), text and line number from 1."""

    __slots__ = ("kind", "text", "line")

    def __init__(self, kind, text, line):
        self.kind, self.text, self.line = kind, text, line

    def __repr__(self):
        return f"{self.text}@{self.line}"


class Comment:
    """One comment: its text without the marker, its marker (`//`, `///`, `//!`, `/*`) and its line."""

    __slots__ = ("marker", "text", "line")

    def __init__(self, marker, text, line):
        self.marker, self.text, self.line = marker, text, line


def lex(source):
    """Returns the tokens and the comments of `source`, each in order."""
    tokens, comments = [], []
    position, line = 0, 1
    while position < len(source):
        match = TOKEN.match(source, position)
        kind, text, end = match.lastgroup, match.group(), match.end()
        if match.group("raw_string") is not None:
            kind = "string"
            closing = '"' + match.group("hashes")
            found = source.find(closing, end)
            end = len(source) if found < 0 else found + len(closing)
            text = source[position:end]
        elif kind == "block_comment":
            end = block_comment_end(source, position)
            text = source[position:end]
            comments.append(Comment("/*", text[2:-2], line))
        elif kind == "line_comment":
            comments.append(line_comment(text, line))
        elif kind == "number":
            # `0..n` is a range and `1.max(2)` a call: a dot belongs to a number before a digit only.
            text = re.match(r"\d\w*(?:\.\d\w*)?", text).group()
            end = position + len(text)
        if kind not in ("space", "line_comment", "block_comment"):
            tokens.append(Token(kind, text[2:] if text.startswith("r#") and kind == "ident" else text, line))
        line += source.count("\n", position, end)
        position = end
    return tokens, comments


def block_comment_end(source, start):
    """Returns the position after the block comment at `start`; block comments nest."""
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(source, start):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    return len(source)


def line_comment(text, line):
    for marker in ("//!", "///", "//"):
        # Four slashes and more are a plain comment.
        if text.startswith(marker) and not (marker == "///" and text.startswith("////")):
            return Comment(marker, text[len(marker):], line)
    raise AssertionError(text)


def rust_files(root):
    """Returns the paths of all Rust sources below `root`, sorted."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        found += [os.path.join(folder, name) for name in sorted(files) if name.endswith(".rs")]
    return found


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()
