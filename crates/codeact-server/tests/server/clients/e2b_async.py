"""The asynchronous client of E2B's Python SDK, with many sandboxes at a time."""

import asyncio

from e2b_code_interpreter import AsyncSandbox


async def main():
    sandboxes = await asyncio.gather(*(AsyncSandbox.create(envs={"N": str(n)}) for n in range(10)))
    code = "import os\nprint('n', os.environ['N'])\nint(os.environ['N']) ** 2"
    seen = []

    async def on_result(result):
        seen.append(result.text)

    executions = await asyncio.gather(*(one.run_code(code, on_result=on_result) for one in sandboxes))
    for n, execution in enumerate(executions):
        assert execution.text == str(n * n) and "".join(execution.logs.stdout) == f"n {n}\n", execution
    assert sorted(seen, key=int) == [str(n * n) for n in range(10)], seen
    one = sandboxes[0]
    context = await one.create_code_context()
    await one.run_code("x = 1", context=context)
    assert (await one.run_code("x", context=context)).text == "1"
    assert (await one.run_code("x")).error.name == "NameError"
    # Executions of one sandbox run one after another.
    numbers = await asyncio.gather(*(one.run_code("n = globals().get('n', 0) + 1; n") for _ in range(8)))
    assert sorted(int(execution.text) for execution in numbers) == list(range(1, 9)), numbers
    forks = await one.fork(count=2)
    assert [(await fork.run_code("n")).text for fork in forks] == ["8", "8"]
    assert all(await asyncio.gather(*(sandbox.kill() for sandbox in [*sandboxes, *forks])))


asyncio.run(main())
print("ok")
