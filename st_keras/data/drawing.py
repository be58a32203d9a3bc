"""Pictures with their boxes: one drawing function for human, pseudo and predicted."""

import colorsys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from st_keras.types import Batch, Labels

_SMALLEST_SIDE_PX = 320  # Smaller pictures are enlarged, so that text can be read.


def draw_labels(
    image: np.ndarray,
    labels: Labels,
    class_names: tuple[str, ...],
    *,
    smallest_side_px: int = _SMALLEST_SIDE_PX,
) -> np.ndarray:
    """Returns the image with boxes, class names and, below 1, scores.

    Args:
      image: [H, W, 3] uint8.
      labels: [N, ...] NumPy arrays in pixels of the image; rows of weight 0 are not
        drawn, crowds are drawn thin.
      class_names: By class id.
      smallest_side_px: The image is enlarged by a whole factor to at least this.

    Returns:
      [H', W', 3] uint8.
    """
    factor = max(1, -(-smallest_side_px // min(image.shape[:2])))
    picture = Image.fromarray(image)
    picture = picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(11, min(picture.size) // 32))
    for box, class_id, score, weight, is_crowd in zip(*labels, strict=True):
        if weight <= 0:
            continue
        y0, x0, y1, x1 = (float(side) * factor for side in box)
        x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
        color = class_color(int(class_id))
        draw.rectangle([x0, y0, x1, y1], outline=color, width=1 if is_crowd else 2)
        text = class_names[int(class_id)]
        if score < 1:
            text += f" {score:.2f}"
        left, top, right, bottom = draw.textbbox((x0, y0), text, font=font)
        y_text = max(0, y0 - (bottom - top) - 4)
        draw.rectangle(
            [x0, y_text, x0 + right - left + 4, y_text + bottom - top + 4], fill=color
        )
        draw.text((x0 + 2, y_text + 2 - (top - y0)), text, fill="black", font=font)
    return np.asarray(picture)


def draw_batch(batch: Batch, class_names: tuple[str, ...]) -> np.ndarray:
    """Returns [B, H', W', 3] uint8, each image of a NumPy batch with its labels."""
    return np.stack(
        [
            draw_labels(image, Labels(*(f[row] for f in batch.labels)), class_names)
            for row, image in enumerate(batch.image)
        ]
    )


def contact_sheet(
    pictures: list[np.ndarray], *, columns: int, gap_px: int = 6
) -> np.ndarray:
    """Returns one [H, W, 3] uint8 sheet of pictures on white, row by row."""
    height = max(picture.shape[0] for picture in pictures)
    width = max(picture.shape[1] for picture in pictures)
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    shape = [rows * (height + gap_px) + gap_px, columns * (width + gap_px) + gap_px, 3]
    sheet = np.full(shape, 255, np.uint8)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        y, x = gap_px + row * (height + gap_px), gap_px + column * (width + gap_px)
        sheet[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return sheet


def class_color(class_id: int) -> tuple[int, int, int]:
    """Returns a bright colour (red, green, blue) that neighbours in id do not share."""
    hue = class_id * 0.618034 % 1.0  # Golden ratio: never close to the ones before.
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 1.0)
    return int(red * 255), int(green * 255), int(blue * 255)
