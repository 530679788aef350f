"""Times E2B's Python SDK against a server. For scripts/bench-server.

    time_e2b.py tti N      N times: create a sandbox, run code, and kill it
    time_e2b.py burst N    N sandboxes made at once, each with one run
"""

import asyncio
import json
import statistics
import sys
import time

from e2b_code_interpreter import AsyncSandbox, Sandbox

CODE = "print(1 + 1)"


def tti(count):
    times = []
    for _ in range(count + 3):
        begun = time.perf_counter()
        sandbox = Sandbox.create()
        execution = sandbox.run_code(CODE)
        times.append((time.perf_counter() - begun) * 1e3)
        assert execution.logs.stdout == ["2\n"], execution
        sandbox.kill()
    # The first ones open connections and import modules.
    times = sorted(times[3:])
    return {"p50_ms": statistics.median(times), "p90_ms": times[int(len(times) * 0.9)], "n": len(times)}


async def burst(count):
    async def one():
        begun = time.perf_counter()
        sandbox = await AsyncSandbox.create()
        execution = await sandbox.run_code(CODE)
        assert execution.logs.stdout == ["2\n"], execution
        return sandbox, (time.perf_counter() - begun) * 1e3

    await one()
    begun = time.perf_counter()
    made = await asyncio.gather(*(one() for _ in range(count)))
    all_ms = (time.perf_counter() - begun) * 1e3
    times = sorted(time for _, time in made)
    await asyncio.gather(*(sandbox.kill() for sandbox, _ in made))
    return {"all_ms": all_ms, "p50_ms": statistics.median(times), "n": count}


mode, count = sys.argv[1], int(sys.argv[2])
print(json.dumps(tti(count) if mode == "tti" else asyncio.run(burst(count))))
