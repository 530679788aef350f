"""Runs a command on a pseudo-terminal and writes the bytes that the terminal gets to stdout.

The first argument has lines that are typed, each at a prompt of `codeact repl`.
"""

import os
import pty
import sys

typed, command = sys.argv[1].splitlines(), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execv(command[0], command)
unread = b""
while True:
    try:
        part = os.read(fd, 65536)
    except OSError:
        break
    if not part:
        break
    sys.stdout.buffer.write(part)
    unread += part
    # The editor draws the prompt, and then moves the cursor behind it.
    if typed and b"\r\x1b[4C" in unread:
        unread = b""
        os.write(fd, typed.pop(0).encode() + b"\r")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
