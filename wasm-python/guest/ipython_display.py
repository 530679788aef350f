"""The classes and functions of the stand-in for `IPython.display`."""

import json
import os

from _codeact import displays


class DisplayObject:
    """Something to display: text, a picture or markup."""

    def __init__(self, data=None, url=None, filename=None, metadata=None, **options):
        if data is None and filename is not None:
            with open(filename, "rb") as file:
                data = file.read()
        elif data is None and url is not None:
            raise ValueError("nothing is loaded from a URL in the sandbox: pass data or filename")
        self.data = data
        self.filename = filename
        self.metadata = metadata

    def __repr__(self):
        return f"<IPython.core.display.{type(self).__name__} object>"

    def _text(self):
        data = self.data
        return str(data, "utf-8", "replace") if isinstance(data, bytes) else str(data)


class HTML(DisplayObject):
    """HTML to display."""

    def _repr_html_(self):
        return self._text()


class SVG(DisplayObject):
    """A picture as SVG."""

    def _repr_svg_(self):
        return self._text()


class Image(DisplayObject):
    """A picture as PNG, JPEG, GIF or WebP: its bytes, or the name of a file."""

    def __init__(self, data=None, url=None, filename=None, format=None, **options):
        if isinstance(data, (str, os.PathLike)):
            data, filename = None, data
        super().__init__(data, url, filename)
        self.format = format
        self._size = {key: options[key] for key in ("width", "height") if options.get(key)}

    def _kind(self):
        for start, kind in ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif")):
            if self.data.startswith(start):
                return f"image/{kind}"
        if self.data[8:12] == b"WEBP":
            return "image/webp"
        raise ValueError("the picture is not PNG, JPEG, GIF or WebP")

    def _show(self):
        displays.display(self._kind(), self.data)

    def _repr_mimebundle_(self, include=None, exclude=None):
        kind = self._kind()
        return {kind: self.data}, {kind: self._size} if self._size else {}


class _Text(DisplayObject):
    def __repr__(self):
        return self._text()


class Markdown(_Text):
    """Text with Markdown, displayed as it is."""

    def _repr_markdown_(self):
        return self._text()


class Latex(_Text):
    """LaTeX, displayed as it is."""

    def _repr_latex_(self):
        return self._text()


class Math(_Text):
    """A formula in LaTeX, displayed as it is."""

    def _repr_latex_(self):
        return f"$\\displaystyle {self._text().strip('$')}$"


class Code(_Text):
    """Source, displayed as it is."""


class Pretty(_Text):
    """Text, displayed as it is."""


class JSON(_Text):
    """Data, displayed as Python shows it."""

    def _text(self):
        return repr(self.data)

    def _repr_json_(self):
        if isinstance(self.data, (str, bytes)):
            return json.loads(self.data)
        return self.data


class Javascript(DisplayObject):
    """JavaScript. It is not run."""

    def _repr_javascript_(self):
        return self._text()


def clear_output(wait=False):
    """Has no effect: output that was printed stays."""


def update_display(obj, *, display_id=None, **options):
    """Displays an object again."""
    displays.show(obj, **options)


def publish_display_data(data, metadata=None, **options):
    """Displays a dict of media types and data."""
    displays.show(data, raw=True, metadata=metadata)


def _show_as(kind):
    def show(*objects, raw=False, **options):
        for thing in objects:
            displays.show(kind(thing) if raw else thing)

    return show


# Classes by the name of their cell magic.
MARKUP = {"html": HTML, "svg": SVG, "markdown": Markdown, "latex": Latex}
# All names of the module.
NAMES = {
    "display": displays.show,
    "clear_output": clear_output,
    "update_display": update_display,
    "publish_display_data": publish_display_data,
    "display_html": _show_as(HTML),
    "display_markdown": _show_as(Markdown),
    "display_svg": _show_as(SVG),
    "display_png": _show_as(Image),
    "display_jpeg": _show_as(Image),
    "display_latex": _show_as(Latex),
    "display_pretty": _show_as(Pretty),
    "set_matplotlib_formats": clear_output,
    "DisplayHandle": displays.Handle,
} | {
    kind.__name__: kind
    for kind in (
        DisplayObject, HTML, SVG, Image, Markdown, Latex, Math, Code, Pretty, JSON, Javascript
    )
}
