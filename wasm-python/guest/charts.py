"""The data of matplotlib figures, for clients that draw charts themselves."""

import datetime
import functools
import re
import sys

_MAX_AXES = 50
_MAX_POINTS = 20_000
_MAX_TICKS = 200
_MAX_TEXT = 1000
_UNIT = re.compile(r"\s\((.*?)\)|\[(.*?)\]")
_BOXES = "_codeact_boxes"


def extract(figure):
    """Returns the chart of a figure, or None if it shows no data. The number of points left out is second."""
    cut = [0]
    axes = [ax for ax in figure.axes[:_MAX_AXES] if ax.get_label() != "<colorbar>"]
    if not any(ax.has_data() for ax in axes):
        return None, 0
    if len(axes) == 1:
        return _chart(axes[0], cut), cut[0]
    title = _text(figure.get_suptitle())
    elements = [_chart(ax, cut) for ax in axes]
    return {"type": "superchart", "title": title, "elements": elements}, cut[0]


def _chart(ax, cut):
    try:
        # The artists of other axes, such as those in 3-D, have coordinates of the picture.
        for read in (_pie, _boxes, _bars, _scatter, _lines) if ax.name == "rectilinear" else ():
            chart = read(ax, cut)
            if chart is not None:
                return chart
    except Exception:
        # A figure can be anything. It still has its picture.
        pass
    try:
        title = _text(ax.get_title())
    except Exception:
        title = None
    return {"type": "unknown", "title": title, "elements": []}


def _text(text):
    return str(text)[:_MAX_TEXT] or None


def _pie(ax, cut):
    wedges = _artists(ax.patches, "matplotlib.patches", "Wedge")
    if not wedges or len(wedges) != len(ax.patches) or ax.lines or ax.collections:
        return None
    elements = [
        {
            "label": str(wedge.get_label())[:_MAX_TEXT],
            "angle": _rounded(abs(float(wedge.theta2) - float(wedge.theta1))),
            "radius": _rounded(wedge.r),
        }
        for wedge in _first(wedges, cut)
    ]
    return {"type": "pie", "title": _text(ax.get_title()), "elements": elements}


def _boxes(ax, cut):
    plots = getattr(ax, _BOXES, None)
    if not plots:
        return None
    plots = [plot for plot in plots if any(line.axes is ax for line in plot[2])]
    if not plots:
        # The axes were cleared.
        return None
    elements = []
    for stats, *_ in plots:
        for box in stats:
            outliers = [_value(value) for value in _first(list(box.get("fliers", ())), cut)]
            elements.append(
                {
                    "label": str(box.get("label", len(elements) + 1))[:_MAX_TEXT],
                    "min": _value(box["whislo"]),
                    "first_quartile": _value(box["q1"]),
                    "median": _value(box["med"]),
                    "third_quartile": _value(box["q3"]),
                    "max": _value(box["whishi"]),
                    "outliers": outliers,
                }
            )
    return _labelled(ax, "box_and_whisker", elements, plots[0][1])


def _bars(ax, cut):
    containers = _artists(ax.containers, "matplotlib.container", "BarContainer")
    bars = [bar for container in containers for bar in container]
    if not bars or len(bars) != len(ax.patches) or _plotted_lines(ax):
        return None
    horizontal = containers[0].orientation == "horizontal"
    axis = ax.yaxis if horizontal else ax.xaxis
    name = _category_names(axis)
    elements = []
    for number, container in enumerate(containers):
        group = str(container.get_label())[:_MAX_TEXT]
        group = f"Group {number}" if group.startswith("_") else group
        for bar in _first(list(container), cut):
            x, y, width, height = bar.get_x(), bar.get_y(), bar.get_width(), bar.get_height()
            centre = y + height / 2 if horizontal else x + width / 2
            value = _value(width if horizontal else height)
            elements.append({"label": name(float(centre)), "group": group, "value": value})
    return _labelled(ax, "bar", elements, horizontal)


def _scatter(ax, cut):
    points = _artists(ax.collections, "matplotlib.collections", "PathCollection")
    if not points or len(points) != len(ax.collections) or ax.patches or _plotted_lines(ax):
        return None
    elements = []
    read_x, read_y = _reader(ax.xaxis), _reader(ax.yaxis)
    for number, collection in enumerate(points):
        label = str(collection.get_label())[:_MAX_TEXT]
        label = f"Scatter {number}" if label.startswith("_") else label
        offsets = _first(collection.get_offsets().tolist(), cut)
        pairs = [[read_x(x), read_y(y)] for x, y in offsets]
        elements.append({"label": label, "points": pairs})
    return _planar(ax, "scatter", elements)


def _lines(ax, cut):
    lines = _plotted_lines(ax)
    filled = _artists(ax.collections, "matplotlib.collections", "PolyCollection")
    if not lines or ax.patches or len(filled) != len(ax.collections) or ax.images:
        return None
    elements = []
    for number, line in enumerate(lines):
        label = str(line.get_label())[:_MAX_TEXT]
        label = f"Line {number}" if label.startswith("_") else label
        xs, ys = _column(line.get_xdata(), cut), _column(line.get_ydata(), [0])
        elements.append({"label": label, "points": [list(pair) for pair in zip(xs, ys)]})
    return _planar(ax, "line", elements)


def _plotted_lines(ax):
    """Returns the lines of an axes without those of error bars, and without those across it."""
    errors = _artists(ax.containers, "matplotlib.container", "ErrorbarContainer")
    caps = {id(cap) for container in errors for cap in container.lines[1]}
    data = ax.transData
    return [line for line in ax.lines if id(line) not in caps and line.get_transform() is data]


def _artists(artists, module, name):
    kind = getattr(sys.modules.get(module), name)
    return [artist for artist in artists if isinstance(artist, kind)]


def _first(values, cut):
    if len(values) > _MAX_POINTS:
        cut[0] += len(values) - _MAX_POINTS
    return values[:_MAX_POINTS]


def _labelled(ax, kind, elements, swapped=False):
    chart = {"type": kind, "title": _text(ax.get_title())}
    labels = [("x", _text(ax.get_xlabel())), ("y", _text(ax.get_ylabel()))]
    if swapped:
        labels = [("x", labels[1][1]), ("y", labels[0][1])]
    for name, label in labels:
        chart[f"{name}_label"] = label
    for name, label in labels:
        found = _UNIT.search(label) if label else None
        chart[f"{name}_unit"] = (found[1] or found[2]) if found else None
    chart["elements"] = elements
    return chart


def _planar(ax, kind, elements):
    chart = _labelled(ax, kind, elements)
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        ticks = _ticks(axis)[:_MAX_TICKS]
        is_date = _converter(axis).endswith("DateConverter")
        read = _reader(axis) if is_date else _value
        labels = [label.get_text()[:_MAX_TEXT] for label in axis.get_majorticklabels()]
        scale = str(axis.get_scale())
        if is_date:
            scale = "datetime"
        elif scale == "linear" and _converter(axis) == "StrCategoryConverter":
            scale = "categorical"
        chart[f"{name}_ticks"] = [read(tick) for tick in ticks]
        chart[f"{name}_tick_labels"] = labels[:_MAX_TICKS]
        chart[f"{name}_scale"] = scale
    return chart


def _ticks(axis):
    return [float(tick) for tick in axis.get_majorticklocs()]


def _converter(axis):
    get = getattr(axis, "get_converter", None)
    return type(get() if get else axis.converter).__name__


def _categories(axis):
    """Returns the names of a categorical axis by position."""
    mapping = getattr(axis.units, "_mapping", None) or {}
    return {position: str(name)[:_MAX_TEXT] for name, position in mapping.items()}


def _reader(axis):
    """Returns a function from a position on an axis to the value of the code: a date, a category or a number."""
    if _converter(axis).endswith("DateConverter"):
        dates = sys.modules["matplotlib.dates"]
        return lambda value: None if value is None else dates.num2date(value).isoformat()
    names = _categories(axis)
    return lambda value: names[value] if value in names else _value(value)


def _category_names(axis):
    """Returns a function from the position of a bar to its name."""
    names = _categories(axis)
    if not names and type(axis.get_major_locator()).__name__ == "FixedLocator":
        ticks = _ticks(axis)
        texts = [label.get_text()[:_MAX_TEXT] for label in axis.get_majorticklabels()]
        names = dict(zip(ticks, texts))
    if not names:
        read = _reader(axis)
        return lambda centre: str(_plain(read(_rounded(centre))))
    places = sorted(names)
    gaps = [b - a for a, b in zip(places, places[1:])]
    reach = min(gaps, default=1) / 2 + 1e-9

    def name(centre):
        nearest = min(places, key=lambda place: abs(place - centre))
        return names[nearest] if abs(nearest - centre) <= reach else str(_plain(_rounded(centre)))

    return name


def _plain(value):
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _column(values, cut):
    numpy = sys.modules["numpy"]
    values = numpy.asarray(values)
    if values.dtype.kind == "M":
        return numpy.datetime_as_string(_first(values, cut), unit="s").tolist()
    return [_value(value) for value in _first(values.tolist(), cut)]


def _value(value):
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, str):
        return str.__str__(value)[:_MAX_TEXT]
    if value is None:
        return None
    value = float(value)
    return value if value - value == 0 else None


def _rounded(value):
    """Returns a number without the noise of its computation."""
    return float(f"{float(value):.9g}")


def _remember_boxes(plain):
    @functools.wraps(plain)
    def bxp(self, bxpstats, *args, **kwargs):
        made = plain(self, bxpstats, *args, **kwargs)
        try:
            vertical = kwargs.get("vert", args[2] if len(args) > 2 else None)
            flat = kwargs.get("orientation") == "horizontal" or vertical is False
            self.__dict__.setdefault(_BOXES, []).append((list(bxpstats), flat, made["medians"]))
        except Exception:
            # The picture does not depend on it.
            pass
        return made

    return bxp


def install():
    """Makes axes remember the numbers of their box plots. Called while the image is made."""
    module = sys.modules.get("matplotlib.axes")
    if module is not None:
        module.Axes.bxp = _remember_boxes(module.Axes.bxp)
