"""What `silenced` promises, whoever else is inside."""

import threading
import warnings

import pytest
from PIL import Image

from st_keras.data import pillow_warnings


def test_nothing_is_shown_and_too_many_pixels_are_an_error():
    with pillow_warnings.silenced():
        warnings.warn("Corrupt EXIF data.", UserWarning, stacklevel=1)
        with pytest.raises(pillow_warnings.BOMBS):
            warnings.warn("", Image.DecompressionBombWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="as before"):
        warnings.warn("as before", UserWarning, stacklevel=1)


def test_the_last_thread_that_leaves_puts_the_filters_back():
    """The first one that leaves would, if each put back what it had found."""
    before = list(warnings.filters)
    first_is_in, first_may_go = threading.Event(), threading.Event()

    def first():
        with pillow_warnings.silenced():
            first_is_in.set()
            first_may_go.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    first_is_in.wait(10)
    with pillow_warnings.silenced():
        first_may_go.set()
        thread.join()
        with pytest.raises(pillow_warnings.BOMBS):
            warnings.warn("", Image.DecompressionBombWarning, stacklevel=1)
    assert list(warnings.filters) == before


def test_an_error_inside_puts_the_filters_back():
    before = list(warnings.filters)
    with pytest.raises(KeyError), pillow_warnings.silenced():
        raise KeyError
    assert list(warnings.filters) == before
