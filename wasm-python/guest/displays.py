"""Pictures and rich forms of values, sent to the host as a notebook would show them."""

import base64
import io
import sys

import _host

_RICH = (
    ("_repr_png_", "image/png"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_html_", "text/html"),
)
_PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)


def display(mime, data):
    """Sends one picture or text to the host. Raises RuntimeError if the host rejects it."""
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    text = base64.b64encode(data)
    head = b'{"op":"display","mime":"' + mime.encode("ascii") + b'","data":"'
    reply = _host.call(head + text + b'"}')
    if reply != b"{}":
        raise RuntimeError(f"the host rejected the display: {str(reply, 'utf-8', 'replace')}")


def value(result):
    """Displays the rich forms of a turn's final value."""
    if type(result) in _PLAIN:
        return
    if _is_figure(result):
        # An open figure is displayed with the others at the end of the turn.
        if not any(manager.canvas.figure is result for manager in _open_figures()):
            _figure(result)
        return
    for method, mime in _RICH:
        render = getattr(type(result), method, None)
        if render is not None:
            rendered = render(result)
            if rendered is not None:
                display(mime, rendered)


def figures():
    """Displays and closes the open figures."""
    managers = _open_figures()
    if not managers:
        return
    try:
        for manager in managers:
            _figure(manager.canvas.figure)
    finally:
        sys.modules["matplotlib.pyplot"].close("all")


def _open_figures():
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return list(helpers.Gcf.figs.values()) if helpers and helpers.Gcf.figs else ()


def _is_figure(thing):
    module = sys.modules.get("matplotlib.figure")
    return module is not None and isinstance(thing, module.Figure)


def _figure(figure):
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    display("image/png", picture.getvalue())


def install():
    """Makes `plt.show()` display the open figures. Called while the image is made."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    pyplot.switch_backend("agg")
    pyplot.show = lambda *args, **kwargs: figures()
    sys.modules["matplotlib.figure"].Figure.show = lambda self, warn=True: _figure(self)
