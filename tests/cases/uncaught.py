# An uncaught exception: earlier output is preserved, and the exit code is 1.
def fail(depth):
    if depth == 0:
        raise LookupError("nothing found")
    fail(depth - 1)


print("before")
try:
    fail(3)
finally:
    print("finally")
