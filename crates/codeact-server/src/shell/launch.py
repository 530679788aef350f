"""Runs a program as `python` does. The request is JSON in the global name `_codeact_request`."""


def _codeact_launch(request):
    import json
    import os
    import sys

    request = json.loads(request)
    main = sys.modules["__main__"].__dict__
    for name in ("_codeact_launch", "_codeact_request"):
        main.pop(name, None)
    kind, program = request["kind"], request["program"]
    own = sys._getframe().f_code.co_filename

    def fail(message, status):
        print(message, file=sys.stderr)
        raise SystemExit(status)

    try:
        os.chdir(request["cwd"])
    except OSError as error:
        fail(f"python: cannot use the working directory: {error}", 2)
    try:
        if kind == "module":
            import runpy

            sys.path.insert(0, os.getcwd())
            runpy.run_module(program, run_name="__main__", alter_sys=True)
            return
        if kind == "file":
            try:
                with open(program, "rb") as file:
                    source = file.read()
            except OSError as error:
                fail(f"python: can't open file {os.path.abspath(program)!r}: [Errno {error.errno}] {error.strerror}", 2)
            sys.path.insert(0, os.path.dirname(os.path.abspath(program)))
            main["__file__"] = program
            filename = program
        else:
            source = program
            sys.path.insert(0, "")
            filename = "<string>" if kind == "code" else "<stdin>"
        exec(compile(source, filename, "exec", dont_inherit=True), main)
    except SystemExit:
        raise
    except BaseException as error:
        if kind == "module" and isinstance(error, ImportError) and error.name is not None:
            root = program.partition(".")[0]
            if error.name in (root, program) or "__main__" in str(error):
                fail(f"python: {error}", 1)
        # The frames of this function and of runpy are not the program's.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in (own, "<frozen runpy>"):
            trace = trace.tb_next
        sys.stdout.flush()
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        raise SystemExit(1) from None


_codeact_launch(_codeact_request)
