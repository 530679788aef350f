# JSON: round trips, separators, unicode, hooks, and errors by position.
import json
from decimal import Decimal

document = {"b": [1, 2.5, None, True], "a": {"nested": "käse \u2603 \U0001f600"}, "e": []}
text = json.dumps(document)
print(text, json.loads(text) == document)
print(json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")))
print(json.dumps(document, indent=2, ensure_ascii=False))
print(json.dumps({1: "int", None: "none", True: "bool"}), json.dumps("\x00\n\"/"))
print(json.loads("[1e3, -0.5, 12345678901234567890, \"\\u00e9\\ud83d\\ude00\"]"))
print(json.loads('{"x": 1.10}', parse_float=Decimal), json.loads('{"a": 1, "a": 2}'))
print(json.loads('{"a": {"b": 1}}', object_pairs_hook=lambda pairs: tuple(pairs)))


class Encoder(json.JSONEncoder):
    def default(self, value):
        if isinstance(value, (set, frozenset)):
            return sorted(value)
        return super().default(value)


print(json.dumps({"s": {3, 1, 2}}, cls=Encoder), json.dumps(float("inf")))
for bad in ("[1, 2", "{'a': 1}", "nul", "[1] x", ""):
    try:
        json.loads(bad)
    except json.JSONDecodeError as error:
        print(type(error).__name__, error.pos, error.lineno, error.colno)
for bad in ({1, 2}, object):
    try:
        json.dumps(bad)
    except TypeError as error:
        print(type(error).__name__)
