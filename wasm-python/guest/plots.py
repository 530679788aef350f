"""Libraries that would show a plot in a browser or a notebook show it through the host instead."""

import importlib.abc
import json
import re
import sys

from _codeact import displays


def _plotly_figures(module):
    figure = module.BaseFigure
    figure._repr_html_ = _plotly_html
    figure._repr_mimebundle_ = _plotly_bundle
    figure._ipython_display_ = figure.show = lambda self, *args, **kwargs: displays.show_html(
        _plotly_html(self)
    )


def _plotly_html(figure):
    return figure.to_html(include_plotlyjs="cdn")


def _plotly_bundle(figure, include=None, exclude=None, **options):
    chart = json.loads(figure.to_json())
    return {"application/vnd.plotly.v1+json": chart, "text/html": _plotly_html(figure)}


def _plotly_renderers(module):
    def show(fig, renderer=None, validate=True, **kwargs):
        if isinstance(fig, dict):
            fig = sys.modules["plotly.graph_objects"].Figure(fig)
        fig.show()

    module.show = show


def _plotly_offline(module):
    def iplot(figure_or_data, *args, **kwargs):
        from plotly import graph_objects

        is_figure = hasattr(figure_or_data, "to_html")
        (figure_or_data if is_figure else graph_objects.Figure(figure_or_data)).show()

    module.iplot = iplot
    module.init_notebook_mode = lambda *args, **kwargs: None


def _altair_charts(module):
    chart = module.TopLevelMixin
    chart._repr_html_ = chart.to_html
    chart.show = lambda self, *args, **kwargs: displays.show_html(self.to_html())
    chart.display = chart.show


# Patterns of module names, and the functions that change the modules after they were imported.
_PATCHES = (
    (re.compile(r"plotly\.basedatatypes"), _plotly_figures),
    (re.compile(r"plotly\.io\._renderers"), _plotly_renderers),
    (re.compile(r"plotly\.offline\.offline"), _plotly_offline),
    (re.compile(r"altair\.vegalite\.v\d+\.api"), _altair_charts),
)
_TOP = ("plotly.", "altair.", "tqdm.")


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if not name.startswith(_TOP):
            return None
        patch = next((patch for names, patch in _PATCHES if names.fullmatch(name)), None)
        if patch is None and name != "tqdm.notebook":
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                spec.loader = _Loader(spec.loader, patch)
                return spec
        return None


class _Loader(importlib.abc.Loader):
    """Loads a module with its own loader and changes it."""

    def __init__(self, plain, patch):
        self.plain = plain
        self.patch = patch

    def create_module(self, spec):
        return self.plain.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.plain
        if self.patch is None:
            _tqdm_notebook(module)
            return
        self.plain.exec_module(module)
        try:
            self.patch(module)
        except AttributeError:
            # Another version of the library. It goes on unchanged.
            pass


def _tqdm_notebook(module):
    """Makes the bars of notebooks plain ones: widgets need a notebook."""
    from tqdm import std

    module.tqdm = module.tqdm_notebook = std.tqdm
    module.trange = module.tnrange = std.trange


def install():
    """Installs the changes. Called while the image is made."""
    sys.meta_path.insert(0, _Finder())
