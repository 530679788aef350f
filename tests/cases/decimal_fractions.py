# Decimal and fraction arithmetic: precision, rounding, signals and exactness.
import decimal
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

print(Decimal("0.1") + Decimal("0.2"), 0.1 + 0.2, Decimal(0.5), Decimal("1E+3") * 2)
print(Decimal("2.675").quantize(Decimal("0.01"), ROUND_HALF_UP), Decimal("2.5").quantize(Decimal(1), ROUND_HALF_EVEN))
with decimal.localcontext() as context:
    context.prec = 50
    print(Decimal(2).sqrt(), Decimal(1) / 7)
    print(Decimal(1).exp())
print(Decimal(1) / Decimal(7), Decimal("-0").is_signed(), Decimal("NaN").is_nan())
try:
    Decimal(1) / Decimal(0)
except decimal.DivisionByZero as error:
    print(type(error).__name__)
try:
    Decimal("x")
except decimal.InvalidOperation as error:
    print(type(error).__name__)
print(Decimal("123.4500").normalize(), Decimal("123.45").as_tuple(), f"{Decimal('1234567.891'):,.2f}")
print(Fraction(1, 3) + Fraction(1, 6), Fraction("0.125"), Fraction(0.75), Fraction(10, -4))
print(Fraction(355, 113).limit_denominator(10), float(Fraction(1, 8)), Fraction(7, 3).__floor__())
print(sum(Fraction(1, n) for n in range(1, 30)), Fraction(2, 3) ** -3, Fraction(7, 2) % 2)
