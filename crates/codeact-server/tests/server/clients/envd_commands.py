"""Commands of a sandbox with E2B's SDK. Run by the tests; the server is named by E2B's environment variables."""

import asyncio
import os

import e2b
from e2b import AsyncSandbox, CommandExitException, Sandbox, TimeoutException


def raises(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


sandbox = Sandbox.create(timeout=600)
run = sandbox.commands.run

# Output, streams, exit codes.
result = run("echo hi; echo err >&2")
assert (result.stdout, result.stderr, result.exit_code) == ("hi\n", "err\n", 0), result
out, err = [], []
run("for i in 1 2 3; do echo $i; done; echo e >&2", on_stdout=out.append, on_stderr=err.append)
assert ("".join(out), "".join(err)) == ("1\n2\n3\n", "e\n")
error = raises(CommandExitException, lambda: run("echo out; exit 3"))
assert (error.exit_code, error.stdout) == (3, "out\n")
error = raises(CommandExitException, lambda: run("no-such-program x"))
assert error.exit_code == 127 and "command not found" in error.stderr and "sandbox" in error.stderr, error
assert raises(CommandExitException, lambda: run("echo (")).exit_code == 2

# Environment, working folder, users.
assert run("echo $A $B; pwd", envs={"A": "1", "B": "two words"}, cwd="/tmp").stdout == "1 two words\n/tmp\n"
assert run("echo $HOME; pwd; whoami").stdout == "/home/user\n/home/user\nuser\n"
assert run("pwd", user="root").stdout == "/home/user\n"
raises(e2b.InvalidArgumentException, lambda: run("pwd", cwd="/nowhere"))

# The language and the tools.
for command, expected in [
    ("cat <<E | tr a-z A-Z\nhere $((2 * 21))\nE", "HERE 42\n"),
    ("x=$(printf 'a b\\n'); echo \"[$x]\" '$x'", "[a b] $x\n"),
    ("false && echo no || echo yes; true; echo $?", "yes\n0\n"),
    ("f() { echo \"$2 $1\"; }; f a b", "b a\n"),
    ("mkdir -p d/e && cd d && echo x > e/1 && cp e/1 2 && mv 2 3 && ls . e", None),
    ("printf 'b\\na\\nb\\n' | sort | uniq -c | awk '{print $2, $1}'", "a 1\nb 2\n"),
    ("echo a:b:c | cut -d: -f2; echo abc | sed 's/b/X/'; seq 3 | tail -1", "b\naXc\n3\n"),
    ("for f in *.none; do echo $f; done; i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i", "*.none\n3\n"),
    ("find d -name '[0-9]' | sort | xargs wc -l | tail -1", None),
    ("echo hi | sha256sum | cut -c1-8; echo hi | base64", "98ea6e4f\naGkK\n"),
    ("case abc in a*) echo A;; esac; test -d d && basename /x/y.txt .txt", "A\ny\n"),
    ("grep -rn x d/e; head -c 2 <<< hello; echo; which python3", "d/e/1:1:x\nhe\n/usr/bin/python3\n"),
    ("tar czf t.tgz d && rm -r d && tar xzf t.tgz && cat d/e/1 && du -s d >/dev/null && stat -c %s d/e/1", "x\n2\n"),
]:
    result = run(command)
    assert expected is None or result.stdout == expected, (command, result)

# Python.
assert run("python -c 'import sys; print(sys.argv[1:], sum(range(5)))' a b").stdout == "['a', 'b'] 10\n"
sandbox.files.write("prog.py", "import sys, helper\nprint(__name__, __file__, sys.argv, helper.X)\nopen('made.txt', 'w').write('1')\n")
sandbox.files.write("helper.py", "X = 7\n")
assert run("python3 prog.py a").stdout == "__main__ prog.py ['prog.py', 'a'] 7\n"
assert run("cat made.txt").stdout == "1"
assert run("cd /tmp && python /home/user/prog.py && ls made.txt").stdout.endswith("['/home/user/prog.py'] 7\nmade.txt\n")
assert run("echo 'print(1 + 1)' | python").stdout == "2\n"
assert run("python - <<'E'\nprint('from stdin')\nE").stdout == "from stdin\n"
assert run("printf '3\\n4\\n' | python -c 'print(int(input()) + int(input()))'").stdout == "7\n"
assert run("echo '{\"a\": [1]}' | python -m json.tool --compact").stdout == '{"a":[1]}\n'
assert run("python --version").stdout.startswith("Python 3.")
assert run("X=5 python -c 'import os; print(os.environ[\"X\"])'").stdout == "5\n"
assert run("echo before > f.txt; python -c 'open(\"f.txt\", \"a\").write(\"py\\n\")'; echo after >> f.txt; cat f.txt").stdout == "before\npy\nafter\n"
assert run("python -c 'print(1)' > o.txt; cat o.txt").stdout == "1\n"
error = raises(CommandExitException, lambda: run("python -c 'import sys; sys.exit(5)'"))
assert error.exit_code == 5
error = raises(CommandExitException, lambda: run("python -c 'def f(): 1 / 0\nf()'"))
assert error.exit_code == 1 and "ZeroDivisionError" in error.stderr and "launch" not in error.stderr, error.stderr
assert 'File "<string>", line 2, in <module>' in error.stderr, error.stderr
error = raises(CommandExitException, lambda: run("python nothing.py"))
assert error.exit_code == 2 and "can't open file" in error.stderr, error.stderr
error = raises(CommandExitException, lambda: run("python -m no_such_module"))
assert "No module named no_such_module" in error.stderr, error.stderr
# A process does not see the variables of another one.
assert run("python -c 'a = 1'; python -c 'print(\"a\" in globals())'").stdout == "False\n"
# A file without its end is written by a program that is read while it runs.
assert run("python -c 'while True: print(1)' | head -2").stdout == "1\n1\n"

# Packages.
assert "Requirement already satisfied: numpy" in run("pip install numpy").stdout
assert run("python -m pip install -q numpy").stdout == ""
assert "numpy" in run("pip list").stdout
error = raises(CommandExitException, lambda: run("pip install inflection==0.5.1"))
assert error.exit_code == 1 and "ERROR: this server does not let" in error.stderr, error.stderr

# Background, wait, kill, list, connect.
handle = run("sleep 0.2; echo done", background=True)
assert handle.pid in [process.pid for process in sandbox.commands.list()]
assert handle.wait().stdout == "done\n"
assert sandbox.commands.list() == []
handle = run("sleep 600", background=True)
[process] = sandbox.commands.list()
assert (process.cmd, process.args) == ("/bin/bash", ["-l", "-c", "sleep 600"]), process
other = sandbox.commands.connect(handle.pid)
assert handle.kill() is True
error = raises(CommandExitException, handle.wait)
assert error.exit_code == -1 and "killed" in error.error, (error.exit_code, error.error)
assert raises(CommandExitException, other.wait).exit_code == -1
assert handle.kill() is False
assert sandbox.commands.kill(999999) is False
raises(e2b.NotFoundException, lambda: sandbox.commands.connect(999999))
# What a killed command has written stays.
handle = run("echo kept > kept.txt; echo written; sleep 600", background=True)
assert next(iter(handle))[0] == "written\n"
handle.kill()
raises(CommandExitException, handle.wait)
assert sandbox.files.read("kept.txt") in ("kept\n",)

# Stdin.
handle = run("read name; echo hello $name; cat; exit 4", background=True, stdin=True)
sandbox.commands.send_stdin(handle.pid, "world\n")
sandbox.commands.send_stdin(handle.pid, "rest")
sandbox.commands.close_stdin(handle.pid)
error = raises(CommandExitException, handle.wait)
assert (error.exit_code, error.stdout) == (4, "hello world\nrest"), error
handle = run("python -c 'print(\"got\", input())'", background=True, stdin=True)
handle.send_stdin("a line\n")
assert handle.wait().stdout == "got a line\n"
assert run("echo ends", stdin=True).stdout == "ends\n"
handle = run("sleep 600", background=True)
raises(e2b.SandboxException, lambda: handle.send_stdin("x"))
handle.kill()

# Time-outs.
raises(TimeoutException, lambda: run("sleep 600", timeout=0.5))
raises(TimeoutException, lambda: run("while true; do sleep 0.01; done", timeout=0.5))
raises(TimeoutException, lambda: run("python -c 'while True: pass'", timeout=1))

# Bounded: each ends with an error or an exit code, and the sandbox goes on. The text is part of the error's message.
for name, command, expected in [
    ("fork bomb", ":(){ :|:& };:", None),
    ("loop without end", "while true; do :; done", "maximum command count"),
    ("recursion", "f() { f; }; f", "maximum function depth"),
    ("endless file", "yes > big.txt", "output limit"),
    ("endless device", "cat /dev/zero > zero.bin", "endless"),
    ("huge braces", "echo {1..100000000}", "brace range too large"),
    ("huge variable", "x=aaaaaaaaaa; while :; do x=$x$x; done", "memory limit"),
    ("one gigabyte at once", "python -c 'print(\"x\" * (1 << 30))'", "MemoryError"),
    ("one gigabyte in pieces", "python -c 'for i in range(1 << 14): print(\"x\" * 65535)'; false", "were dropped"),
    ("deep nesting", "eval \"$(printf '(%.0s' {1..5000})\"", "syntax error"),
    ("deep subshells", "f() { (f); }; f", "depth exceeded"),
    ("huge glob", "ls /*/*/*/*/*/*/*/* > /dev/null", "No such file"),
    ("a socket of the host", "exec 3<> /dev/tcp/127.0.0.1/22", "No such file"),
    ("the network", "curl http://127.0.0.1/", "command not found"),
    ("a file of the host", "cat ../../../../etc/shadow", "No such file"),
    ("a full disk", "python -c 'open(\"f\", \"wb\").write(bytes(1 << 24))'", "No space"),
    ("zip bomb", "python -c 'import zipfile; zipfile.ZipFile(\"b.zip\", \"w\", 8).writestr(\"b\", bytes(64 << 20))' && unzip b.zip", ""),
    ("disk filled by a tool", "for i in 1 2 3 4 5 6 7 8 9 10; do dd if=/dev/zero of=z$i bs=1M count=1 2>&1; done", "No space"),
]:
    try:
        result = run(command, timeout=120)
        message = result.stderr
        assert expected is None, (name, result.stdout[:500], result.stderr[-500:])
    except CommandExitException as error:
        message = error.stderr + error.stdout[-500:]
    assert expected is None or expected in message, (name, message[-500:])
    assert run("echo alive").stdout == "alive\n", name
assert run("yes | head -3").stdout == "y\ny\ny\n"
assert run("seq 300000 | tail -1; seq -w 8 10").stdout == "300000\n08\n09\n10\n"
sandbox.kill()


async def streams():
    sandbox = await AsyncSandbox.create(timeout=600)
    events = []
    seen = asyncio.Event()

    def on_event(event):
        events.append((event.name, event.type.value))
        seen.set()

    await sandbox.files.make_dir("watched")
    watcher = await sandbox.files.watch_dir("watched", on_event)
    await sandbox.commands.run("echo x > watched/a.txt")
    await asyncio.wait_for(seen.wait(), 120)
    assert ("a.txt", "create") in events, events
    await watcher.stop()
    results = await asyncio.gather(*(sandbox.commands.run(f"echo {i} > f{i}; cat f{i}") for i in range(8)))
    assert [result.stdout for result in results] == [f"{i}\n" for i in range(8)]
    names = {entry.name for entry in await sandbox.files.list("/home/user")}
    assert {f"f{i}" for i in range(8)} <= names, names
    await sandbox.kill()


asyncio.run(streams())
print("done")
