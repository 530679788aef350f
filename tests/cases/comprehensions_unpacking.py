# Comprehensions, unpacking, the walrus, slices, chained comparison, else on loops, and scopes.
print([x * y for x in range(3) if x for y in range(3)], {k: v for v, k in enumerate("ab")}, {c for c in "aa"})
first, *middle, last = range(6)
(a, [b, *c]), d = (1, [2, 3, 4]), "z"
print(first, middle, last, a, b, c, d, [*range(2), *"xy"], {**{"a": 1}, "a": 2})
if (n := len(middle)) > 3:
    print("long", n)
print([y := 1, y**2], [last := i for i in range(3)], last)
items = list(range(10))
items[2:5] = ["x"]
items[::4] = "abc"[: len(items[::4])].ljust(len(items[::4]), "-")
del items[-2:]
print(items, items[::-2], items[5:1], "abc"[-10:2], range(10)[2:8:3], list(range(5, 0, -2)))
print(1 < 2 < 3, 1 < 3 > 2, not [] and "yes", [] or "default", 0 and 1, None is None, 3 if [] else 4)
for i in range(3):
    if i == 5:
        break
else:
    print("no break")
while True:
    break
else:
    print("never")
x = "global"


def scope():
    global made
    made = "made"
    x = "local"
    return [x for _ in range(1)], (lambda: x)(), made


class Body:
    x = "class"
    y = [x for _ in range(1)]
    z = x


print(scope(), x, made, Body.y, Body.z)
try:
    one, two = 1, 2, 3
except ValueError as error:
    print(type(error).__name__)
matrix = [[1, 2, 3], [4, 5, 6]]
print(list(zip(*matrix)), [list(r) for r in zip(*matrix, strict=True)], list(map(max, *matrix)), any([]), all([]))
assert True, "unseen"
try:
    assert 1 > 2, "message"
except AssertionError as error:
    print(error)
