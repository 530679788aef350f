# sys.exit inside try: finally and atexit run, except Exception does not catch it.
import atexit
import sys

atexit.register(print, "atexit")
try:
    try:
        sys.exit(3)
    except Exception:
        print("never")
    finally:
        print("finally")
except SystemExit as error:
    print("caught", error.code)
    raise
