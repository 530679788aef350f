# The match statement: literals, captures, classes, mappings, sequences, guards and alternatives.
from dataclasses import dataclass


@dataclass
class Point:
    x: int
    y: int


def describe(value):
    match value:
        case None | True | False:
            return "constant"
        case 0 | 1:
            return "small"
        case int(n) if n < 0:
            return f"negative {n}"
        case int() | float():
            return "number"
        case "":
            return "empty"
        case str(text):
            return f"text of {len(text)}"
        case Point(0, 0):
            return "origin"
        case Point(x=0, y=y):
            return f"on the axis at {y}"
        case Point():
            return "point"
        case []:
            return "nothing"
        case [only]:
            return f"one: {describe(only)}"
        case ["move", (int(x), int(y)), *rest]:
            return f"move {x},{y} and {rest}"
        case [first, *_, last]:
            return f"from {first} to {last}"
        case {"kind": "circle", "r": r, **rest}:
            return f"circle {r} {sorted(rest)}"
        case {}:
            return "mapping"
        case _:
            return type(value).__name__


for value in (
    None, True, 1, -5, 2.5, "", "abc", Point(0, 0), Point(0, 3), Point(1, 2), [], [[7]],
    ["move", (1, 2), "fast", "now"], (1, 2, 3), {"kind": "circle", "r": 2, "fill": 0},
    {"a": 1}, {1, 2}, b"ab",
):
    print(describe(value))
