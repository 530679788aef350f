"""`pip install` in a sandbox of a tenant that may add packages. Run by the tests."""

from e2b import CommandExitException, Sandbox

sandbox = Sandbox.create(timeout=600)
run = sandbox.commands.run
sandbox.files.write("requirements.txt", "# words\ninflection==0.5.1  # pinned\n")
result = run("pip install -r requirements.txt && python -c 'import inflection; print(inflection.__version__)'", timeout=300)
assert result.stdout == "Successfully installed inflection==0.5.1\n0.5.1\n", result
assert run("python -m pip install inflection==0.5.1").stdout == "Requirement already satisfied: inflection==0.5.1\n"
assert run("pip show inflection | head -2").stdout == "Name: inflection\nVersion: 0.5.1\n"
assert sandbox.files.read("requirements.txt").startswith("# words")
try:
    run("pip install no-such-package-of-codeact-tests==1", timeout=300)
    raise AssertionError("expected an error")
except CommandExitException as error:
    assert error.exit_code == 1 and "ERROR:" in error.stderr, error.stderr
sandbox.kill()
print("done")
