# itertools, functools and operator.
import functools
import itertools
import operator

print(list(itertools.accumulate([1, 2, 3, 4], operator.mul)), list(itertools.chain("ab", [1])))
print(["".join(c) for c in itertools.combinations("abcd", 2)], len(list(itertools.permutations(range(5)))))
print(list(itertools.product("ab", [0, 1])), list(itertools.islice(itertools.cycle("xyz"), 5)))
print({k: list(g) for k, g in itertools.groupby(sorted("banana"))}, list(itertools.pairwise([1, 2, 3])))
print(list(itertools.zip_longest("abc", "x", fillvalue="-")), list(itertools.takewhile(lambda x: x < 3, itertools.count())))
print(list(itertools.dropwhile(str.islower, "abCd")), list(itertools.starmap(pow, [(2, 3), (3, 2)])), list(itertools.batched("abcde", 2)))
left, right = itertools.tee(iter(range(3)))
print(list(left), list(right), list(itertools.compress("abcd", [1, 0, 1])), list(itertools.filterfalse(None, [0, 1, ""])))


@functools.lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


print(fib(80), fib.cache_info())
print(functools.reduce(operator.add, [[1], [2, 3]], []), functools.partial(int, base=2)("1011"))


@functools.singledispatch
def show(value):
    return "object"


@show.register
def _(value: int):
    return "int"


@show.register(list)
def _(value):
    return "list of " + ",".join(map(show, value))


print(show("x"), show(True), show([1, "a"]))


def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function.__name__, function(*args)

    return wrapper


@logged
def double(x):
    "Twice."
    return x * 2


class Cached:
    @functools.cached_property
    def value(self):
        print("computed")
        return 42


@functools.total_ordering
class Size:
    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return self.n == other.n

    def __lt__(self, other):
        return self.n < other.n


c = Cached()
print(double(4), double.__name__, double.__doc__, c.value + c.value, Size(2) >= Size(1))
print(sorted([(2, "b"), (1, "c")], key=operator.itemgetter(1)), operator.attrgetter("real")(3), operator.methodcaller("upper")("q"))
print(sorted("bca", key=functools.cmp_to_key(lambda a, b: (a < b) - (a > b))))
