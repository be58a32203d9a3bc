"""RandAugment (arXiv:1909.13719): a few operations, all of one magnitude."""

from st_keras.data.augment.operations import Menu, Step

# Drawn with equal chances, as in the authors' `autoaugment.py`.
OPERATIONS = (
    *("AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize"),
    *("Color", "Contrast", "Brightness", "Sharpness", "ShearX", "ShearY"),
    *("TranslateX", "TranslateY", "Cutout", "SolarizeAdd"),
)


def rand_augment(layers: int, magnitude: float) -> Menu:
    """Returns the menu of RandAugment.

    Args:
      layers: Operations one after the other, drawn with replacement.
      magnitude: From 0 to 10.
    """
    rows = tuple((Step(name, 1.0, magnitude),) for name in OPERATIONS)
    return Menu(rows=rows, draws=layers, translate_px=100.0, cutout_px=40.0)
