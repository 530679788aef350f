"""Makes numpy's default integer 64 bits wide, as on a desktop.

The platform's `long` and pointers have 32 bits, and numpy's default integer is derived from them. The patches of the
pack's module change what its C code chooses; this module changes names and functions in Python. Between packages,
arrays of indices stay C longs, because compiled code reads them as such. User code gets int64 instead.
"""

import functools
import sys
import types

# Functions of `numpy.random` whose arrays are C longs.
_LONG_SAMPLES = ("binomial", "choice", "multinomial", "permutation", "random_integers")

# Compiled modules that user code calls directly, and that read arrays of `dtype=int` or of indices as C longs.
_LONG_MODULES = ("scipy.sparse.csgraph._reordering", "sklearn.utils._random")

# Functions and methods in Python that return indices or counts as C longs, by module.
_INDEX_FUNCTIONS = {
    "numpy._core.numeric": ("count_nonzero",),
    "numpy._core.strings": ("count", "find", "index", "rfind", "rindex"),
    "numpy.lib._arraysetops_impl": (
        "intersect1d",
        "unique",
        "unique_all",
        "unique_counts",
        "unique_inverse",
    ),
    "numpy.ma.core": ("MaskedArray.count",),
    "pandas.core.algorithms": ("factorize",),
    "pandas.core.base": (
        "IndexOpsMixin.argmax",
        "IndexOpsMixin.argmin",
        "IndexOpsMixin.factorize",
        "IndexOpsMixin.searchsorted",
    ),
    "pandas.core.frame": ("DataFrame.memory_usage",),
    "pandas.core.indexes.base": (
        "Index.argsort",
        "Index.get_indexer",
        "Index.get_indexer_for",
        "Index.get_indexer_non_unique",
    ),
    "pandas.core.indexes.multi": ("MultiIndex.argsort",),
    "pandas.core.indexes.range": ("RangeIndex.argsort", "RangeIndex.factorize"),
    "pandas.core.reshape.tile": ("cut", "qcut"),
    "pandas.core.series": ("Series.argsort", "Series.searchsorted"),
}

# Set when numpy is imported: the module, its int64, the number of its type of C longs, the folder of all
# packages, and the files of numpy and of this module.
_numpy = None
_int64 = None
_long = None
_packages = None
_inner = None


class _Loader:
    """Loads a module as `loader` does, and then calls `action` with it."""

    def __init__(self, loader, action):
        self._loader = loader
        self._action = action

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action(module)


class _Finder:
    """Finds the modules that are changed after their import."""

    def __init__(self, actions):
        self._actions = actions

    def find_spec(self, name, path=None, target=None):
        action = self._actions.get(name)
        if action is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader, action)
                return spec
        return None


def _name_types(aliases):
    """Gives the names of the default integers to the types of 64 bits, before other modules take them."""
    global _numpy, _int64, _long, _packages, _inner
    _numpy = sys.modules["numpy"]
    _long = aliases.dtype("l").num
    _packages = aliases.__file__.partition("numpy/_core/")[0]
    _inner = (_packages + "numpy/", __file__)
    _int64 = aliases.allTypes["int64"]
    for name in ("int_", "long"):
        aliases.allTypes[name] = aliases.sctypeDict[name] = _int64
    for name in ("uint", "ulong"):
        aliases.allTypes[name] = aliases.sctypeDict[name] = aliases.allTypes["uint64"]
    aliases.sctypeDict["int"] = _int64
    # The compiled functions that return indices pass their results to this one (overlays/numpy.wat).
    sys._codeact_indices = _for_caller


def _for_caller(result):
    """Returns the result of a compiled function, widened for user code."""
    return _widened(result) if _is_for_user(sys._getframe(1)) else result


def _is_for_user(frame):
    """Returns whether user code called, or called numpy's Python that called. Other packages get C longs."""
    while frame.f_code.co_filename.startswith(_inner) and frame.f_back is not None:
        frame = frame.f_back
    return not frame.f_code.co_filename.startswith(_packages)


def _widened(value):
    """Returns an array, scalar, Series or tuple with int64 instead of C longs."""
    if isinstance(value, tuple):
        items = [_widened(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if getattr(getattr(value, "dtype", None), "num", None) == _long:
        return value.astype(_int64)
    return value


def _widening(function, always=False):
    """Returns `function` with a widened result, if user code calls it or `always`."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        result = function(*args, **kwargs)
        return _widened(result) if always or _is_for_user(sys._getframe(1)) else result

    return call


def _widen(module):
    for path in _INDEX_FUNCTIONS[module.__name__]:
        owner, _, name = path.rpartition(".")
        owner = getattr(module, owner) if owner else module
        setattr(owner, name, _widening(getattr(owner, name)))


def _widen_samples(random):
    for name in _LONG_SAMPLES:
        if sample := getattr(random, name, None):
            setattr(random, name, _widening(sample, always=True))
    random.RandomState = _widen_generator(random.RandomState)


def _widen_generator(plain):
    """Returns the legacy generator's class with the same changes. The compiled one cannot be changed."""

    class Kind(type):
        def __instancecheck__(cls, value):
            return isinstance(value, plain)

        def __subclasscheck__(cls, other):
            return issubclass(other, plain)

    samples = {name: _widening(getattr(plain, name)) for name in _LONG_SAMPLES if hasattr(plain, name)}
    kept = {"__doc__": plain.__doc__, "__module__": plain.__module__}
    return Kind(plain.__name__, (plain,), samples | kept)


class _Numpy(types.ModuleType):
    """numpy with other values of some names, for a module that depends on their size."""

    def __getattr__(self, name):
        return getattr(_numpy, name)


def _see_numpy_with(module, **names):
    module.np = proxy = _Numpy("numpy")
    proxy.__dict__.update(names)


def _keep_longs(mtrand):
    # Compiled code writes C longs into arrays that it makes with this type.
    _see_numpy_with(mtrand, long=_numpy.dtype("l").type, ulong=_numpy.dtype("L").type)


def _see_longs(module):
    def creating(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            if kwargs.get("dtype") is int:
                kwargs["dtype"] = "l"
            return function(*args, **kwargs)

        return call

    def ordering(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            return function(*args, **kwargs).astype("l", copy=False)

        return call

    names = ("arange", "array", "asarray", "empty", "full", "ones", "zeros")
    created = {name: creating(getattr(_numpy, name)) for name in names}
    _see_numpy_with(module, argsort=ordering(_numpy.argsort), **created)


def _name_longs(module):
    # It converts an argument to the type of compiled loops over C longs, which it names.
    plain = _numpy.dtype
    _see_numpy_with(module, dtype=lambda kind: plain("l" if kind == "long" else kind))


def _convert_orders(module):
    def converting(function):
        # Its compiled loop has a C long as order, to which int64 cannot be cast safely.
        return lambda n, x: function(_numpy.asarray(n).astype("l", casting="same_kind"), x)

    plain = module._ufuncs
    module._ufuncs = proxy = types.ModuleType(plain.__name__)
    proxy.__getattr__ = functools.partial(getattr, plain)
    for name in ("eval_hermite", "eval_hermitenorm"):
        setattr(proxy, name, converting(getattr(plain, name)))


def _accept_peaks(module):
    plain = module._arg_peaks_as_expected

    @functools.wraps(plain)
    def as_expected(value):
        # The original accepts what can be cast safely to indices, which int64 cannot here.
        value = _numpy.asarray(value)
        return plain(value.astype(_numpy.intp) if value.dtype == _int64 else value)

    module._arg_peaks_as_expected = as_expected


def _count_in_int64(histograms):
    _see_numpy_with(histograms, intp=_int64)
    subtract = histograms._unsigned_subtract

    def unsigned_subtract(a, b):
        # The original knows the integers of C by names, among which one of 32 bits is missing now.
        if _numpy.result_type(a, b).num == _long:
            a, b = _numpy.asarray(a, _int64), _numpy.asarray(b, _int64)
        return subtract(a, b)

    histograms._unsigned_subtract = unsigned_subtract


def _keep_block_indices(managers):
    plain = managers.BlockManager._insert_update_blklocs_and_blknos

    @functools.wraps(plain)
    def update(self, loc):
        plain(self, loc)
        # It appends Python integers, which are as wide as indices elsewhere.
        self._blklocs = self._blklocs.astype(_numpy.intp, copy=False)
        self._blknos = self._blknos.astype(_numpy.intp, copy=False)

    managers.BlockManager._insert_update_blklocs_and_blknos = update


def install():
    """Arranges the changes for the time when the modules are imported. Called before they are."""
    actions = dict.fromkeys(_INDEX_FUNCTIONS, _widen)
    actions["numpy._core._type_aliases"] = _name_types
    actions["numpy.lib._histograms_impl"] = _count_in_int64
    actions["numpy.random"] = _widen_samples
    actions["numpy.random.mtrand"] = _keep_longs
    for name in _LONG_MODULES:
        actions[name] = _see_longs
    actions["scipy.signal._peak_finding"] = _accept_peaks
    actions["scipy.special._lambertw"] = actions["scipy.special._spherical_bessel"] = _name_longs
    actions["scipy.special._orthogonal"] = _convert_orders
    actions["pandas.core.internals.managers"] = _keep_block_indices
    sys.meta_path.insert(0, _Finder(actions))
