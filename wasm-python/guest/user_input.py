"""`ask_user` and `input`: questions to the user."""

import builtins
import sys

from _codeact import hostcall

# True if `input` asks the user at the end of stdin. Set at the start of each turn.
input_asks_user = False

_MAX_CHOICES = 100


def ask_user(question, /, choices=None):
    """Asks the user a question, waits for the answer and returns it as text.

    If `choices`, a list of texts, is given, the answer is one of them. Raises RuntimeError if no user
    can be asked.
    """
    if choices is not None:
        choices = [str(choice) for choice in choices]
        if not 0 < len(choices) <= _MAX_CHOICES:
            raise ValueError(f"expected 1 to {_MAX_CHOICES} choices, got {len(choices)}")
    while True:
        answer = hostcall.ask({"question": str(question), "choices": choices})
        if choices is None or answer in choices:
            return answer
        question = f"Expected one of {', '.join(choices)}. {question}"


def _input(prompt="", /):
    """Reads a line from stdin. If stdin is at its end and user input is available, asks the user."""
    if not input_asks_user:
        return _plain_input(prompt)
    # An earlier turn may have left unread lines.
    line = sys.stdin.readline()
    if line:
        return line.removesuffix("\n")
    try:
        return str(hostcall.ask({"question": str(prompt), "choices": None}))
    except RuntimeError as error:
        raise EOFError(str(error)) from None


def install():
    """Installs both functions as builtins. Called while the image is made."""
    global _plain_input
    _plain_input = builtins.input
    _input.__name__ = _input.__qualname__ = "input"
    builtins.input = _input
    builtins.ask_user = ask_user
