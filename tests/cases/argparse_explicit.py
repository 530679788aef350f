# argparse with explicit arguments: types, choices, sub-commands, defaults and errors.
import argparse
import contextlib
import io

parser = argparse.ArgumentParser(prog="shop", exit_on_error=True)
parser.add_argument("-v", "--verbose", action="count", default=0)
commands = parser.add_subparsers(dest="command", required=True)
sell = commands.add_parser("sell")
sell.add_argument("items", nargs="+")
sell.add_argument("--count", type=int, default=1)
sell.add_argument("--unit", choices=["piece", "box"], default="piece")
sell.add_argument("--gift", action=argparse.BooleanOptionalAction)
find = commands.add_parser("find")
find.add_argument("--limit", type=float)
find.add_argument("rest", nargs=argparse.REMAINDER)

print(sorted(vars(parser.parse_args(["-vv", "sell", "nut", "bolt", "--count=3", "--no-gift"])).items()))
print(sorted(vars(parser.parse_args(["find", "--limit", "2.5", "a", "--b"])).items()))
known, unknown = sell.parse_known_args(["x", "--odd"])
print(known.items, unknown)
for bad in ([], ["sell"], ["sell", "a", "--count", "x"], ["sell", "a", "--unit", "ton"], ["fly"]):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            parser.parse_args(bad)
        except SystemExit as stop:
            print(stop.code, errors.getvalue().startswith("usage: shop"))
