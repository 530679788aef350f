# SystemExit can be caught like other exceptions: the program continues and exits with 0.
import sys

for code in (None, 0, 5, "text"):
    try:
        sys.exit(code)
    except SystemExit as error:
        print(type(error).__name__, repr(error.code))
try:
    raise KeyboardInterrupt
except BaseException as error:
    print(type(error).__name__, isinstance(error, Exception))
print("end")
