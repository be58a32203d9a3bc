"""Pictures with their labels: one drawing function for human, pseudo and predicted."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from st_keras.data import drawing_maps
from st_keras.data.class_colors import class_color
from st_keras.types import Batch, Boxes, Classes, Embeddings, Labels

_SMALLEST_SIDE_PX = 320  # Smaller pictures are enlarged, so that text can be read.
_ENLARGED_TO_PX = 1280  # At most, for the longer side; a narrow strip would exceed it.
_DROPPED_COLOR = (170, 170, 170)
_DASH_PX = 5
_GAP_PX = 6


def draw_labels(
    image: np.ndarray,
    labels: Labels,
    class_names: tuple[str, ...],
    *,
    smallest_side_px: int = _SMALLEST_SIDE_PX,
    largest_side_px: int = 0,
    marks_yx: np.ndarray | None = None,
    legend: bool = True,
) -> np.ndarray:
    """Returns the image with its labels drawn on it.

    Boxes come with class names and, below 1, scores. A box that does not count (weight
    0) is dashed, grey and nameless; a padding row is not drawn. Crowds are drawn thin.
    A label map is drawn half transparent in the colours of its classes. Classes of the
    whole picture are written into its corner, grey if they do not count.

    Args:
      image: [H, W, 3] uint8.
      labels: NumPy arrays, in pixels of the image.
      class_names: By class id; an id beyond them is written as a number.
      smallest_side_px: The image is enlarged by a whole factor to at least this,
        unless its longer side would be over 1280 px then.
      largest_side_px: It is shrunk to at most this; 0 never does.
      marks_yx: [M, 2] pixels of the image; each gets a small cross.
      legend: Whether the colours of a label map are explained below it.

    Returns:
      [H', W', 3] uint8.
    """
    picture, scale = fit(Image.fromarray(image), smallest_side_px, largest_side_px)
    marks_xy = [(float(x) * scale, float(y) * scale) for y, x in _rows(marks_yx)]
    if isinstance(labels, Boxes):
        _draw_boxes(picture, scale, labels, class_names, marks_xy)
        return np.asarray(picture)
    if isinstance(labels, Embeddings):
        return np.asarray(picture)  # No one could read them.
    if isinstance(labels, Classes):
        _write_classes(picture, labels, class_names)
        return np.asarray(picture)
    picture = drawing_maps.tint(picture, labels.class_ids, class_names)
    draw = ImageDraw.Draw(picture)
    for x, y in marks_xy:
        _draw_cross(draw, x, y)
    if legend:
        picture = drawing_maps.with_legend(picture, labels.class_ids, class_names)
    return np.asarray(picture)


def draw_batch(batch: Batch, class_names: tuple[str, ...]) -> np.ndarray:
    """Returns [B, H', W', 3] uint8, each image of a NumPy batch with its labels."""
    views = len(batch.image) // len(batch.labels[0])  # Of each picture.
    return np.stack(
        [
            draw_labels(
                image,
                batch.labels._make(field[row // views] for field in batch.labels),
                class_names,
                legend=False,  # Its height depends on the classes.
            )
            for row, image in enumerate(batch.image)
        ]
    )


def contact_sheet(
    pictures: Sequence[np.ndarray], *, columns: int, titles: Sequence[str] = ()
) -> np.ndarray:
    """Returns one [H, W, 3] uint8 sheet of pictures on white, row by row.

    Args:
      pictures: [H, W, 3] uint8 each; their sizes may differ.
      columns: Pictures beside each other.
      titles: Written above each picture; cut to its width. Empty: none.
    """
    font = ImageFont.load_default(13)
    title_px = 20 if titles else 0
    height = max(picture.shape[0] for picture in pictures) + title_px + _GAP_PX
    width = max(picture.shape[1] for picture in pictures) + _GAP_PX
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    size = (columns * width + _GAP_PX, rows * height + _GAP_PX)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        x, y = _GAP_PX + column * width, _GAP_PX + row * height
        if titles:
            title = _cut(titles[index], font, picture.shape[1])
            draw.text((x, y + 2), title, fill="black", font=font)
        sheet.paste(Image.fromarray(picture), (x, y + title_px))
    return np.asarray(sheet)


def _draw_boxes(picture, scale, labels: Boxes, class_names, marks_xy) -> None:
    draw = ImageDraw.Draw(picture)
    line_px = max(2, min(picture.size) // 240)
    names = []
    # The best last, so that it lies on top.
    for row in np.argsort(labels.scores, kind="stable"):
        y0, x0, y1, x1 = (float(side) * scale for side in labels.boxes_yxyx[row])
        if y1 <= y0 and x1 <= x0:
            continue
        # The last pixel is inside the picture; an edge at its border is one too far.
        x1, y1 = min(x1, picture.width - 1), min(y1, picture.height - 1)
        box = (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
        if labels.weights[row] <= 0:
            draw_dashed(draw, box, _DROPPED_COLOR)
            continue
        class_id, score = int(labels.class_ids[row]), float(labels.scores[row])
        color = class_color(class_id)
        width = 1 if labels.is_crowd[row] else line_px
        draw.rectangle(box, outline=color, width=width)
        names.append((box, color, name_of(class_id, score, class_names)))
    for x, y in marks_xy:
        _draw_cross(draw, x, y)
    font = ImageFont.load_default(max(14, min(picture.size) // 30))
    for box, color, text in names:
        draw_name(draw, box, color, text, font)


def _write_classes(picture, labels: Classes, class_names) -> None:
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(14, min(picture.size) // 30))
    bottom = 0.0
    for class_id, score, weight in zip(*labels, strict=True):
        is_said = weight > 0
        text = name_of(int(class_id), float(score), class_names) if is_said else "?"
        color = class_color(int(class_id)) if is_said else _DROPPED_COLOR
        _, top, _, end = draw.textbbox((0, 0), text, font=font)
        bottom += end - top + 4
        # A name is written above the place it is given.
        draw_name(draw, (0, bottom), color, text, font)


def fit(
    picture: Image.Image, smallest_side_px: int, largest_side_px: int
) -> tuple[Image.Image, float]:
    """Returns the picture at the size to draw on, and the scale against the original.

    Args:
      picture: Of any size.
      smallest_side_px: As for `draw_labels`.
      largest_side_px: As for `draw_labels`.
    """
    wanted = -(-smallest_side_px // min(picture.size))
    scale: float = max(1, min(wanted, _ENLARGED_TO_PX // max(picture.size)))
    resampling = Image.Resampling.NEAREST
    if largest_side_px and max(picture.size) * scale > largest_side_px:
        scale = largest_side_px / max(picture.size)
        if scale < 1:
            resampling = Image.Resampling.LANCZOS
    size = [max(1, round(side * scale)) for side in picture.size]
    return picture.resize(size, resampling), scale


def _rows(array: np.ndarray | None) -> np.ndarray:
    return np.zeros([0, 2]) if array is None else array


def name_of(class_id: int, score: float, class_names: tuple[str, ...]) -> str:
    """Returns what is written beside a box; a score of 1 or more is left out."""
    is_named = 0 <= class_id < len(class_names)
    name = class_names[class_id] if is_named else f"class {class_id}"
    return name if score >= 1 else f"{name}: {score:.2f}"


def draw_dashed(
    draw: ImageDraw.ImageDraw, box: tuple, color: tuple[int, int, int], width: int = 1
) -> None:
    """Draws the outline (x0, y0, x1, y1) of a box in short lines."""
    x0, y0, x1, y1 = box
    look = {"fill": color, "width": width}
    for x in np.arange(x0, x1, 2 * _DASH_PX):
        end = min(x + _DASH_PX, x1)
        draw.line([(x, y0), (end, y0)], **look)
        draw.line([(x, y1), (end, y1)], **look)
    for y in np.arange(y0, y1, 2 * _DASH_PX):
        end = min(y + _DASH_PX, y1)
        draw.line([(x0, y), (x0, end)], **look)
        draw.line([(x1, y), (x1, end)], **look)


def _draw_cross(draw: ImageDraw.ImageDraw, x: float, y: float) -> None:
    # A black edge keeps the white cross visible on white.
    for color, width in (("black", 3), ("white", 1)):
        draw.line([(x - 3, y), (x + 3, y)], fill=color, width=width)
        draw.line([(x, y - 3), (x, y + 3)], fill=color, width=width)


def draw_name(draw: ImageDraw.ImageDraw, box, color, text: str, font) -> None:
    """Writes above the box's top left corner, or as near to it as there is room."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    image_width, image_height = draw.im.size
    x = max(0, min(box[0], image_width - width))
    y = max(0, min(box[1] - height, image_height - height))
    draw.rectangle([x, y, x + width, y + height], fill=color)
    draw.text((x + 2 - left, y + 2 - top), text, fill="black", font=font)


def _cut(text: str, font, width_px: int) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(f"{text}...") > width_px:
        text = text[:-1]
    return f"{text}..."
