# Questions about code that is being typed. Run in a sandbox of its own, or in a fork.


def shape(source):
    """What to do with a block so far: `more` lines must follow, it is `done`, or it is `open`, a
    compound statement that a blank line ends."""
    import ast
    import codeop

    try:
        if codeop.compile_command(source, symbol="exec") is None:
            return "more"
        body = ast.parse(source).body
    except Exception:
        # Running it tells what is wrong with it.
        return "done"
    last = source.rpartition("\n")[2]
    compound = body and (hasattr(body[-1], "body") or hasattr(body[-1], "cases"))
    if compound and not isinstance(body[-1], ast.Expr) and last.strip():
        return "open"
    return "done"


def names(word, most):
    """What `word`, which may be dotted, can go on to."""
    import itertools
    import rlcompleter

    import __main__

    completer = rlcompleter.Completer(vars(__main__))
    found = (completer.complete(word, i) for i in itertools.count())
    known = itertools.takewhile(lambda name: name is not None, found)
    return list(dict.fromkeys(name.rstrip(" ()") for name in itertools.islice(known, most)))
