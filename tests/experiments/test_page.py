"""What pages are made of."""

import base64
import io

import numpy as np
from PIL import Image

from st_keras.experiments import page


def test_a_picture_of_nothing_but_details_is_shown_too():
    noise = np.random.default_rng(0).integers(0, 256, [240, 400, 3], np.uint8)
    kind, _, content = page.jpeg(noise).partition(",")
    assert kind == "data:image/jpeg;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))), np.float32)
    assert np.abs(shown - noise).mean() < 8.0
