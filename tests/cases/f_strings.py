# f-strings: specs, conversions, nesting, the debug form and multi-line ones.
name, value, items = "wörld", 1234567.891, {"a": [1, 2]}
print(f"hello {name!r} {name!a} {name!s:>8}|{name:<8}|{name:^9}|{name:*^9}")
print(f"{value:,.2f} {value:_.1f} {value:e} {value:10.3g}| {value:+.0f} {0.256:.1%}")
print(f"{255:#x} {255:#010b} {255:o} {255:X} {-7:05d} {7: d} {1_000_000:,} {65:c}")
print(f"{items['a'][1]} {{literal}} {'nested ' + f'{name[0]}'}")
width, precision = 12, 4
print(f"{3.14159265:{width}.{precision}f}|{'x':{'>'}{5}}|")
print(f"{value = :.1f} {name=} {1 + 1=}")
print(f"""first {name}
second {sum(x for x in range(4))}""")
print(f"{(lambda x: x * 2)(4)} {[i for i in range(3)]} { {'k': 1}['k'] }")


class Spec:
    def __format__(self, spec):
        return f"<{spec}>"


print(f"{Spec():any thing} {Spec()}" f" joined {'!'}")
print("{0} {1:>4} {0!r} {key[0]} {obj.real}".format("a", 2, key=[9], obj=5))
print("%s %5.2f %-5d| %05d %x %r %%" % ("s", 1.5, 3, 42, 255, "q"))
print("%(a)s-%(b)03d" % {"a": 1, "b": 2}, "{:>{w}}".format("r", w=4), format(5, "03"))
