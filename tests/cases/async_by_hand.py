# Coroutines and async generators, driven by hand without an event loop.
class Pause:
    def __init__(self, value):
        self.value = value

    def __await__(self):
        answer = yield self.value
        return answer


async def ask(name):
    first = await Pause(f"{name} one")
    second = await Pause(f"{name} two")
    return first + second


async def ticks(n):
    try:
        for i in range(n):
            await Pause(f"tick {i}")
            yield i
    finally:
        print("ticks closed")


class Manager:
    async def __aenter__(self):
        await Pause("enter")
        return self

    async def __aexit__(self, kind, value, trace):
        await Pause("exit")
        return kind is ValueError


async def main():
    total = await ask("x")
    numbers = [i async for i in ticks(3)]
    async with Manager():
        raise ValueError
    return total, numbers


coroutine = main()
answer = None
while True:
    try:
        print("paused at", coroutine.send(answer))
        answer = 10
    except StopIteration as stop:
        print("result", stop.value)
        break
