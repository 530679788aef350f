"""Answers the questions of `codeact exec` on a pseudo-terminal and checks its output."""

import os
import pty
import re
import select
import sys
import time

binary, tool, sessions = sys.argv[1:]
os.environ["CODEACT_SESSIONS"] = sessions

CODE = r"""
print("\x1b]0;hidden\x07\x1b[8mconcealed")
answers = [ask_user("Which " + "one?", choices=["red", "blue"]), input("name" + "? ")]
for n in range(4):
    try:
        answers.append(tools.buy(n=n))
    except ToolDenied as denied:
        answers.append(str(denied))
print("said", answers)
"""


class Terminal:
    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(binary, [binary, *args])
        self.seen = self.raw = ""

    def until(self, pattern):
        """Waits until the output contains `pattern`, and discards it up to there."""
        end = time.monotonic() + 120
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.fd], [], [], max(end - time.monotonic(), 0))
            if not ready:
                sys.exit(f"no {pattern!r} in {self.seen[-1000:]!r}")
            try:
                more = os.read(self.fd, 65536).decode()
            except OSError:
                sys.exit(f"ended before {pattern!r}: {self.seen[-1000:]!r}")
            self.raw += more
            self.seen = re.sub(r"\x1b\[[?!0-9;]*[a-zA-Z]", "", self.seen + more)
        self.seen = self.seen[found.end() :]

    def answer(self, question, typed):
        self.until(question)
        os.write(self.fd, typed.encode() + b"\r")

    def end(self):
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


grants = ["--tool", f"buy={tool}", "--approve", "ask"]
terminal = Terminal("exec", *grants, "-c", CODE)
terminal.answer(r"Which one\?\s+1  red\s+2  blue\s+> $", "2")
terminal.answer(r"name\? \s*> $", "Ann")
wants = r"the code wants to call buy\(n=%d\)\s+codeact: allow it\? \[y\]es, \[a\]lways, \[N\]o, or say why not: $"
terminal.answer(wants % 0, "")
terminal.answer(wants % 1, "far too dear")
terminal.answer(wants % 2, "a")
terminal.until(r"said \['blue', 'Ann', 'the call was not approved', 'far too dear', 7, 7\]")
# Escape sequences printed by the code are removed, so they cannot hide the question.
assert "\x1b]0;" not in terminal.raw and "\x1b[8m" not in terminal.raw, terminal.raw
assert terminal.end() == 0

# With a session, a turn can be suspended at a question and resumed later.
terminal = Terminal("exec", "--session", "s", *grants, "-c", "print('paid', tools.buy(n=5))")
terminal.answer(r"or say why not, `:later` suspends the turn: $", ":later")
terminal.until(r"codeact session resume s")
assert terminal.end() == 75
terminal = Terminal("session", "resume", "s", *grants)
terminal.answer(r"the code wants to call buy\(n=5\)", "y")
terminal.until(r"paid 7")
assert terminal.end() == 0

# Ctrl-C at a question stops the turn.
terminal = Terminal("exec", "-c", "ask_user('we' + 'll?')")
terminal.until(r"well\?\s+> $")
os.write(terminal.fd, b"\x03")
assert terminal.end() == 130
