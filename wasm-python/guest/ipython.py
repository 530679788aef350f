"""A small stand-in for IPython: `display`, the classes of `IPython.display`, and magics.

It is found only if the real package is not installed. Libraries see no notebook: for them
`IPython.get_ipython()` returns None, so that they behave as in a script.
"""

import builtins
import errno
import importlib.abc
import importlib.machinery
import importlib.metadata
import io
import os
import re
import shlex
import sys
import timeit
import types

from _codeact import displays, ipython_display, notebook

_VERSION = (9, 0, 0, "")
_NO_SHELL = "the sandbox has no processes and no shell; do it in Python"
_TOOLS = ("pip", "pip3", "uv", "conda", "mamba")
# Options of installers that have a value of their own.
_VALUED = frozenset("-i --index-url --extra-index-url -f --find-links -c --channel -t --target -n".split())


class Shell:
    """The object that `get_ipython()` returns to the code of a turn."""

    config = types.MappingProxyType({})

    @property
    def user_ns(self):
        """The session's variables."""
        return _main().__dict__

    def run_line_magic(self, name, line, _stack_depth=1):
        """Runs `%name line`."""
        if name in notebook._SETUP:
            return None
        run = getattr(self, f"_magic_{name}", None)
        if run is None:
            raise _no_magic(f"%{name}")
        return run(line.strip())

    def run_cell_magic(self, name, line, cell):
        """Runs `%%name line` with the lines below it."""
        if name in notebook._MARKUP:
            kinds = ipython_display.MARKUP
            displays.show(kinds.get(name.lower(), ipython_display.Javascript)(cell))
        elif name in ("time", "timeit", "prun", "memit", "lprun", "mprun"):
            notebook.start_timer()
        elif name in ("writefile", "file"):
            self._write_file(line, cell)
        elif name in ("python", "python3", "pypy"):
            exec(compile(cell, f"<%%{name}>", "exec"), self.user_ns)
        elif name != "capture":
            raise _no_magic(f"%%{name}")

    def system(self, command):
        """Runs `!command`: an installation of packages that are available, or an error."""
        if not _install(command):
            raise OSError(errno.ENOTSUP, f"`!{command}` is not available: {_NO_SHELL}")

    def getoutput(self, command):
        """As `system`."""
        self.system(command)
        return []

    def run_cell(self, code, *args, **kwargs):
        """Runs code in the session."""
        code = notebook.translate(code) or code
        exec(compile(code, "<cell>", "exec"), self.user_ns)

    ex = run_cell

    def ev(self, expression):
        """Evaluates an expression in the session."""
        return eval(expression, self.user_ns)

    def _write_file(self, line, cell):
        append = "-a" in line.split()
        name = " ".join(part for part in line.split() if part != "-a").strip("'\"")
        with open(os.path.expanduser(name), "a" if append else "w") as file:
            file.write(cell if cell.endswith("\n") else cell + "\n")
        print(f"{'Appending to' if append else 'Writing'} {name}")

    def _magic_pip(self, line):
        self.system(f"pip {line}")

    def _magic_uv(self, line):
        self.system(f"uv {line}")

    _magic_conda = _magic_mamba = _magic_pip

    def _magic_system(self, line):
        self.system(line)

    _magic_sx = _magic_sc = _magic_system

    def _magic_pwd(self, line):
        return os.getcwd()

    def _magic_cd(self, line):
        os.chdir(os.path.expanduser(line.strip("'\"") or "~"))
        print(os.getcwd())

    def _magic_ls(self, line):
        folder = line.split()[-1] if line.split() and not line.split()[-1].startswith("-") else "."
        print("\n".join(sorted(os.listdir(os.path.expanduser(folder)))))

    _magic_ll = _magic_ls

    def _magic_mkdir(self, line):
        os.makedirs(line.removeprefix("-p").strip())

    def _magic_env(self, line):
        if not line:
            return dict(os.environ)
        name, equals, value = re.sub(r"\s+", "=", line, count=0 if "=" in line else 1).partition("=")
        if not equals:
            return os.environ.get(name)
        os.environ[name.strip()] = value.strip()
        print(f"env: {name.strip()}={value.strip()}")

    _magic_set_env = _magic_env

    def _magic_who(self, line):
        names = self._names()
        print("   ".join(names) if names else "Interactive namespace is empty.")

    def _magic_who_ls(self, line):
        return self._names()

    def _magic_whos(self, line):
        for name in self._names():
            print(f"{name:20} {type(self.user_ns[name]).__name__}")

    def _names(self):
        hidden = types.ModuleType
        pairs = list(self.user_ns.items())
        return [k for k, v in pairs if not k.startswith("_") and not isinstance(v, hidden)]

    def _magic_run(self, line):
        name, *args = shlex.split(line)
        with io.open_code(os.path.abspath(name)) as file:
            code = compile(file.read(), name, "exec")
        before = sys.argv[:]
        sys.argv[:] = [name, *args]
        try:
            exec(code, self.user_ns)
        finally:
            sys.argv[:] = before

    def _magic_time(self, line):
        notebook.start_timer()
        if line:
            exec(compile(line, "<%time>", "exec"), self.user_ns)

    _magic_prun = _magic_memit = _magic_time

    def _magic_timeit(self, line):
        match = re.match(r"((?:-\w\s*\d*\s+)*)(.*)", line, re.DOTALL)
        options = dict(re.findall(r"-([nr])\s*(\d+)", match[1]))
        timer = timeit.Timer(match[2] or "pass", globals=self.user_ns)
        loops = int(options.get("n", 0)) or timer.autorange()[0]
        times = timer.repeat(min(int(options.get("r", 3)) or 1, 100), loops)
        # The clock has a resolution of 20 µs.
        fast = "less than " if min(times) < 20e-6 else ""
        best = notebook.duration(max(min(times), 20e-6) / loops)
        print(f"{fast}{best} per loop (best of {len(times)} runs, {loops} loops each)")

    def _magic_pinfo(self, line):
        import inspect

        try:
            thing = eval(line, self.user_ns)
        except Exception:
            print(f"Object `{line}` not found.")
            return
        try:
            print(f"Signature: {line}{inspect.signature(thing)}")
        except (TypeError, ValueError):
            print(f"Type: {type(thing).__name__}")
        print(f"Docstring: {inspect.getdoc(thing) or '<no docstring>'}")

    _magic_pinfo2 = _magic_pdoc = _magic_psource = _magic_pinfo

    def _magic_capture(self, line):
        pass

    _magic_reset_selective = _magic_capture


def _run_old_magic(self, line):
    name, _, rest = line.lstrip("%").partition(" ")
    return self.run_line_magic(name, rest)


Shell.magic = Shell.run_magic = _run_old_magic
_shell = Shell()


def _no_magic(name):
    return OSError(
        errno.ENOTSUP,
        f"the notebook magic {name} is not available: the sandbox runs plain Python",
    )


def get_ipython():
    """Returns the shell to the code of a turn, and None to libraries."""
    return _shell if sys._getframe(1).f_globals is _main().__dict__ else None


def _main():
    return sys.modules["__main__"]


def _install(command):
    """Accepts a command that installs packages which are available. Returns False for others."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        return False
    if words[:1] and re.fullmatch(r"python[\d.]*|\S*/python[\d.]*|\{sys\.executable\}", words[0]):
        words = words[2:] if words[1:2] == ["-m"] else []
    if words[:2] == ["uv", "pip"]:
        words = words[1:]
    if len(words) < 2 or words[0] not in _TOOLS:
        return False
    if words[1] not in ("install", "add"):
        return False
    missing = [name for name in _requirements(words[2:]) if not _is_available(name)]
    if missing:
        raise ModuleNotFoundError(
            f"cannot install {', '.join(missing)}: packages cannot be installed from inside the "
            "sandbox; a pure-Python package can be added to the sandbox's packages before the code runs"
        )
    return True


def _requirements(words):
    words = iter(words)
    for word in words:
        if word in ("-r", "--requirement"):
            with open(next(words, ""), encoding="utf-8") as file:
                lines = (line.partition("#")[0].strip() for line in file)
                yield from [line for line in lines if line and not line.startswith("-")]
        elif word in _VALUED:
            next(words, None)
        elif word in ("&&", ";", "|", ">", "2>&1") or word.startswith((">", "2>")):
            return
        elif not word.startswith("-"):
            yield word


def _is_available(requirement):
    name = re.match(r"[\w.-]*", requirement)[0]
    if name.lower() in ("pip", "setuptools", "wheel", "ipython", "jupyter", "notebook"):
        return True
    try:
        version = importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return name.replace("-", "_") in sys.stdlib_module_names
    if _is_satisfied(requirement, version):
        print(f"Requirement already satisfied: {requirement} (version {version})")
    else:
        print(f"{requirement} is not available: the sandbox has {name} {version}")
    return True


def _is_satisfied(requirement, version):
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(requirement).specifier.contains(version, prereleases=True)
    except InvalidRequirement:
        return True


# The modules of the stand-in and their names.
_MODULES = {
    "IPython": {"get_ipython": get_ipython, "display": None, "version_info": _VERSION},
    "IPython.display": ipython_display.NAMES,
    "IPython.core": {},
    "IPython.core.display": ipython_display.NAMES,
    "IPython.core.display_functions": ipython_display.NAMES,
    "IPython.core.getipython": {"get_ipython": get_ipython},
}


class _StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and makes the modules of the stand-in."""

    def find_spec(self, name, path=None, target=None):
        if name not in _MODULES:
            return None
        is_package = name in ("IPython", "IPython.core")
        return importlib.machinery.ModuleSpec(name, self, is_package=is_package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.__doc__ = __doc__
        module.__version__ = "9.0.0"
        names = _MODULES[module.__name__]
        module.__dict__.update({k: v for k, v in names.items() if v is not None})
        if module.__name__ == "IPython":
            importlib.import_module("IPython.display")


def install():
    """Installs the builtins and the stand-in. Called while the image is made."""
    builtins.display = displays.show
    builtins.get_ipython = get_ipython
    # Last, so that the real package is found first.
    sys.meta_path.append(_StandIn())
