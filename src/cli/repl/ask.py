# Analysis of code that is being typed. Runs in a separate sandbox or in a fork of the session.


def shape(source):
    """Returns the state of a block of code.

    "more": it is incomplete. "done": it is complete. "open": it ends with a compound statement, which
    a blank line completes.
    """
    import ast
    import codeop

    try:
        if codeop.compile_command(source, symbol="exec") is None:
            return "more"
        body = ast.parse(source).body
    except Exception:
        # Running the code reports its error.
        return "done"
    last = source.rpartition("\n")[2]
    compound = body and (hasattr(body[-1], "body") or hasattr(body[-1], "cases"))
    if compound and not isinstance(body[-1], ast.Expr) and last.strip():
        return "open"
    return "done"


def names(word, limit):
    """Returns at most `limit` completions of `word`, which may be dotted."""
    import itertools
    import rlcompleter

    import __main__

    completer = rlcompleter.Completer(vars(__main__))
    found = (completer.complete(word, i) for i in itertools.count())
    known = itertools.takewhile(lambda name: name is not None, found)
    return list(dict.fromkeys(name.rstrip(" ()") for name in itertools.islice(known, limit)))
