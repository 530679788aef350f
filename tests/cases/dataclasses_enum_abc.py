# Dataclasses, enumerations, named tuples, abstract classes and protocols.
import abc
import dataclasses
import enum
import typing


@dataclasses.dataclass(order=True)
class Item:
    name: str
    price: float = 1.5
    tags: list[str] = dataclasses.field(default_factory=list, compare=False)
    total: float = dataclasses.field(init=False, repr=False)

    def __post_init__(self):
        self.total = self.price * 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    x: int
    y: int = 0


a, b = Item("a", 3.0, ["t"]), Item("b")
print(a, a < b, a.total, dataclasses.asdict(b))
p = Point(x=1)
print(p, dataclasses.replace(p, y=5), [f.name for f in dataclasses.fields(p)])
try:
    p.x = 2
except dataclasses.FrozenInstanceError as error:
    print(type(error).__name__)


class Colour(enum.Enum):
    RED = 1
    GREEN = enum.auto()
    ROUGE = 1


class Mode(enum.IntFlag):
    R = 4
    W = 2
    X = 1


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 9


class Word(enum.StrEnum):
    HELLO = enum.auto()


print(Colour.RED is Colour.ROUGE, [c.name for c in Colour], Colour(2).name, Colour["RED"].value)
print((Mode.R | Mode.W).value, Mode.X in (Mode.R | Mode.X), Level.HIGH > Level.LOW, Word.HELLO)
try:
    Colour(7)
except ValueError as error:
    print(type(error).__name__)


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return 4


try:
    Shape()
except TypeError as error:
    print(type(error).__name__, Square().area())


@typing.runtime_checkable
class HasArea(typing.Protocol):
    def area(self) -> int: ...


class Pair(typing.NamedTuple):
    left: int
    right: int = 2


print(isinstance(Square(), HasArea), isinstance(3, HasArea))
print(Pair(1), Pair(1)._replace(left=9)._asdict())
