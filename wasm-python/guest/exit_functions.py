"""Exit functions of libraries, run only if they have something to do: each one-turn session would pay for them."""

import atexit
import logging
from multiprocessing import util


def install():
    """Replaces the registered functions. Called after the imports of the image."""
    handlers = list(logging._handlerList)

    def exit_function():
        if util._finalizer_registry:
            util._exit_function()
        if logging._handlerList != handlers:
            logging.shutdown()

    atexit.unregister(util._exit_function)
    atexit.unregister(logging.shutdown)
    atexit.register(exit_function)
