"""Types into `codeact repl` on a pseudo-terminal and checks its output."""

import os
import pty
import re
import select
import sys
import time

PROMPT = r">>> \r?$"

pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "repl", "--timeout", "60s"])

seen = ""


def until(pattern):
    """Waits until the output contains `pattern`, and discards it up to there."""
    global seen
    end = time.monotonic() + 120
    while not (found := re.search(pattern, seen)):
        left = end - time.monotonic()
        ready, _, _ = select.select([fd], [], [], max(left, 0))
        if not ready:
            sys.exit(f"no {pattern!r} in {seen[-1000:]!r}")
        try:
            more = os.read(fd, 65536)
        except OSError:
            sys.exit(f"ended before {pattern!r}: {seen[-1000:]!r}")
        # Only the text is checked, without the escape sequences that draw it.
        seen = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", seen + more.decode())
    seen = seen[found.end():]


def at_prompt(text, then):
    until(PROMPT)
    os.write(fd, text.encode())
    until(then)


# A block is indented, and ends with a blank line.
at_prompt("def f(x):\rreturn x * 2\r\r", r"    return x \* 2\r\n")
at_prompt("f(21)\r", r"\n42\r\n")
# Completes names of the session, of its objects, and of commands.
at_prompt("alpha_beta = 5\r", r"\n")
at_prompt("alph\t + 1\r", r"\n6\r\n")
at_prompt("import os\r", r"\n")
at_prompt("os.path.basen\t\r", r"<function basename")
at_prompt("alpha_beta = 0\r", r"\n")
at_prompt(":und\t\r", r"1 undone")
at_prompt("alpha_beta\r", r"\n5\r\n")
# The code asks the user.
at_prompt("name = input('wh' + 'o? ')\r", r"who\? $")
os.write(fd, b"Ann\r")
at_prompt("name\r", r"'Ann'\r\n")
# Ctrl-C stops code that runs or waits for input. The session is preserved.
at_prompt("if print('be' + 'gun') is None:\rwhile True: pass\r\r", r"begun")
os.write(fd, b"\x03")
until(r"codeact: stopped")
at_prompt("print('be' + 'gun'); input()\r", r"begun")
os.write(fd, b"\x03")
until(r"codeact: stopped")
at_prompt("half a li\x03", r"\n")
at_prompt("name\r", r"'Ann'\r\n")
# The prompt does not overwrite output without an end of line.
at_prompt("print('no newline', end='')\r", r"no newline\r\n")
# A pasted block can contain blank lines.
at_prompt("\x1b[200~for i in range(2):\n    print(i)\n\nprint('do' + 'ne')\x1b[201~\r", r"1\r\ndone\r\n")
until(PROMPT)
os.write(fd, b"\x04")
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
