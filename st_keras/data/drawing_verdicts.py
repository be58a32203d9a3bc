"""Pseudo labels over their picture, coloured by what becomes of them."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from st_keras.data import drawing, drawing_maps
from st_keras.metrics import verdicts as kinds
from st_keras.metrics.verdicts import BoxVerdicts, ClassVerdicts, Verdicts
from st_keras.types import IGNORED, LabelMap

# In the order of `kinds.KINDS`; colour-blind eyes tell them apart, as do the dashes.
COLORS = (
    (0, 190, 130),
    (240, 70, 30),
    (70, 150, 255),
    (240, 200, 40),
    (170, 170, 170),
)
_DASHED = (kinds.MISSED, kinds.DROPPED)
_NAMELESS = kinds.DROPPED  # There are too many of them to be read.
# The most important last, so that they lie on top; dashes let those below show.
_ORDER = (kinds.DROPPED, kinds.KEPT, kinds.MATCHED, kinds.FALSE, kinds.MISSED)
_GAP_PX = 4


def draw_verdicts(
    image: np.ndarray,
    found: Verdicts,
    class_names: tuple[str, ...],
    *,
    smallest_side_px: int,
    largest_side_px: int,
) -> np.ndarray:
    """Returns the image with its pseudo labels in the colours of their verdicts.

    Boxes have names and scores unless they are dropped; missed and dropped ones are
    dashed. A label map is drawn twice, above the names of its classes: by class and
    by verdict. Classes of the whole picture are written into its corner.

    Args:
      image: [H, W, 3] uint8.
      found: NumPy arrays, in pixels of the image.
      class_names: By class id.
      smallest_side_px: As for `drawing.draw_labels`.
      largest_side_px: As for `drawing.draw_labels`.

    Returns:
      [H', W', 3] uint8.
    """
    sides_px = (smallest_side_px, largest_side_px)
    picture, scale = drawing.fit(Image.fromarray(image), *sides_px)
    if isinstance(found, BoxVerdicts):
        return _draw_boxes(picture, scale, found, class_names)
    if isinstance(found, ClassVerdicts):
        return _write_classes(picture, found, class_names)
    is_kept = np.isin(found.kinds, (kinds.MATCHED, kinds.FALSE, kinds.KEPT))
    ids = np.where(is_kept, found.class_ids, IGNORED)
    by_class = drawing.draw_labels(
        image,
        LabelMap(ids, np.full_like(ids, 255)),
        class_names,
        smallest_side_px=smallest_side_px,
        largest_side_px=largest_side_px,
        legend=False,
    )
    gap = np.full([picture.height, _GAP_PX, 3], 255, np.uint8)
    both = np.concatenate([by_class, gap, _tint(picture, found.kinds)], axis=1)
    return np.asarray(drawing_maps.with_legend(Image.fromarray(both), ids, class_names))


def _draw_boxes(picture, scale, found: BoxVerdicts, class_names) -> np.ndarray:
    draw = ImageDraw.Draw(picture)
    line_px = max(2, min(picture.size) // 160)
    names = []
    for kind in _ORDER:
        for row in np.flatnonzero(found.kinds == kind):
            y0, x0, y1, x1 = (float(side) * scale for side in found.boxes_yxyx[row])
            # The last pixel is inside the picture; an edge at its border is beyond.
            x1, y1 = min(x1, picture.width - 1), min(y1, picture.height - 1)
            box = (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
            if kind in _DASHED:
                width = 1 if kind == _NAMELESS else line_px
                drawing.draw_dashed(draw, box, COLORS[kind], width)
            else:
                draw.rectangle(box, outline=COLORS[kind], width=line_px)
            if kind != _NAMELESS:
                class_id, score = int(found.class_ids[row]), float(found.scores[row])
                text = drawing.name_of(class_id, score, class_names)
                names.append((box, COLORS[kind], text))
    font = ImageFont.load_default(max(11, min(picture.size) // 30))
    for box, color, text in names:
        drawing.draw_name(draw, box, color, text, font)
    return np.asarray(picture)


def _write_classes(picture, found: ClassVerdicts, class_names) -> np.ndarray:
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(14, min(picture.size) // 20))
    bottom = 0.0
    for class_id, score, kind in zip(*found, strict=True):
        text = drawing.name_of(int(class_id), float(score), class_names)
        _, top, _, end = draw.textbbox((0, 0), text, font=font)
        bottom += end - top + 4
        # A name is written above the place it is given.
        drawing.draw_name(draw, (0, bottom), COLORS[kind], text, font)
    return np.asarray(picture)


def _tint(picture: Image.Image, pixel_kinds: np.ndarray) -> np.ndarray:
    """Returns the picture, grey, with its pixels half in the colours of verdicts."""
    verdict_map = Image.fromarray(np.asarray(pixel_kinds, np.uint8))
    verdict_map = verdict_map.resize(picture.size, Image.Resampling.NEAREST)
    nothing = [(0, 0, 0)] * (256 - len(COLORS))
    palette = [side for color in (*COLORS, *nothing) for side in color]
    verdict_map.putpalette(palette)
    grey = picture.convert("L").convert("RGB")
    return np.asarray(Image.blend(grey, verdict_map.convert("RGB"), 0.5))
