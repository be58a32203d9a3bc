"""Silences Pillow's warnings, on any number of threads."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

from PIL import Image

# What Pillow raises, within `silenced`, where a picture has too many pixels.
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

_lock = threading.Lock()
_inside = 0
_filters = contextlib.ExitStack()


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Silences warnings; that of too many pixels becomes an error, one of `BOMBS`.

    Python's filters are process-wide, so the first thread to enter sets them and the
    last one to leave restores the previous ones.
    """
    global _inside
    with _lock:
        if not _inside:
            _filters.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _filters.close()
