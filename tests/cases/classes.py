# Classes: inheritance order, metaclasses, slots, operators, properties and class creation hooks.
class Registry(type):
    known = []

    def __new__(mcls, name, bases, namespace, **options):
        cls = super().__new__(mcls, name, bases, namespace)
        mcls.known.append((name, sorted(options)))
        return cls

    def __init__(cls, name, bases, namespace, **options):
        super().__init__(name, bases, namespace)


class Base(metaclass=Registry, flag=True):
    def who(self):
        return ["Base"]

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.made = "by hook"


class Left(Base):
    def who(self):
        return ["Left"] + super().who()


class Right(Base):
    def who(self):
        return ["Right"] + super().who()


class Both(Left, Right):
    def who(self):
        return ["Both"] + super().who()


print(Registry.known)
print(Both().who(), [c.__name__ for c in Both.__mro__], Both.made)


class Vector:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __rmul__(self, factor):
        return Vector(factor * self.x, factor * self.y)

    def __eq__(self, other):
        return isinstance(other, Vector) and (self.x, self.y) == (other.x, other.y)

    def __hash__(self):
        return hash((self.x, self.y))

    def __repr__(self):
        return f"Vector({self.x}, {self.y})"

    def __getitem__(self, index):
        return (self.x, self.y)[index]

    def __bool__(self):
        return bool(self.x or self.y)


v = Vector(1, 2)
print(v + 3 * v, [*v], v == Vector(1, 2), v != Vector(1, 3), bool(Vector(0, 0)), len({v, Vector(1, 2)}))
try:
    v.z = 1
except AttributeError:
    print("no z")


class Celsius:
    def __init__(self, degrees):
        self.degrees = degrees

    @property
    def fahrenheit(self):
        return self.degrees * 9 / 5 + 32

    @fahrenheit.setter
    def fahrenheit(self, value):
        self.degrees = (value - 32) * 5 / 9

    @classmethod
    def freezing(cls):
        return cls(0)

    @staticmethod
    def unit():
        return "C"

    def __getattr__(self, name):
        return f"<{name}>"


c = Celsius.freezing()
print(c.fahrenheit, Celsius.unit(), c.missing)
c.fahrenheit = 212
print(c.degrees)
Made = type("Made", (Celsius,), {"extra": lambda self: "extra"})
print(Made(1).extra(), issubclass(Made, Celsius))
