"""What every test starts from, however the tests themselves were started."""

import gc
import signal

# Under nohup, and as a background job of a shell without job control, these come ignored, and every child inherits
# that; the tests that send them would wait for nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """Have the garbage collector never look again at what thousands of tests consist of."""
    gc.freeze()
