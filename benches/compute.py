"""Ten small programs in pure Python, for native CPython and for the sandbox.

Arguments select programs by name. Prints one JSON line for each: the best time of three runs in
seconds, and a checksum that must be the same in every build. With `--endless NAME` it repeats one
program and prints its checksum each time. No result depends on hash(), id(), the time or the word
size.
"""

import json
import re
import sys
import time


def lcg(seed):
    """Yields pseudorandom 31-bit numbers, the same in every build."""
    state = seed
    while True:
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        yield state


def mix(checksum, value):
    """Returns a 32-bit checksum updated with one number."""
    return ((checksum ^ value) * 16777619) & 0xFFFFFFFF


def recursion():
    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    def ackermann(m, n):
        if m == 0:
            return n + 1
        if n == 0:
            return ackermann(m - 1, 1)
        return ackermann(m - 1, ackermann(m, n - 1))

    return fib(29) * 1000 + ackermann(2, 60)


def integer_loops():
    sieve = bytearray([1]) * 200_000
    sieve[0] = sieve[1] = 0
    for n in range(2, 448):
        if sieve[n]:
            for multiple in range(n * n, len(sieve), n):
                sieve[multiple] = 0
    longest = 0
    for start in range(1, 9_000):
        n, steps = start, 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        longest = max(longest, steps * 10_000 + start)
    return sum(sieve) * 10_000_000 + longest


def dicts():
    counts = {}
    numbers = lcg(1)
    for _ in range(250_000):
        key = next(numbers) >> 18
        counts[key] = counts.get(key, 0) + 1
    groups = {}
    for key, count in counts.items():
        groups.setdefault(count, []).append(f"k{key}")
    checksum = 0
    for count in sorted(groups):
        checksum = mix(checksum, count * 1000 + len(groups[count]))
    inverse = {name: count for count, names in groups.items() for name in names}
    return mix(checksum, sum(inverse.values()) + len(inverse))


def sorting():
    numbers = lcg(2)
    rows = [(next(numbers) % 1000, next(numbers), str(next(numbers))) for _ in range(30_000)]
    checksum = 0
    for ordered in (
        sorted(rows),
        sorted(rows, key=lambda row: row[2]),
        sorted(rows, key=lambda row: (-row[0], row[2])),
    ):
        for row in ordered[::100]:
            checksum = mix(checksum, row[1])
    return checksum


class Body:
    def __init__(self, x, y, vx, vy):
        self.x, self.y, self.vx, self.vy = x, y, vx, vy

    def step(self):
        self.x += self.vx
        self.y += self.vy
        self.bounce()

    def bounce(self):
        if not 0 <= self.x < 1000:
            self.vx = -self.vx
        if not 0 <= self.y < 1000:
            self.vy = -self.vy

    @property
    def energy(self):
        return self.vx * self.vx + self.vy * self.vy


class Heavy(Body):
    def step(self):
        super().step()
        self.vy -= 1


def objects():
    numbers = lcg(3)
    kinds = (Body, Heavy)
    bodies = [
        kinds[i % 2](*(next(numbers) % 1000 for _ in range(2)), *(next(numbers) % 19 - 9 for _ in "xy"))
        for i in range(1_000)
    ]
    total = 0
    for _ in range(300):
        for body in bodies:
            body.step()
        total += bodies[0].energy
    return mix(total, sum(body.x * 7 + body.y + body.energy for body in bodies) & 0xFFFFFFFF)


def strings():
    words = "the quick brown fox jumps over the lazy dog né über ☃ 東京".split()
    numbers = lcg(4)
    checksum = 0
    for _ in range(4_500):
        text = " ".join(words[next(numbers) % len(words)] for _ in range(30))
        text = text.title().replace("The", "A").swapcase()
        parts = [part.strip("Aa").zfill(6)[::-1] for part in text.split(" ")]
        line = "|".join(f"{part:>8}" for part in parts if part.isalnum())
        checksum = mix(checksum, len(line) + line.count("0") * 31 + ord(line[-1]))
        checksum = mix(checksum, len(line.encode("utf-8")) + line.find("x"))
    return checksum


def json_round_trips():
    numbers = lcg(5)
    document = {
        "rows": [
            {
                "id": next(numbers),
                "name": f"näme {next(numbers)}",
                "tags": ["a", "b", str(next(numbers))],
                "score": next(numbers) / 1024,
                "flags": {"on": True, "off": False, "none": None},
            }
            for _ in range(1_700)
        ]
    }
    checksum = 0
    for indent in (None, None, None, 2, None, None, None, None):
        text = json.dumps(document, indent=indent, sort_keys=True)
        document = json.loads(text)
        document["rows"].reverse()
        checksum = mix(checksum, len(text) + document["rows"][0]["id"])
    return checksum


def regex():
    numbers = lcg(6)
    lines = []
    for i in range(9_000):
        n = next(numbers)
        lines.append(f"2024-{n % 12 + 1:02}-{n % 28 + 1:02} user{n % 97}@host{i % 13}.example.org GET /p/{n} {n % 600}ms")
    text = "\n".join(lines)
    checksum = 0
    log = re.compile(r"^(\d{4})-(\d\d)-(\d\d) (\w+)@([\w.]+) (GET|POST) (\S+) (\d+)ms$", re.M)
    for match in log.finditer(text):
        checksum = mix(checksum, int(match[8]) + len(match[7]))
    checksum = mix(checksum, len(re.findall(r"(?:[a-z]+\.)+org", text)))
    masked = re.sub(r"user(\d+)", lambda m: "u" + m[1].zfill(4), text)
    checksum = mix(checksum, len(masked))
    checksum = mix(checksum, len(re.split(r"[\s/@-]+", masked)))
    return mix(checksum, sum(1 for _ in re.finditer(r"\b(\d)(\d)\2\1\b|(?<=/p/)\d*7\b", text)))


def bigints():
    a, b = 0, 1
    for _ in range(24_000):
        a, b = b, a + b
    product = 1
    for n in range(1, 2_600):
        product *= n
    modulus = (1 << 521) - 1
    power = pow(3, a % modulus, modulus)
    digits = len(str(product % 10**4000))
    root = 1 << (product.bit_length() // 2 + 1)
    while True:
        better = (root + product // root) >> 1
        if better >= root:
            break
        root = better
    checksum = mix(a % 1_000_003, product.bit_length())
    checksum = mix(checksum, power & 0xFFFFFFFF)
    for n in range(2, 2_200):
        checksum = mix(checksum, pow(n, modulus >> 420, modulus >> 400) & 0xFFFF)
    return mix(checksum, digits + root % 65_521)


def floats():
    x, y, vx, vy = 1.0, 0.0, 0.0, 1.0
    for _ in range(320_000):
        r2 = x * x + y * y
        pull = 0.001 / (r2 * r2**0.5)
        vx -= x * pull
        vy -= y * pull
        x += vx * 0.001
        y += vy * 0.001
    inside = 0
    for row in range(-30, 30):
        for column in range(-40, 20):
            c = complex(column / 20, row / 20)
            z = 0j
            for _ in range(50):
                z = z * z + c
                if z.real * z.real + z.imag * z.imag > 4.0:
                    break
            else:
                inside += 1
    # Rounded: the last bits of a power may differ between math libraries.
    return inside * 1_000_000 + int((x + y) * 1_000) % 1_000_000


PROGRAMS = {
    program.__name__: program
    for program in (
        recursion,
        integer_loops,
        dicts,
        sorting,
        objects,
        strings,
        json_round_trips,
        regex,
        bigints,
        floats,
    )
}


def main(names):
    endless = names[:1] == ["--endless"]
    if endless:
        names = names[1:2] or ["nothing"]
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown:
        print(f"unknown programs: {', '.join(unknown)}; known: {', '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    while endless:
        print(PROGRAMS[names[0]](), flush=True)
    for name in names or PROGRAMS:
        best, checksum = None, None
        for _ in range(3):
            start = time.perf_counter()
            checksum = PROGRAMS[name]()
            seconds = time.perf_counter() - start
            best = seconds if best is None else min(best, seconds)
        print(json.dumps({"name": name, "seconds": round(best, 6), "checksum": checksum}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
