"""`ask_user` and `input`: questions to whoever runs the code."""

import builtins
import sys

from _codeact import door

# Whether somebody can be asked in place of stdin, in this turn.
asks = False

_MOST_CHOICES = 100


def ask_user(question, /, choices=None):
    """Asks the person who runs this code, waits, and returns the answer as text.

    With `choices`, a list of texts, the answer is one of them. Without anybody to ask it raises a
    RuntimeError that says so.
    """
    if choices is not None:
        choices = [str(choice) for choice in choices]
        if not 0 < len(choices) <= _MOST_CHOICES:
            raise ValueError(f"expected 1 to {_MOST_CHOICES} choices, got {len(choices)}")
    while True:
        answer = door.ask({"question": str(question), "choices": choices})
        if choices is None or answer in choices:
            return answer
        question = f"Expected one of {', '.join(choices)}. {question}"


def _input(prompt="", /):
    """Reads a line from stdin; without one, asks whoever runs this code."""
    if not asks:
        return _plain_input(prompt)
    # What an earlier turn has left.
    line = sys.stdin.readline()
    if line:
        return line.removesuffix("\n")
    try:
        return str(door.ask({"question": str(prompt), "choices": None}))
    except RuntimeError as error:
        raise EOFError(str(error)) from None


def install():
    """Puts both in place. Called while the image is made."""
    global _plain_input
    _plain_input = builtins.input
    _input.__name__ = _input.__qualname__ = "input"
    builtins.input = _input
    builtins.ask_user = ask_user
