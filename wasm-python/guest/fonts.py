"""Fonts for matplotlib: those of added packages, and one warning for each script and font that is missing."""

import logging
import os
import sys
import unicodedata
import warnings

_EXTENSIONS = (".ttf", ".otf", ".ttc")
_MAX_FONTS = 64
_MAX_MESSAGES = 1000

# Fonts of added packages, for characters that a text's own font lacks.
_added = []
# Messages and scripts that were reported. Each text of a figure would report them again.
_reported = set()


def _is_new(message):
    if message in _reported or len(_reported) >= _MAX_MESSAGES:
        return False
    _reported.add(message)
    return True


def add(site):
    """Adds the fonts of the packages in the folder `site`, as far as their names say that they have fonts."""
    for package in sorted(os.listdir(site)):
        if "font" not in package.lower() or package.endswith(".dist-info"):
            continue
        for folder, _, names in os.walk(os.path.join(site, package)):
            paths = (os.path.join(folder, name) for name in sorted(names) if name.lower().endswith(_EXTENSIONS))
            _added.extend(paths)
    del _added[_MAX_FONTS:]


def _with_added(find):
    def _find_fonts_by_props(self, *args, **options):
        found = find(self, *args, **options)
        return found + [path for path in _added if path not in found] if _added else found

    return _find_fonts_by_props


def _warn_on_missing_glyph(codepoint, fontnames):
    """As matplotlib's, but once for each script: the characters of a text differ, and each is drawn several times."""
    name = unicodedata.name(chr(codepoint), "unknown")
    if _is_new("script " + name.split()[0]):
        from matplotlib import __file__ as matplotlib

        warnings.warn(
            f"Glyph {codepoint} (\\N{{{name}}}) missing from font(s) {fontnames}.",
            skip_file_prefixes=(os.path.dirname(matplotlib), __file__),
        )


def install():
    """Changes matplotlib, which the base image has imported."""
    manager = sys.modules.get("matplotlib.font_manager")
    helpers = sys.modules.get("matplotlib._text_helpers")
    if manager is None or helpers is None:
        return
    kind = manager.FontManager
    kind._find_fonts_by_props = _with_added(kind._find_fonts_by_props)
    helpers.warn_on_missing_glyph = _warn_on_missing_glyph
    logger = logging.getLogger("matplotlib.font_manager")
    logger.addFilter(lambda record: _is_new(record.getMessage()))
