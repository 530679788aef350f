# Context managers: order of exits, suppression, ExitStack, and redirected output.
import contextlib
import io


class Trace:
    def __init__(self, name, swallow=False):
        self.name, self.swallow = name, swallow

    def __enter__(self):
        print("enter", self.name)
        return self

    def __exit__(self, kind, value, trace):
        print("exit", self.name, kind.__name__ if kind else None)
        return self.swallow


with Trace("a", swallow=True), Trace("b") as b:
    print("inside", b.name)
    raise KeyError("x")


@contextlib.contextmanager
def section(title):
    print(f"<{title}>")
    try:
        yield title.upper()
    except ValueError:
        print("handled")
    finally:
        print(f"</{title}>")


with section("p") as name:
    print(name)
    raise ValueError

with contextlib.ExitStack() as stack:
    for name in "xyz":
        stack.enter_context(Trace(name))
    stack.callback(print, "callback")

with contextlib.suppress(ZeroDivisionError):
    1 / 0
out = io.StringIO()
with contextlib.redirect_stdout(out):
    print("hidden")
print(repr(out.getvalue()))


@section("decorated")
def work():
    return print("work")


work()
with contextlib.closing(io.StringIO("x")) as stream, contextlib.nullcontext(5) as five:
    print(stream.read(), five)
print(stream.closed)


def early():
    with Trace("early"):
        return "returned"


print(early())
for i in range(3):
    with Trace(i):
        if i == 1:
            break
