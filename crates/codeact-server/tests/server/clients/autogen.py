"""AutoGen's executor for a Jupyter server. Arguments: HOST PORT TOKEN."""

import asyncio
import sys
import tempfile
from pathlib import Path

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.docker_jupyter import DockerJupyterCodeExecutor
from autogen_ext.code_executors.docker_jupyter._jupyter_server import (
    JupyterClient,
    JupyterConnectionInfo,
)

HOST, PORT, TOKEN = sys.argv[1:]


async def main():
    info = JupyterConnectionInfo(host=HOST, use_https=False, port=int(PORT), token=TOKEN)
    client = JupyterClient(info)
    specs = await client.list_kernel_specs()
    assert "python3" in specs["kernelspecs"], specs
    kernel = await client.start_kernel("python3")
    assert kernel in [one["id"] for one in await client.list_kernels()]
    async with await client.get_kernel_client(kernel) as connection:
        assert await connection.wait_for_ready(300)
        result = await connection.execute("x = 2\nprint('set')\nx", 300)
        assert result.is_ok and result.output == "set\n\n2", result
        await client.restart_kernel(kernel)
        result = await connection.execute("x", 300)
        assert not result.is_ok and "NameError" in result.output, result
    await client.delete_kernel(kernel)
    assert kernel not in [one["id"] for one in await client.list_kernels()]
    await client.close()

    folder = Path(tempfile.mkdtemp())
    async with DockerJupyterCodeExecutor(info, output_dir=folder, timeout=300) as executor:
        async def run(code):
            block = CodeBlock(code=code, language="python")
            return await executor.execute_code_blocks([block], CancellationToken())

        result = await run("y = 20")
        assert result.exit_code == 0, result
        result = await run("print(y + 1)")
        assert result.exit_code == 0 and result.output.strip() == "21", result
        result = await run("import pandas as pd\npd.DataFrame({'a': [1, 2]})")
        assert result.exit_code == 0 and "codeact" not in result.output, result
        result = await run("raise ValueError('no')")
        assert result.exit_code == 1 and "ValueError: no" in result.output, result
        result = await run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
        assert [path.suffix for path in result.output_files][:1] == [".png"], result
    print("done")


asyncio.run(main())
