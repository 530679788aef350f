# Descriptors: data and non-data ones, names, lookup order, and attribute hooks.
class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner=None):
        if instance is None:
            return f"Positive on {owner.__name__}"
        return getattr(instance, self.name)

    def __set__(self, instance, value):
        if value <= 0:
            raise ValueError(f"{self.name[1:]} has to be positive")
        setattr(instance, self.name, value)

    def __delete__(self, instance):
        print("deleted", self.name)


class Lazy:
    def __init__(self, function):
        self.function = function

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        value = self.function(instance)
        instance.__dict__[self.name] = value
        return value


class Box:
    width = Positive()
    height = Positive()

    def __init__(self, width, height):
        self.width, self.height = width, height

    @Lazy
    def area(self):
        print("measuring")
        return self.width * self.height


box = Box(2, 3)
print(box.area, box.area, Box.width, sorted(box.__dict__))
try:
    box.width = -1
except ValueError as error:
    print(error)
del box.height


class Hooks:
    def __getattribute__(self, name):
        if name.startswith("secret"):
            raise AttributeError(name)
        return super().__getattribute__(name)

    def __getattr__(self, name):
        return f"no {name}"

    def __setattr__(self, name, value):
        super().__setattr__(name, [value])

    def __dir__(self):
        return ["only"]


hooks = Hooks()
hooks.x = 1
hooks.secret = 2
print(hooks.x, hooks.secret, hooks.other, dir(hooks), hasattr(hooks, "any"))
bound = box.__init__
print(bound.__self__ is box, bound.__func__ is Box.__init__, vars(Box)["width"].name)
