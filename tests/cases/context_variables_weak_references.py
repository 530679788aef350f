# Context variables, weak references and finalisers, without threads.
import contextvars
import gc
import weakref

level = contextvars.ContextVar("level", default=0)
token = level.set(1)
context = contextvars.copy_context()


def raise_level():
    level.set(level.get() + 10)
    return level.get()


print(context.run(raise_level), context[level], level.get())
level.reset(token)
print(level.get(), token.var is level, [v.name for v in context if v is level])
try:
    contextvars.ContextVar("unset").get()
except LookupError as error:
    print(type(error).__name__)


class Node:
    def __init__(self, name):
        self.name = name


node = Node("a")
reference = weakref.ref(node, lambda r: print("gone"))
table = weakref.WeakValueDictionary(a=node)
keys = weakref.WeakKeyDictionary({node: 1})
weakref.finalize(node, print, "finalised")
print(reference().name, len(table), len(keys))
del node
gc.collect()
print(reference(), len(table), len(keys))
loop = Node("loop")
loop.self = loop
watch = weakref.ref(loop)
del loop
gc.collect()
print(watch())
try:
    weakref.ref(5)
except TypeError as error:
    print(type(error).__name__)


class Noisy:
    def __del__(self):
        print("deleted")


noisy = Noisy()
noisy = None
print("after")
