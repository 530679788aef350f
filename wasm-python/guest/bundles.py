"""Rich turns: each thing that the code shows is one bundle of all its forms, as IPython makes them."""

import base64
import io
import json
import re
import sys

import _host
from _codeact import charts, errors, json_forms

# True while a rich turn runs.
active = False

DATA = "application/vnd.codeact.data+json"
CHART = "application/vnd.codeact.chart+json"
# In the order of IPython's formatters.
_FORMS = (
    ("text/html", "_repr_html_"),
    ("text/markdown", "_repr_markdown_"),
    ("image/svg+xml", "_repr_svg_"),
    ("image/png", "_repr_png_"),
    ("application/pdf", "_repr_pdf_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("text/latex", "_repr_latex_"),
    ("application/json", "_repr_json_"),
    ("application/javascript", "_repr_javascript_"),
)
_TEXTS = ("image/svg+xml", "application/javascript")
_PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
_MEDIA_TYPE = re.compile(r"[!-~]{1,127}/[!-~]{1,127}")
_MAX_MEDIA_TYPES = 64
_MAX_TEXT = 100_000
_MAX_NOTES = 20
# Size of a frame. The host allows twice as much.
_MAX_BYTES = 16 << 20

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_notes = set()


def begin(rich):
    """Begins a turn."""
    global active
    active = rich
    _notes.clear()


def show(thing, is_result=False, text=None, metadata=None, include=None, exclude=None):
    """Sends the bundle of an object. `text` is its `repr` if that is known."""
    if figure_type() and isinstance(thing, figure_type()):
        figure(thing, is_result, metadata)
        return
    data, known = {}, {}
    if type(thing) not in _PLAIN and not isinstance(thing, type):
        if _displays_itself(thing):
            return
        data, known = _forms(thing)
    if "text/plain" not in data:
        if text is None:
            text = _call(repr, thing, "__repr__")
        if text is not None:
            data["text/plain"] = errors.shorten(text, _MAX_TEXT)
    if include is not None:
        data = {kind: content for kind, content in data.items() if kind in include}
    if exclude is not None:
        data = {kind: content for kind, content in data.items() if kind not in exclude}
    if isinstance(metadata, dict):
        known = known | metadata
    send(data, known, is_result)


def figure(thing, is_result=False, metadata=None):
    """Sends the bundle of a matplotlib figure."""
    picture = io.BytesIO()
    thing.savefig(picture, format="png")
    data = {"text/plain": _call(repr, thing, "__repr__"), "image/png": picture.getvalue()}
    try:
        chart, cut = charts.extract(thing)
        if chart is not None:
            data[CHART] = chart
        if cut:
            note(f"the data of a chart was cut: {cut} points are left out")
    except Exception as error:
        note(f"the data of a chart is left out: {_describe(error)}")
    send(data, metadata, is_result)


def figure_type():
    """Returns the class of matplotlib's figures, or None if nothing has imported it."""
    return getattr(sys.modules.get("matplotlib.figure"), "Figure", None)


def _displays_itself(thing):
    """Calls the method by which an object displays itself. Returns True if it has one."""
    method = _method(thing, "_ipython_display_")
    if method is None or getattr(method, "__module__", None) == "_codeact.plots":
        return False
    try:
        method()
    except Exception as error:
        note(f"{type(thing).__name__}._ipython_display_ failed: {_describe(error)}")
        return False
    return True


def _forms(thing):
    data, metadata = {}, {}
    method = _method(thing, "_repr_mimebundle_")
    if method is not None:
        made = _call(lambda: method(include=None, exclude=None), None, "_repr_mimebundle_", thing)
        if isinstance(made, tuple) and len(made) == 2:
            made, known = made
            if isinstance(known, dict):
                metadata.update(dict.items(known))
        if isinstance(made, dict):
            data.update(dict.items(made))
    for kind, name in _FORMS:
        method = None if kind in data else _method(thing, name)
        made = None if method is None else _call(lambda: method(), None, name, thing)
        if isinstance(made, tuple) and len(made) == 2:
            made, known = made
            metadata[kind] = known
        if made is not None:
            data[kind] = made
    _add_table(thing, data)
    return data, metadata


def _add_table(thing, data):
    frame = getattr(sys.modules.get("pandas"), "DataFrame", None)
    if not isinstance(frame, type) or not isinstance(thing, frame):
        return
    try:
        data[DATA], cut = json_forms.table(thing)
        if cut:
            note(f"the data of a table was cut: {cut} rows are left out")
    except Exception as error:
        note(f"the data of a table is left out: {_describe(error)}")


def _method(thing, name):
    """Returns a method as IPython looks it up: an object that has every attribute has none of them."""
    try:
        if getattr(thing, "_ipython_canary_method_should_not_exist_", None) is not None:
            return None
        method = getattr(thing, name, None)
    except Exception:
        return None
    return method if callable(method) else None


def _call(function, argument, name, thing=None):
    """Calls a method of the code. One that raises has no result."""
    try:
        return function() if argument is None and thing is not None else function(argument)
    except Exception as error:
        kind = type(argument if thing is None else thing).__name__
        note(f"{kind}.{name} failed: {_describe(error)}")
        return None


def send(data, metadata=None, is_result=False):
    """Sends one bundle to the host. A form that is too large or not valid is left out, with a note."""
    forms = {}
    for kind, content in list(dict.items(data))[:_MAX_MEDIA_TYPES]:
        if content is None:
            continue
        try:
            if not isinstance(kind, str) or not _MEDIA_TYPE.fullmatch(kind):
                raise TypeError("its key is not a media type")
            kind = str.__str__(kind)
            forms[kind] = _encode(_content(kind, content)).encode("utf-8", errors.SURROGATES)
        except Exception as error:
            note(f"the form {_shown(kind)} of a display is left out: {_describe(error)}")
    known = b"{}"
    if metadata:
        try:
            known = _encode(json_forms.clean(metadata)).encode("utf-8", errors.SURROGATES)
        except Exception as error:
            note(f"the metadata of a display is left out: {_describe(error)}")
    while sum(map(len, forms.values())) + len(known) > _MAX_BYTES:
        if not forms:
            return
        largest = max(forms, key=lambda kind: len(forms[kind]))
        size = len(forms.pop(largest))
        note(
            f"the form {largest} of a display is left out: it has {size} bytes, and a display may "
            f"have {_MAX_BYTES}"
        )
    if not forms:
        return
    parts = [_encode(kind).encode("utf-8") + b":" + text for kind, text in forms.items()]
    head = b'{"op":"bundle","result":' + (b"true" if is_result else b"false") + b',"data":{'
    reply = _host.call(head + b",".join(parts) + b'},"metadata":' + known + b"}")
    if reply != b"{}":
        why = json.loads(reply).get("error", "the host rejected it")
        note(f"a display is left out: {why}")


def _content(kind, content):
    if kind == "application/pdf" or (kind.startswith("image/") and kind not in _TEXTS):
        if isinstance(content, (bytes, bytearray, memoryview)):
            return base64.b64encode(content).decode("ascii")
        return "".join(str.split(content))
    if kind.startswith("text/") or kind in _TEXTS:
        if isinstance(content, (bytes, bytearray)):
            return str(content, "utf-8", "replace")
        if isinstance(content, list):
            return "".join(content)
        return str.__str__(content)
    return json_forms.clean(content)


def note(text):
    """Prints a note on stderr, once in a turn."""
    if text in _notes or len(_notes) > _MAX_NOTES:
        return
    _notes.add(text)
    if len(_notes) > _MAX_NOTES:
        text = "more of what the code shows is left out"
    try:
        print(text, file=sys.stderr)
    except BaseException:
        pass


def _describe(error):
    try:
        return f"{type(error).__name__}: {errors.shorten(str(error), 500)}"
    except BaseException:
        return type(error).__name__


def _shown(kind):
    return errors.shorten(kind, 100) if isinstance(kind, str) else f"of type {type(kind).__name__}"
