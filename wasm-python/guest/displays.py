"""Pictures and rich forms of values, sent to the host as a notebook would show them."""

import base64
import io
import sys

import _host
from _codeact import bundles, charts

_RICH = (
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_html_", "text/html"),
)
# The final value of a rich turn, if it is an open figure.
_result_figure = None
_PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)


def display(mime, data):
    """Sends one picture or text to the host. Raises RuntimeError if the host rejects it."""
    if bundles.active:
        bundles.send({mime: data})
        return
    if isinstance(data, str):
        data = data.encode("utf-8", "backslashreplace")
    text = base64.b64encode(data)
    head = b'{"op":"display","mime":"' + mime.encode("ascii") + b'","data":"'
    reply = _host.call(head + text + b'"}')
    if reply != b"{}":
        raise RuntimeError(f"the host rejected the display: {str(reply, 'utf-8', 'replace')}")


class Handle:
    """What `display(…, display_id=…)` returns."""

    def __init__(self, display_id):
        self.display_id = display_id

    def display(self, thing, **options):
        """Displays an object."""
        show(thing)

    update = display


def show(
    *things, raw=False, display_id=None, metadata=None, include=None, exclude=None, **options
):
    """Displays objects as a notebook does: prints their text, and sends their rich forms to the host."""
    for thing in things:
        if bundles.active:
            if raw and isinstance(thing, dict):
                bundles.send(thing, metadata)
            else:
                bundles.show(thing, metadata=metadata, include=include, exclude=exclude)
            continue
        if raw and isinstance(thing, dict):
            _bundle(thing)
            continue
        if not _is_figure(thing):
            print(repr(thing))
        value(thing)
    return Handle(display_id) if display_id else None


def show_html(html):
    """Sends HTML to the host."""
    display("text/html", html)


def _bundle(bundle):
    """Sends the forms of a dict of media types that the host can show, or prints the text."""
    shown = [kind for _, kind in _RICH if bundle.get(kind)]
    for kind in shown:
        data = bundle[kind]
        if kind in ("image/png", "image/jpeg") and isinstance(data, str):
            data = base64.b64decode(data)
        display(kind, data)
    if not shown and "text/plain" in bundle:
        print(bundle["text/plain"])


def result(thing, text):
    """Displays the final value of a turn. `text` is its `repr`, shortened."""
    global _result_figure
    if not bundles.active:
        value(thing)
    elif any(manager.canvas.figure is thing for manager in _open_figures()):
        # It is displayed with the other figures at the end of the turn.
        _result_figure = thing
    else:
        bundles.show(thing, True, text)


def value(result):
    """Displays the rich forms of a value."""
    if type(result) in _PLAIN:
        return
    if _is_figure(result):
        # An open figure is displayed with the others at the end of the turn.
        if not any(manager.canvas.figure is result for manager in _open_figures()):
            _figure(result)
        return
    render = getattr(type(result), "_show", None)
    if render is not None and type(result).__module__ == "_codeact.ipython_display":
        render(result)
        return
    for method, mime in _RICH:
        render = getattr(type(result), method, None)
        if render is not None:
            rendered = render(result)
            if type(rendered) is tuple and rendered:
                # The data, and metadata.
                rendered = rendered[0]
            if rendered is not None:
                display(mime, rendered)


def figures():
    """Displays and closes the open figures."""
    global _result_figure
    result, _result_figure = _result_figure, None
    managers = _open_figures()
    if not managers:
        return
    try:
        for manager in managers:
            figure = manager.canvas.figure
            _figure(figure, result is not None and figure is result)
    finally:
        sys.modules["matplotlib.pyplot"].close("all")


def _open_figures():
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return list(helpers.Gcf.figs.values()) if helpers and helpers.Gcf.figs else ()


def _is_figure(thing):
    module = sys.modules.get("matplotlib.figure")
    return module is not None and isinstance(thing, module.Figure)


def _figure(figure, is_result=False):
    if bundles.active:
        bundles.figure(figure, is_result)
        return
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    display("image/png", picture.getvalue())


def install():
    """Makes `plt.show()` display the open figures. Called while the image is made."""
    charts.install()
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    pyplot.switch_backend("agg")
    pyplot.show = lambda *args, **kwargs: figures()
    sys.modules["matplotlib.figure"].Figure.show = lambda self, warn=True: _figure(self)
