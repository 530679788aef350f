"""The code interpreter of E2B's Python SDK: its own examples and tests, as functions."""

import base64
import threading

from e2b import InvalidArgumentException, NotFoundException, SandboxException, TimeoutException
from e2b_code_interpreter import Sandbox
from e2b_code_interpreter.charts import BarChart, BoxAndWhiskerChart, LineChart, PieChart, ScatterChart


def state_lasts(sandbox):
    sandbox.run_code("test_stateful = 1")
    result = sandbox.run_code("test_stateful += 1; test_stateful")
    assert result.text == "2", result
    assert result.execution_count == 2, result
    assert sandbox.run_code("x = 1; x").text == "1"
    assert sandbox.run_code("'a' + 'b'").text == "ab"


def output_is_streamed(sandbox):
    out, err, results, errors = [], [], [], []
    execution = sandbox.run_code(
        "import sys\nprint('Hello from e2b')\nprint('bad', file=sys.stderr)\nx = 1; x",
        on_stdout=out.append,
        on_stderr=err.append,
        on_result=results.append,
        on_error=errors.append,
    )
    # One print is one line, unless the machine is busy.
    assert "".join(execution.logs.stdout) == "Hello from e2b\n", execution
    assert "".join(execution.logs.stderr) == "bad\n", execution
    assert "".join(line.line for line in out) == "Hello from e2b\n" and not out[0].error
    assert "".join(line.line for line in err) == "bad\n" and err[0].error
    assert out[0].timestamp > 1_700_000_000 * 10**9
    assert [result.text for result in results] == ["1"] and not errors


def output_arrives_while_the_code_runs(sandbox):
    # The code ends only because its first output has arrived.
    arrived = threading.Event()
    threading.Thread(target=lambda: arrived.wait(60) and sandbox.restart_code_context("default")).start()
    execution = sandbox.run_code(
        "print('ready', flush=True)\nimport time\ntime.sleep(10_000)",
        on_stdout=lambda line: arrived.set(),
        timeout=120,
    )
    assert execution.logs.stdout == ["ready\n"], execution
    assert execution.error.name == "KeyboardInterrupt", execution.error


def errors_are_data(sandbox):
    errors = []
    execution = sandbox.run_code("xyz", on_error=errors.append)
    assert len(errors) == 1 and execution.error.name == "NameError", execution
    assert execution.error.value == "name 'xyz' is not defined", execution.error
    assert "NameError" in execution.error.traceback and "line 1" in execution.error.traceback
    assert sandbox.run_code("def f(:").error.name == "SyntaxError"
    assert sandbox.run_code("import sys; sys.exit(3)").error.name == "SystemExit"
    code = "class FinalAnswerException(Exception): pass\nraise FinalAnswerException('safe:1')"
    error = sandbox.run_code(code).error
    assert (error.name, error.value) == ("FinalAnswerException", "safe:1"), error


def plots_are_pictures_and_charts(sandbox):
    plot = """
    import matplotlib.pyplot as plt
    import numpy as np

    x = np.linspace(0, 20, 100)
    plt.plot(x, np.sin(x), label='sin')
    plt.title('A sine')
    plt.xlabel('Time (s)')
    plt.show()

    x
    """
    out = []
    execution = sandbox.run_code(plot, on_result=out.append)
    assert len(out) == 2, execution
    picture, value = execution.results
    assert base64.b64decode(picture.png).startswith(b"\x89PNG"), picture.formats()
    assert picture.text and not picture.extra, (picture.text, picture.extra)
    assert not picture.is_main_result and value.is_main_result
    assert value.text.startswith("array(["), value
    chart = picture.chart
    assert isinstance(chart, LineChart) and chart.title == "A sine", chart
    assert chart.x_label == "Time (s)" and chart.x_unit == "s", chart.to_dict()
    assert chart.elements[0].label == "sin" and len(chart.elements[0].points) == 100
    for code, kind in [
        ("plt.bar(['a', 'b'], [1, 2])", BarChart),
        ("plt.scatter([1, 2], [3, 4])", ScatterChart),
        ("plt.pie([90, 10], labels=['No', 'No, in blue'])", PieChart),
        ("plt.boxplot([[1, 2, 3, 9], [2, 3]])", BoxAndWhiskerChart),
    ]:
        execution = sandbox.run_code(f"import matplotlib.pyplot as plt\nplt.figure()\n{code}\nplt.show()")
        charts = [result.chart for result in execution.results if result.chart]
        assert len(charts) == 1 and isinstance(charts[0], kind), (code, execution, charts)


def output_that_is_cut_says_so(sandbox):
    logs = sandbox.run_code("for i in range(300_000): print(i)").logs
    assert len("".join(logs.stdout)) == 1 << 20, len("".join(logs.stdout))
    assert "stdout was cut: 1048576 bytes kept" in "".join(logs.stderr), logs.stderr


def frames_are_data(sandbox):
    execution = sandbox.run_code("import pandas as pd\npd.DataFrame({'a': [1, 2, 3], 'b': ['x', 'y', None]})")
    result = execution.results[0]
    assert result.data == {"a": [1, 2, 3], "b": ["x", "y", None]}, result.data
    assert result.is_main_result and "<table" in result.html and "a" in result.text, result.formats()


def displays_have_their_types(sandbox):
    code = """
from IPython.display import display, HTML, Markdown, Latex, JSON, SVG
display({'text/latex': r'\\text{CustomReprObject}'}, raw=True)
display(HTML('<b>x</b>'))
display(Markdown('# x'))
display(JSON({'a': 1}))
class Own:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {'text/plain': 'own', 'application/x-own': {'b': 2}}
Own()
"""
    results = sandbox.run_code(code).results
    assert results[0].formats() == ["latex"], results[0].formats()
    assert results[1].html == "<b>x</b>" and results[2].markdown == "# x", results
    assert results[3].json == {"a": 1}, results[3].json
    assert results[4].text == "own" and results[4].extra == {"application/x-own": {"b": 2}}, results[4].extra


def contexts_have_variables_of_their_own(sandbox):
    context = sandbox.create_code_context()
    last = sandbox.list_code_contexts()[-1]
    assert (last.id, last.language, last.cwd) == (context.id, "python", "/home/user"), last
    sandbox.run_code("x = 1")
    error = sandbox.run_code("x", context=context).error
    assert error.value == "name 'x' is not defined", error
    sandbox.run_code("x = 2; open('shared.txt', 'w').write('from the context')", context=context)
    assert sandbox.run_code("x").text == "1"
    assert sandbox.run_code("open('shared.txt').read()").text == "from the context"
    assert sandbox.run_code("x", context=context).execution_count == 3
    sandbox.restart_code_context(context.id)
    assert sandbox.run_code("x", context=context).error.name == "NameError"
    assert sandbox.run_code("open('shared.txt').read()", context=context).text == "from the context"
    sandbox.run_code("import os; os.makedirs('/home/user/deep', exist_ok=True)")
    deep = sandbox.create_code_context(cwd="/home/user/deep")
    assert sandbox.run_code("import os; os.getcwd()", context=deep).text == "/home/user/deep"
    assert sandbox.run_code("1", context=deep).execution_count == 2
    sandbox.restart_code_context(deep)
    assert sandbox.run_code("import os; os.getcwd()", context=deep).text == "/home/user/deep"
    sandbox.remove_code_context(context)
    assert context.id not in [one.id for one in sandbox.list_code_contexts()]
    for call in (
        lambda: sandbox.run_code("1", context=context),
        lambda: sandbox.restart_code_context(context),
        lambda: sandbox.remove_code_context(context),
    ):
        try:
            call()
        except NotFoundException as error:
            assert "not found" in str(error), error
        else:
            raise AssertionError("a removed context answers")
    try:
        sandbox.create_code_context(cwd="/no/such/folder")
    except SandboxException as error:
        assert "working directory" in str(error), error
    else:
        raise AssertionError("a context has a folder that does not exist")
    # The default context restarts by its identifier.
    default = sandbox.list_code_contexts()[0]
    sandbox.restart_code_context(default)
    assert sandbox.run_code("x").error.name == "NameError"


def variables_of_the_environment(sandbox):
    own = Sandbox.create(envs={"TEST_ENV_VAR": "supertest"})
    code = "import os; os.getenv('TEST_ENV_VAR')"
    assert own.run_code(code).text == "supertest"
    assert own.run_code(code, envs={"TEST_ENV_VAR": "overwrite"}).text == "overwrite"
    assert own.run_code(code).text == "supertest"
    own.kill()
    assert sandbox.run_code("import os; os.getenv('FOO')", envs={"FOO": "bar"}).text == "bar"
    assert sandbox.run_code("import os; os.getenv('FOO', 'default')").text == "default"
    try:
        sandbox.run_code("1", envs={"A=B": "x"})
    except SandboxException as error:
        assert "env_vars" in str(error), error
    else:
        raise AssertionError("a variable with = in its name")


def languages(sandbox):
    assert sandbox.run_code("1 + 1", language="python").text == "2"
    for language in ("js", "r", "java", "cobol"):
        try:
            sandbox.run_code("1", language=language)
        except SandboxException as error:
            assert f'"{language}" is not available' in str(error), error
        else:
            raise AssertionError(f"{language} runs")
    try:
        sandbox.run_code("1", language="js", context=sandbox.create_code_context())
    except InvalidArgumentException:
        pass
    else:
        raise AssertionError("a context and a language")
    execution = sandbox.run_code("echo hello > a.txt; cat a.txt; pwd; exit 3", language="bash")
    assert "".join(execution.logs.stdout) == "hello\n/home/user\n", execution
    assert execution.error.value == "3", execution.error
    assert sandbox.run_code("open('a.txt').read()").text == "hello\\n"


def notebook_lines(sandbox):
    execution = sandbox.run_code("!pwd")
    assert "".join(execution.logs.stdout).strip() == "/home/user", execution
    execution = sandbox.run_code("!pip install numpy pandas")
    assert "Requirement already satisfied: numpy" in "".join(execution.logs.stdout), execution
    assert execution.error is None
    execution = sandbox.run_code("%pip install -q numpy\nimport numpy\nnumpy.array([1]).sum()")
    assert execution.text is not None and not execution.logs.stdout, execution
    execution = sandbox.run_code("!pip install -r requirements.txt\n'goes on'")
    assert "not supported here" in "".join(execution.logs.stderr) and execution.text == "goes on", execution
    text = sandbox.run_code("x = '''\n!pip install a\n'''\nx").text
    assert text == "\\n!pip install a\\n", text


def time_outs(sandbox):
    sandbox.run_code("kept = 1")
    try:
        sandbox.run_code("kept = 2\nimport time\ntime.sleep(300)", timeout=1)
    except TimeoutException as error:
        assert "Execution timed out" in str(error), error
    else:
        raise AssertionError("no time-out")
    # The server stops the code of a client that hung up, and takes it back.
    assert sandbox.run_code("kept", timeout=30).text == "1"


def kill_while_the_code_runs(sandbox):
    own = Sandbox.create()
    started = threading.Event()
    threading.Thread(target=lambda: started.wait(60) and own.kill()).start()
    try:
        own.run_code(
            "print('started', flush=True)\nimport time\ntime.sleep(300)",
            timeout=120,
            on_stdout=lambda line: started.set(),
        )
    except TimeoutException as error:
        assert "sandbox was killed while the request was in progress" in str(error), error
    else:
        raise AssertionError("a killed sandbox ends its execution")


TESTS = [
    state_lasts,
    output_is_streamed,
    output_arrives_while_the_code_runs,
    errors_are_data,
    plots_are_pictures_and_charts,
    output_that_is_cut_says_so,
    frames_are_data,
    displays_have_their_types,
    contexts_have_variables_of_their_own,
    variables_of_the_environment,
    languages,
    notebook_lines,
    time_outs,
    kill_while_the_code_runs,
]

if __name__ == "__main__":
    from e2b_support import main

    main(TESTS, Sandbox.create)
