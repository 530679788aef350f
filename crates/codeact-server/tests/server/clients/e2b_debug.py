"""E2B's SDK in debug mode (`E2B_DEBUG=true`): one sandbox on fixed ports of this machine, without a key."""

from e2b_code_interpreter import Sandbox

sandbox = Sandbox.create()
assert sandbox.sandbox_id == "debug_sandbox_id"
assert sandbox.run_code("x = 1; x").text == "1"
# All clients share it.
assert Sandbox.create().run_code("x").text == "1"
sandbox.files.write("a.txt", "debug")
assert sandbox.run_code("open('a.txt').read()").text == "debug"
assert sandbox.is_running() and sandbox.kill() and sandbox.is_running()
print("ok")
