# Exceptions: custom, chained, re-raised and grouped ones, and the last line of a traceback.
import traceback


class Shortage(ValueError):
    def __init__(self, item, missing):
        super().__init__(f"{missing} of {item} missing")
        self.item = item


try:
    try:
        {}["key"]
    except KeyError as error:
        raise Shortage("bolts", 3) from error
except Shortage as error:
    print("".join(traceback.format_exception_only(error)).strip())
    print(type(error.__cause__).__name__, error.item, error.__suppress_context__)

try:
    try:
        raise KeyError("first")
    finally:
        raise TypeError("second")
except TypeError as error:
    print(repr(error.__context__), error.__cause__)

try:
    raise ExceptionGroup("several", [ValueError("a"), OSError("b"), Shortage("nuts", 1)])
except* ValueError as group:
    print("values", [str(e) for e in group.exceptions])
except* OSError as group:
    print("system", [str(e) for e in group.exceptions])


def order():
    try:
        yield "try"
        raise RuntimeError
    except RuntimeError:
        yield "except"
    else:
        yield "else"
    finally:
        yield "finally"


print(list(order()))

error = ValueError("noted")
error.add_note("a note")
print(error.__notes__, isinstance(error, Exception))
print(*traceback.format_exception_only(error), sep="")
