# Copies and pickles of plain data and of objects, with shared references and hooks.
import copy
import pickle
from datetime import date
from fractions import Fraction


class Node:
    def __init__(self, name):
        self.name, self.links, self.cache = name, [], "big"

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k != "cache"}

    def __setstate__(self, state):
        self.__dict__.update(state, cache=None)


data = {"a": [1, (2, 3.5)], "b": {b"x", "y"}, "c": None, "d": 10**30, "e": date(2024, 1, 2), "f": Fraction(1, 3), "ü": "☃"}
for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
    print(protocol, pickle.loads(pickle.dumps(data, protocol)) == data)
shared = [1]
pair = [shared, shared]
shallow, deep = copy.copy(pair), copy.deepcopy(pair)
shared.append(2)
print(shallow, deep, deep[0] is deep[1], shallow[0] is shared)
node = Node("root")
node.links.append(node)
twin = pickle.loads(pickle.dumps(node))
print(twin.name, twin.links[0] is twin, twin.cache, copy.deepcopy(node).links[0].name)
try:
    pickle.dumps(lambda: 0)
except (pickle.PicklingError, AttributeError):
    print("a lambda does not pickle")
try:
    pickle.loads(b"junk")
except pickle.UnpicklingError as error:
    print(type(error).__name__)
