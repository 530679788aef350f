# Infinite recursion raises RecursionError, which can be caught; then the program continues.
import json


def endless(n):
    return endless(n + 1)


class Loop:
    def __repr__(self):
        return repr(self)


for attempt in (lambda: endless(0), lambda: repr(Loop())):
    try:
        attempt()
    except RecursionError:
        print("caught")


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


cycle = []
cycle.append(cycle)
print(depth(400), cycle)
try:
    json.dumps(cycle)
except ValueError as error:
    print(type(error).__name__)
