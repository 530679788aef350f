# Closures: cells, nonlocal, late binding, defaults and function attributes.
def counter(start=0):
    count = start

    def step(by=1):
        nonlocal count
        count += by
        return count

    return step, lambda: count


step, read = counter(5)
step()
step(10)
print(read(), step.__closure__[0].cell_contents, step.__code__.co_freevars)

late = [lambda: i for i in range(3)]
bound = [lambda i=i: i for i in range(3)]
print([f() for f in late], [f() for f in bound])


def collect(item, into=[]):
    into.append(item)
    return into


print(collect(1), collect(2), collect.__defaults__)


def signature(a, /, b, *rest, c=3, **named):
    return a, b, rest, c, sorted(named.items())


print(signature(1, 2, 4, 5, c=6, x=7, a=8))
try:
    signature(b=1)
except TypeError as error:
    print(type(error).__name__)


def unbound():
    try:
        print(local)
    except UnboundLocalError as error:
        print(type(error).__name__)
    local = 1


unbound()
compose = lambda *fs: lambda x: compose(*fs[1:])(fs[0](x)) if fs else x
print(compose(lambda x: x + 1, lambda x: x * 2, str)(4))
