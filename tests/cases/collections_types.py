# collections: Counter, defaultdict, deque, OrderedDict, ChainMap, namedtuple, and dict and set order.
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple

count = Counter("mississippi")
print(count.most_common(2), count["z"], count - Counter("miss"), sum(count.values()), sorted(count.elements())[:3])
groups = defaultdict(list)
for word in "the quick brown fox jumps".split():
    groups[len(word)].append(word)
print(dict(groups), 9 in groups, groups[9])
queue = deque(range(5), maxlen=5)
queue.append(9)
queue.rotate(2)
queue.appendleft(7)
print(queue, queue.popleft(), queue.pop(), list(queue)[1:])
ordered = OrderedDict(a=1, b=2, c=3)
ordered.move_to_end("a")
print(list(ordered), ordered.popitem(last=False), OrderedDict(a=1, b=2) == OrderedDict(b=2, a=1))
chain = ChainMap({"a": 1}, {"a": 2, "b": 3})
print(chain["a"], chain["b"], len(chain), chain.new_child({"b": 9})["b"])
Point = namedtuple("Point", "x y", defaults=[0])
print(Point(1), Point(3, 4)._asdict(), Point._fields, Point(1) < Point(2))


class Upper(UserDict):
    def __setitem__(self, key, value):
        super().__setitem__(key.upper(), value)


print(Upper(a=1, b=2))
data = {"z": 1, "a": 2}
data["m"] = 3
del data["z"]
data["z"] = 4
print(data, list(reversed(data)), data | {"a": 0}, data.keys() & {"a", "q"}, data.setdefault("n", 5))
print(sorted({3, 1, 2} ^ {2, 5}), {1, 2} <= {1, 2, 3}, frozenset("aab") == {"a", "b"})
try:
    for key in data:
        data[key + "x"] = 1
except RuntimeError as error:
    print(type(error).__name__)
