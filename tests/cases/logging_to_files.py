# Logging to files: appending, delays, rotation by size and time, buffers, configuration, errors.
import json
import logging
import logging.config
import logging.handlers
import os
import tempfile


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def close(logger):
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)


start = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        log = logging.getLogger("case.files")
        log.setLevel(logging.DEBUG)
        log.propagate = False
        plain = logging.Formatter("%(levelname)s %(name)s %(message)s")

        handler = logging.FileHandler("plain.log", encoding="utf-8")
        handler.setFormatter(plain)
        log.addHandler(handler)
        log.info("first %d %s", 1, "ünï")
        print(read("plain.log"))
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("failed")
        print(read("plain.log").splitlines()[-1], os.path.isabs(handler.baseFilename))
        close(log)
        handler = logging.FileHandler("plain.log", encoding="utf-8")
        log.addHandler(handler)
        log.warning("appended")
        close(log)
        print(read("plain.log").splitlines()[-1], len(read("plain.log").splitlines()) > 2)
        log.addHandler(logging.FileHandler("plain.log", mode="w"))
        log.warning("anew")
        close(log)
        print(read("plain.log"))
        handler = logging.FileHandler("late.log", delay=True)
        log.addHandler(handler)
        print(os.path.exists("late.log"))
        log.debug("now")
        print(os.path.exists("late.log"))
        close(log)
        try:
            logging.FileHandler("none/x.log")
        except FileNotFoundError as error:
            print(type(error).__name__)

        handler = logging.handlers.RotatingFileHandler("turn.log", maxBytes=100, backupCount=3, encoding="utf-8")
        log.addHandler(handler)
        for i in range(40):
            log.info("message number %03d", i)
        close(log)
        for name in sorted(os.listdir()):
            if name.startswith("turn"):
                print(name, os.path.getsize(name), read(name).split("\n")[0], read(name).count("\n"))
        handler = logging.handlers.RotatingFileHandler("named.log", maxBytes=50, backupCount=2)
        handler.namer = lambda name: name.replace(".log.", "_") + ".log"
        log.addHandler(handler)
        for i in range(10):
            log.info("line %02d of ten, filled", i)
        handler.doRollover()
        close(log)
        print(sorted(name for name in os.listdir() if name.startswith("named")))

        handler = logging.handlers.TimedRotatingFileHandler("timed.log", when="S", interval=1, backupCount=2, utc=True)
        log.addHandler(handler)
        log.info("before")
        handler.doRollover()
        log.info("after")
        close(log)
        timed = sorted(name for name in os.listdir() if name.startswith("timed"))
        print(len(timed), timed[0], read("timed.log"), read(timed[1]))

        handler = logging.handlers.WatchedFileHandler("watched.log")
        log.addHandler(handler)
        log.info("one")
        os.rename("watched.log", "watched.old")
        log.info("two")
        os.unlink("watched.log")
        log.info("three")
        close(log)
        print(read("watched.old"), read("watched.log"))

        target = logging.FileHandler("buffered.log")
        handler = logging.handlers.MemoryHandler(3, logging.ERROR, target)
        log.addHandler(handler)
        for message in ["a", "b"]:
            log.info(message)
        print(repr(read("buffered.log")))
        log.error("c")
        print(read("buffered.log").split())
        log.info("d")
        close(log)
        target.close()
        print(read("buffered.log").split())

        class Json(logging.Formatter):
            def format(self, record):
                return json.dumps({"level": record.levelname, "text": record.getMessage(), "extra": getattr(record, "extra", None)})

        settings = {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"short": {"format": "{levelname[0]}:{message}", "style": "{"}, "json": {"()": Json}},
            "handlers": {
                "all": {"class": "logging.FileHandler", "filename": "all.log", "formatter": "short"},
                "errors": {"class": "logging.FileHandler", "filename": "errors.log", "formatter": "json", "level": "ERROR"},
            },
            "loggers": {"case.configured": {"handlers": ["all", "errors"], "level": "DEBUG", "propagate": False}},
        }
        logging.config.dictConfig(settings)
        log = logging.getLogger("case.configured")
        log.debug("one")
        log.error("two", extra={"extra": [1, 2]})
        close(log)
        print(read("all.log").split(), json.loads(read("errors.log")))
        with open("config.ini", "w") as file:
            file.write("[loggers]\nkeys=root,ini\n[handlers]\nkeys=file\n[formatters]\nkeys=f\n[logger_root]\nhandlers=\n[logger_ini]\nqualname=case.ini\nhandlers=file\npropagate=0\nlevel=INFO\n[handler_file]\nclass=FileHandler\nargs=('ini.log','w')\nformatter=f\n[formatter_f]\nformat=%(name)s %(message)s\n")
        logging.config.fileConfig("config.ini", disable_existing_loggers=False)
        log = logging.getLogger("case.ini")
        log.debug("not this")
        log.info("from a file")
        close(log)
        print(read("ini.log"))
        root = logging.getLogger()
        close(root)
        logging.basicConfig(filename="basic.log", level=logging.INFO, format="%(levelname)s:%(message)s", force=True)
        logging.info("basic")
        logging.getLogger("child").debug("unseen")
        logging.getLogger("child").critical("seen")
        close(root)
        print(read("basic.log").split())
    finally:
        os.chdir(start)
