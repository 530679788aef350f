# Runs once, in `__main__`, while the base image is made: loads the runner's modules, imports the
# warm list, and leaves the interpreter at rest. Any exception here fails the making of the image.


def boot():
    import gc
    import importlib
    import io
    import json
    import os
    import sys
    import types

    import _host

    frame = json.loads(_host.call(b'{"op":"boot"}'))
    os.chdir("/home/user")
    # Unbuffered: output is seen as it is written, both streams stay in order, and nothing is lost
    # in a buffer when a turn is stopped.
    for fd, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        raw = io.FileIO(fd, "w", closefd=False)
        raw.name = f"<{name}>"
        stream = io.TextIOWrapper(raw, "utf-8", errors, newline="\n", write_through=True)
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    # As with a script: modules the code writes beside itself can be imported.
    sys.path.insert(0, "/home/user")
    package = types.ModuleType("_codeact", "The runner inside the sandbox.")
    package.__path__ = []
    sys.modules["_codeact"] = package
    for name, source in frame["modules"]:
        short = name.rpartition(".")[2]
        module = types.ModuleType(name)
        # The prefix by which tracebacks tell the runner's frames from the user's.
        module.__file__ = f"<codeact>/{short}.py"
        sys.modules[name] = module
        setattr(package, short, module)
        exec(compile(source, module.__file__, "exec"), module.__dict__)
    # Before anything that looks for an `ssl`.
    package.net.install()
    package.net_poll.install()
    package.net_async.install()
    for name in frame["warm"]:
        importlib.import_module(name)
    import builtins

    # What starts each turn: by this name, or by its address.
    builtins.__codeact__ = package.turn.run
    package.absent.install()
    package.gaps.install()
    package.loop.install()
    package.displays.install()
    package.threads.install()
    package.tools.install()
    package.people.install()
    package.turn.rehearse()
    package.seeds.find()
    gc.collect()
    # Once frozen, a circle is collected by nobody: what the host calls stays where it is.
    circle = [package.turn.run]
    circle.append(circle)
    # Preloaded objects leave the collector's sight: it would touch, and so copy, their pages.
    gc.freeze()
    _host.call(b'{"op":"end","result":"%d"}' % id(package.turn.run))


try:
    boot()
finally:
    del boot
