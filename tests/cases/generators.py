# Generators: send, throw, close, return values and delegation.
def averager():
    total, count, average = 0, 0, None
    while True:
        try:
            value = yield average
        except ValueError:
            total, count = 0, 0
            average = "reset"
            continue
        total += value
        count += 1
        average = total / count


g = averager()
print(next(g), g.send(10), g.send(20), g.throw(ValueError), g.send(5))
g.close()


def inner():
    received = yield 1
    return received * 2


def outer():
    result = yield from inner()
    yield ("inner gave", result)


o = outer()
print(next(o), o.send(21))
try:
    next(o)
except StopIteration as stop:
    print("stopped", stop.value)


def closing(log):
    try:
        yield
    finally:
        log.append("closed")


log = []
c = closing(log)
next(c)
c.close()
print(log, sum(x * x for x in range(10)), [*(x for x in "abc")])


def stops():
    yield 1
    raise StopIteration


try:
    list(stops())
except RuntimeError:
    print("RuntimeError")
