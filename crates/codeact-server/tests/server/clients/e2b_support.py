"""Runs functions against fresh sandboxes. `E2B_API_URL`, `E2B_SANDBOX_URL` and `E2B_API_KEY` name the server."""

import sys
import time
import traceback


def main(tests, create):
    """Runs the tests that the arguments name, or all. Each gets a sandbox, if it takes one."""
    wanted = set(sys.argv[1:])
    failed = []
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        began = time.monotonic()
        sandbox = create() if test.__code__.co_argcount else None
        try:
            test(*([sandbox] if sandbox else []))
        except BaseException:
            traceback.print_exc()
            failed.append(test.__name__)
        finally:
            if sandbox:
                sandbox.kill()
        state = "FAILED" if test.__name__ in failed else "ok"
        print(f"{test.__name__}: {state} ({time.monotonic() - began:.2f} s)", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def until(what, look, seconds=60):
    """Waits until `look` returns something true, and returns it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited too long: {what}")
