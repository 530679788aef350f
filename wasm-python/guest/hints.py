"""What to do instead, for errors whose own text suggests what cannot be done here."""

_NO_INSTALL = (
    "nothing can be installed from inside the sandbox; whoever runs the code can add pure-Python "
    "packages (--with NAME). "
)
_TABLES = "For tables use CSV, JSON, pickle, .xlsx or sqlite3"
_PICTURES = "this PIL has no JPEG, WebP or AVIF: use PNG"

# The module that is missing, or a part of the message: what to say.
_MODULES = {
    "pyarrow": _NO_INSTALL + _TABLES,
    "fastparquet": _NO_INSTALL + _TABLES,
    "tables": _NO_INSTALL + _TABLES,
    "pytables": _NO_INSTALL + _TABLES,
    "h5py": _NO_INSTALL + _TABLES,
    "odf": _NO_INSTALL + _TABLES,
    "polars": _NO_INSTALL + "Use pandas",
    "cv2": _NO_INSTALL + "Use PIL, numpy and scipy.ndimage",
    "torch": _NO_INSTALL + "Use scikit-learn, scipy and numpy",
    "tensorflow": _NO_INSTALL + "Use scikit-learn, scipy and numpy",
    "requests": _NO_INSTALL + "Use urllib.request, where there is a network",
    "httpx": _NO_INSTALL + "Use urllib.request, where there is a network",
    "PIL._imagingft": "PIL has no fonts but its own here: draw text with matplotlib",
    "_imagingft": "PIL has no fonts but its own here: draw text with matplotlib",
}
_TEXTS = (
    ("pyarrow", _NO_INSTALL + _TABLES),
    ("sqlalchemy", _NO_INSTALL + "Use a connection of sqlite3.connect(...)"),
    ("pip or conda", _NO_INSTALL + _TABLES),
    ("coder jpeg", _PICTURES),
    ("coder webp", _PICTURES),
    (": .webp", _PICTURES),
    (": .avif", _PICTURES),
    (": .jpg", _PICTURES),
    ("_imagingft", _MODULES["_imagingft"]),
    ("mmap is unavailable", "read the file instead of mapping it"),
)


def hint(error):
    """One sentence for `error`, or None."""
    if isinstance(error, ImportError):
        top = (error.name or "").partition(".")[0]
        known = _MODULES.get(error.name) or _MODULES.get(top)
        if known:
            return known
    elif not isinstance(error, (OSError, ValueError)):
        return None
    text = str(error)
    for part, known in _TEXTS:
        if part in text:
            return known
    if isinstance(error, ModuleNotFoundError) and "sandbox" not in text:
        return _NO_INSTALL.strip()
    return None
