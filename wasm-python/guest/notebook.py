"""Code as notebooks have it: `%magic`, `%%magic`, `!command` and `name?`, translated to Python.

Only source that does not compile is translated, line by line: each such line becomes one statement on
the same line, so that tracebacks keep their numbers. Strings and continued lines are left alone.
"""

import re
import sys
import time

# Magics that set up a notebook, and have nothing to do here.
_SETUP = frozenset(
    "matplotlib config load_ext reload_ext unload_ext autoreload xmode colors autosave aimport "
    "config_inline precision automagic pdb logstart logstop logon logoff".split()
)
# Magics that run the code after them.
_RUNNERS = frozenset("time timeit prun memit lprun mprun capture".split())
# Cell magics that display the cell as it is, and the media type.
_MARKUP = frozenset("html HTML svg SVG markdown latex javascript js".split())
_CELL_SHELLS = frozenset("bash sh script system sx cmd perl ruby pypy python2 R julia sql".split())

_LINE_MAGIC = re.compile(r"%([A-Za-z_]\w*)\b[ \t]*(.*)")
_CELL_MAGIC = re.compile(r"%%([A-Za-z_]\w*)\b[ \t]*(.*)")
_ASSIGNED = re.compile(r"([A-Za-z_][\w.,\[\]'\" \t]*?[ \t]*=[ \t]*)([%!])(.+)")
_HELP = re.compile(r"(\?{1,2}[ \t]*[A-Za-z_%][\w.]*|[A-Za-z_%][\w.]*[ \t]*\?{1,2})[ \t;]*")
_INSTALL = re.compile(r"(python[\d.]*[ \t]+-m[ \t]+)?(pip[\d.]*|uv|conda|mamba)[ \t]+\S")
_STRING = re.compile(r"[A-Za-z]{0,2}('''|\"\"\"|'|\")")
_OPEN, _CLOSE = "([{", ")]}"

# Start of a cell with `%%time`. Reported at the end of the turn.
_cell_started = None


def translate(source):
    """Returns the source with its notebook lines as Python, or None if it has no such lines."""
    lines = source.split("\n")
    translated = list(lines)
    at_start = True
    for number in _statement_lines(lines):
        line = lines[number]
        indent = line[: len(line) - len(line.lstrip())]
        text = line.strip()
        cell = _CELL_MAGIC.fullmatch(text)
        if cell and cell[1] not in _RUNNERS and at_start:
            # The rest of the source is the cell.
            body = "\n".join(lines[number + 1 :])
            translated[number:] = [_call("run_cell_magic", cell[1], cell[2], body)]
            translated += [""] * (len(lines) - len(translated))
            return "\n".join(translated)
        found = _translate_line(text)
        if found is not None:
            translated[number] = indent + found
        elif text and not text.startswith("#"):
            at_start = False
    return "\n".join(translated) if translated != lines else None


def _translate_line(text):
    cell = _CELL_MAGIC.fullmatch(text)
    if cell:
        name, rest = cell.groups()
        if name == "timeit":
            # The rest of the line is the set-up.
            rest = _without_options(rest)
            return _call("run_cell_magic", "time", "", "") + (f"; {rest}" if rest else "")
        return _call("run_cell_magic", name, rest, "")
    line = _LINE_MAGIC.fullmatch(text)
    if line:
        return _line_magic(*line.groups())
    if text.startswith("!"):
        return _call("system", text.lstrip("!").strip())
    assigned = _ASSIGNED.fullmatch(text)
    if assigned:
        target, mark, rest = assigned.groups()
        if mark == "!":
            return target + _call("getoutput", rest.strip())
        line = _LINE_MAGIC.fullmatch("%" + rest)
        return target + _line_magic(*line.groups()) if line else None
    if _HELP.fullmatch(text):
        return _call("run_line_magic", "pinfo", text.strip("?; \t"))
    if _INSTALL.match(text):
        return _call("system", text)
    return None


def _line_magic(name, rest):
    if name in ("time", "prun", "memit", "lprun", "mprun") and rest:
        # The statement stays in place, so that its names, its value and its errors are the cell's.
        statement = _without_options(rest)
        try:
            compile(statement, "<magic>", "exec")
        except SyntaxError:
            pass
        else:
            return _call("run_cell_magic", "time", "", "") + "; " + statement
    return _call("run_line_magic", name, rest)


def _without_options(text):
    return re.sub(r"^(-\w+([ \t]*\d+)?[ \t]+)+", "", text + " ").strip()


def _call(function, *args):
    return f"get_ipython().{function}({', '.join(map(repr, args))})"


def _statement_lines(lines):
    """Returns the numbers of the lines that start a statement: not inside a string or brackets."""
    depth = 0
    quote = None
    continued = False
    for number, line in enumerate(lines):
        if not depth and not quote and not continued:
            yield number
            if line.lstrip().startswith(("%", "!", "?")):
                # Its quotes and brackets are not Python's.
                continue
        continued = False
        at = 0
        while at < len(line):
            if quote:
                at = _end_of_string(line, at, quote)
                if at < 0:
                    break
                quote = None
                continue
            char = line[at]
            opened = _STRING.match(line, at)
            if opened and (at == 0 or not (line[at - 1].isalnum() or line[at - 1] == "_")):
                quote = opened[1]
                at = opened.end()
                continue
            if char == "#":
                break
            if char in _OPEN:
                depth += 1
            elif char in _CLOSE:
                depth = max(0, depth - 1)
            elif char == "\\" and at == len(line) - 1:
                continued = True
            at += 1
        if quote and len(quote) == 1:
            # It ends with its line, unless that is continued.
            if not line.endswith("\\"):
                quote = None


def _end_of_string(line, at, quote):
    """Returns the index after the end of a string, or -1 if the string goes on."""
    while at < len(line):
        if line[at] == "\\":
            at += 2
        elif line.startswith(quote, at):
            return at + len(quote)
        else:
            at += 1
    return -1


def start_timer():
    """Starts the clock of `%%time`."""
    global _cell_started
    _cell_started = time.perf_counter()


def end_turn():
    """Prints the time of a cell with `%%time`. Called at the end of each turn."""
    global _cell_started
    if _cell_started is not None:
        started, _cell_started = _cell_started, None
        try:
            print(f"Wall time: {duration(time.perf_counter() - started)}", file=sys.stdout)
        except BaseException:
            pass


def duration(seconds):
    """Returns a duration as text, in the unit that fits."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
