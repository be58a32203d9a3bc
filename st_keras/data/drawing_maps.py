"""Label maps over their pictures, with a legend."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from st_keras.data.class_colors import class_color
from st_keras.types import IGNORED

_PLAIN = "background"  # What a picture shows besides its objects is not coloured.
_HATCH_LINES = 9  # Distance between two, in line widths.
_SMALLEST_FONT_PX = 13
_SHARE_COLOR = (120, 120, 120)  # Or a class called `2` would be `2 5%`.


def tint(
    picture: Image.Image, class_ids: np.ndarray, class_names: tuple[str, ...]
) -> Image.Image:
    """Returns a picture with its pixels half in the colours of their classes.

    Thin lines separate the classes. Ignored pixels are grey and hatched; a class named
    `background` stays as it is. Lines grow with the picture.

    Args:
      picture: RGB, of any size.
      class_ids: [H, W] uint8; it is brought to the picture's size, nearest pixel.
      class_names: By class id.
    """
    class_map = Image.fromarray(np.asarray(class_ids, np.uint8))
    class_map = class_map.resize(picture.size, Image.Resampling.NEAREST)
    ids = np.asarray(class_map)
    line_px = max(1, round(min(picture.size) / 500))
    class_map.putpalette([side for i in range(256) for side in class_color(i)])
    # Pillow blends in bytes; with floats, 12 megapixels would take over a gigabyte.
    tinted = Image.blend(picture, class_map.convert("RGB"), 0.5)
    tinted.paste(picture, mask=_mask(np.isin(ids, _plain_ids(class_names))))
    is_ignored = ids == IGNORED
    if is_ignored.any():
        # Neither the brightest nor the darkest picture hides lines on such a grey.
        grey = picture.convert("L").point(lambda value: 35 + 0.5 * value)
        tinted.paste(grey.convert("RGB"), mask=_mask(is_ignored))
        lines = grey.point(lambda value: value + 60).convert("RGB")
        tinted.paste(lines, mask=_mask(is_ignored & _hatching(ids.shape, line_px)))
    tinted.paste(
        tinted.point(lambda value: 0.45 * value), mask=_mask(_borders(ids, line_px))
    )
    return tinted


def with_legend(
    picture: Image.Image, class_ids: np.ndarray, class_names: tuple[str, ...]
) -> Image.Image:
    """Returns a picture above the names, colours and shares of the classes in it.

    The largest comes first; there are as many rows as the width asks for. Text grows
    with the picture, and a picture narrower than a name gets a page of its width.
    """
    font_px = max(_SMALLEST_FONT_PX, min(picture.size) // 40)
    font = ImageFont.load_default(font_px)
    patch_px, padding_px, row_px = (
        round(0.85 * font_px),
        2 * font_px // 5,
        7 * font_px // 5,
    )
    entries, x, y, page_width = [], padding_px, padding_px, picture.width
    for class_id, share in _shares(class_ids):
        name = f"{_name(class_id, class_names)} "
        text_x, text = patch_px + padding_px, _percent(share)
        share_x = text_x + int(font.getlength(name))
        width = share_x + int(font.getlength(text)) + 2 * padding_px
        if x > padding_px and x + width > picture.width:
            x, y = padding_px, y + row_px
        page_width = max(page_width, x + width)
        entries.append((x, y, class_id, [(text_x, name), (share_x, text)]))
        x += width
    height = picture.height + y + row_px + padding_px
    page = Image.new("RGB", (page_width, height), "white")
    page.paste(picture)
    draw = ImageDraw.Draw(page)
    for x, y, class_id, texts in entries:
        top = picture.height + y
        patch_top = top + (font_px - patch_px + 1) // 2 + font_px // 10
        box = (x, patch_top, x + patch_px, patch_top + patch_px)
        _draw_patch(draw, box, class_id, class_id in _plain_ids(class_names))
        for (text_x, text), color in zip(texts, ("black", _SHARE_COLOR), strict=True):
            draw.text((x + text_x, top), text, fill=color, font=font)
    return page


def _draw_patch(draw: ImageDraw.ImageDraw, box, class_id: int, is_plain: bool) -> None:
    if class_id == IGNORED:
        x0, y0, x1, y1 = box
        middle_x, middle_y = (x0 + x1) // 2, (y0 + y1) // 2
        draw.rectangle(box, fill=(95, 95, 95))
        for line in (
            [(x0, middle_y), (middle_x, y0)],
            [(x0, y1), (x1, y0)],
            [(middle_x, y1), (x1, middle_y)],
        ):
            draw.line(line, fill=(190, 190, 190), width=max(1, (x1 - x0) // 11))
        draw.rectangle(box, outline="black")
        return
    fill = None if is_plain else class_color(class_id)
    draw.rectangle(box, fill=fill, outline="black")


def _plain_ids(class_names: tuple[str, ...]) -> list[int]:
    return [i for i, name in enumerate(class_names) if name == _PLAIN]


def _shares(class_ids: np.ndarray) -> list[tuple[int, float]]:
    """Returns the ids in a map with their share of it, the largest first."""
    counts = np.bincount(np.ravel(class_ids), minlength=256)
    found = np.flatnonzero(counts)
    rows = zip(found.tolist(), (counts[found] / counts.sum()).tolist(), strict=True)
    return sorted(rows, key=lambda row: -row[1])


def _name(class_id: int, class_names: tuple[str, ...]) -> str:
    if class_id == IGNORED:
        return "ignored"
    is_named = class_id < len(class_names)
    return class_names[class_id] if is_named else f"class {class_id}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _mask(is_in: np.ndarray) -> Image.Image:
    return Image.fromarray(is_in.astype(np.uint8) * 255)


def _hatching(shape: tuple[int, ...], line_px: int) -> np.ndarray:
    """Returns where diagonal lines are in [H, W] pixels."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (x + y) % (_HATCH_LINES * line_px) < line_px


def _borders(ids: np.ndarray, line_px: int) -> np.ndarray:
    """Returns which pixels are less than `line_px` before one of another class."""
    border = np.zeros(ids.shape, bool)
    border[:, :-line_px] |= ids[:, :-line_px] != ids[:, line_px:]
    border[:-line_px] |= ids[:-line_px] != ids[line_px:]
    return border
