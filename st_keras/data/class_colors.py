"""The colour of a class, wherever it is drawn."""

import colorsys


def class_color(class_id: int) -> tuple[int, int, int]:
    """Returns a bright colour (red, green, blue) that neighbours in id do not share."""
    hue = class_id * 0.618034 % 1.0  # Golden ratio: never close to the few before.
    value = 0.7 if class_id // 8 % 2 else 1.0  # After eight, it is close to the first.
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, value)
    return int(red * 255), int(green * 255), int(blue * 255)
