# Warnings captured, and logging to a stream with levels, formats and exceptions.
import io
import logging
import warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    warnings.warn("old way", DeprecationWarning)
    warnings.warn("plain")
    print([(w.category.__name__, str(w.message)) for w in caught])
with warnings.catch_warnings():
    warnings.simplefilter("error")
    try:
        warnings.warn("now an error", RuntimeWarning)
    except RuntimeWarning as warning:
        print("raised", warning)

stream = io.StringIO()
handler = logging.StreamHandler(stream)
handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(funcName)s:%(message)s"))
log = logging.getLogger("shop")
log.addHandler(handler)
log.setLevel(logging.INFO)
log.propagate = False
child = logging.getLogger("shop.till")
log.debug("unseen")
log.info("sold %d of %s", 3, "nuts")
child.warning("low on %(what)s", {"what": "bolts"})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
lines = stream.getvalue().splitlines()
print(lines[:3], lines[3], lines[-1].split(":")[0])
print(child.getEffectiveLevel(), log.isEnabledFor(logging.DEBUG), logging.getLevelName(40))


class Only(logging.Filter):
    def filter(self, record):
        return "keep" in record.getMessage()


log.addFilter(Only())
log.error("drop")
log.error("keep this")
print(stream.getvalue().splitlines()[-1])
