# Runs once, in `__main__`, while the base image is made: loads the runner's modules, imports the warm
# list and leaves the interpreter idle. An exception here makes the image fail.


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
    # Unbuffered: output is visible as soon as it is written, stdout and stderr keep their order, and
    # no output is lost in a buffer when a turn is stopped.
    for fd, name, errors in ((1, "stdout", "strict"), (2, "stderr", "backslashreplace")):
        raw = io.FileIO(fd, "w", closefd=False)
        raw.name = f"<{name}>"
        stream = io.TextIOWrapper(raw, "utf-8", errors, newline="\n", write_through=True)
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    # As for a script: the code can import modules that it writes to its own folder.
    sys.path.insert(0, "/home/user")
    package = types.ModuleType("_codeact", "The runner inside the sandbox.")
    package.__path__ = []
    sys.modules["_codeact"] = package
    for name, source in frame["modules"]:
        short = name.rpartition(".")[2]
        module = types.ModuleType(name)
        # Tracebacks recognise the runner's frames by this prefix.
        module.__file__ = f"<codeact>/{short}.py"
        sys.modules[name] = module
        setattr(package, short, module)
        exec(compile(source, module.__file__, "exec"), module.__dict__)
    # Before any import that needs users or `ssl`.
    package.unix_compat.install()
    package.net.install()
    package.net_poll.install()
    package.net_async.install()
    # Before imports that take functions such as `sleep` from their modules.
    package.threads.install()
    package.thread_pool.install()
    # Before `numpy`, and before modules that take functions of `random`.
    package.numpy_compat.install()
    package.random_ranges.install()
    for name in frame["warm"]:
        importlib.import_module(name)
    import builtins

    # The entry point of each turn. The host calls it by this name or by its address.
    builtins.__codeact__ = package.turn.run
    package.wasi_compat.install()
    package.unsupported.install()
    package.event_loop.install()
    package.sources.install()
    package.errors.install()
    package.key_derivation.install()
    package.displays.install()
    package.fonts.install()
    package.ipython.install()
    package.plots.install()
    package.exit_functions.install()
    package.tools.install()
    package.user_input.install()
    package.turn.rehearse()
    package.threads.forget_names()
    package.seeds.find_generators()
    gc.collect()
    # A reference cycle is never collected after `gc.freeze()`, so this one keeps the entry point alive
    # at its address.
    cycle = [package.turn.run]
    cycle.append(cycle)
    # The collector ignores frozen objects. Otherwise it would write to their pages, and each session
    # would get copies of them.
    gc.freeze()
    _host.call(b'{"op":"end","result":"%d"}' % id(package.turn.run))


try:
    boot()
finally:
    del boot
