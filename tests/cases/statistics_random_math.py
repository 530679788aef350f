# Seeded random numbers, statistics and math with stable answers.
import math
import random
import statistics

rng = random.Random(42)
print([rng.random() for _ in range(3)], rng.getrandbits(64), rng.getrandbits(7))
print(random.Random("seed").random(), random.Random(1).getrandbits(100))
state = rng.getstate()
first = rng.random()
rng.setstate(state)
print(first == rng.random(), 0 <= rng.randrange(10) < 10, sorted(rng.sample(range(5), 5)))
deck = list(range(10))
rng.shuffle(deck)
print(sorted(deck) == list(range(10)), rng.choice("aaa"), 2 <= rng.uniform(2, 3) <= 3)
data = [2, 4, 4, 4, 5, 5, 7, 9]
print(statistics.mean(data), statistics.median(data), statistics.mode(data), statistics.pstdev(data), statistics.variance(data))
print(statistics.quantiles(data, n=4), statistics.multimode("aabb"), statistics.fmean([1, 2], weights=[3, 1]), statistics.median_low(data))
print(round(statistics.correlation(data, data[::-1]), 6), statistics.geometric_mean([4, 9]).__round__(6))
try:
    statistics.mean([])
except statistics.StatisticsError as error:
    print(type(error).__name__)
print(math.factorial(20), math.comb(50, 25), math.perm(5, 2), math.gcd(84, 36, 24), math.lcm(4, 6), math.isqrt(10**20 + 1))
print(math.fsum([0.1] * 10), sum([0.5] * 4), math.floor(-2.5), math.ceil(-2.5), math.trunc(-2.5), round(2.5), round(-3.5), round(2.675, 2))
print(math.hypot(3, 4), math.copysign(1, -0.0), math.frexp(10.0), math.modf(-2.5), math.inf > 10**300, math.isclose(0.1 + 0.2, 0.3))
print(f"{math.pi:.10f} {math.e:.10f} {math.sin(1):.10f} {math.log(10):.10f} {math.exp(1.5):.9f} {math.atan2(1, -1):.10f}")
print(float("nan") != float("nan"), 1e308 * 10, -7 // 2, -7 % 3, 7.5 // -2, divmod(-7, 2), 0.1.hex(), float.fromhex("0x1.8p1"))
print((0.5).as_integer_ratio(), (3.0).is_integer(), 1e22, 1e16, 123456789.123, 1e-5, 5e-324, complex(1, -2) * 1j, abs(3 + 4j))
