# Integers without bounds: powers, digits, bits, division, bases, and the limit of digits in text.
import sys

n = 2**521 - 1
print(n, n.bit_length(), n.bit_count(), n % 1_000_000_007)
print(3**200 // 7**50, pow(3, 10**30, 10**9 + 7), pow(7, -1, 101), -(10**30) // 7, -(10**30) % 7, divmod(-(10**20), 10**7))
print(hex(10**25), oct(8**10), bin(-37), int("zz", 36), int("-0x1F", 16), int("0b101", 0), int(" 1_000 "))
print(1 << 100, (1 << 100) >> 98, ~5, -1 >> 70, 6 & -4, 6 | 9, 6 ^ 3, (2**70) & (2**70 - 1))
a = b = 1
for _ in range(500):
    a, b = b, a + b
print(a)
print(len(str(7**4000)), sum(map(int, str(2**1000))), (10**50).to_bytes(21, "big").hex(), 10**18 + 0.0 == 10**18, 2**63, -(2**63) - 1)
print(int(1e20), int(-2.9), float(2**60), 2**53 + 1 == float(2**53 + 1), 10**400 > 1e308, True + True)
sys.set_int_max_str_digits(4300)
for bad in (lambda: str(10**5000), lambda: int("9" * 5000), lambda: 1 // 0, lambda: float(10**400), lambda: int("12x"), lambda: 1 << -1):
    try:
        bad()
    except (ValueError, ArithmeticError) as error:
        print(type(error).__name__)
