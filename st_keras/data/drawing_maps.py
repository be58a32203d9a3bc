"""Label maps over their pictures, with a legend."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from st_keras.data.class_colors import class_color
from st_keras.types import IGNORED

_PLAIN = "background"  # What a picture shows besides its objects is not coloured.
_HATCH_PX = 9
_PADDING_PX = 5
_LEGEND_BACK = (255, 255, 255)


def tint(
    picture: Image.Image, class_ids: np.ndarray, class_names: tuple[str, ...]
) -> Image.Image:
    """Returns a picture with its pixels half in the colours of their classes.

    Thin lines part the classes. What is ignored is dark and hatched; a class named
    `background` stays as it is.

    Args:
      picture: Of any size.
      class_ids: [H, W] uint8; it is brought to the picture's size, nearest pixel.
      class_names: By class id.
    """
    size = picture.size
    ids = Image.fromarray(np.asarray(class_ids, np.uint8))
    ids = np.asarray(ids.resize(size, Image.Resampling.NEAREST))
    pixels = np.asarray(picture, np.float32)
    colors = np.array([class_color(i) for i in range(256)], np.float32)
    is_plain = np.isin(ids, _plain_ids(class_names))
    share = np.where(is_plain, 0.0, 0.5)[..., None]
    tinted = (1.0 - share) * pixels + share * colors[ids]
    y, x = np.indices(ids.shape)
    is_ignored = (ids == IGNORED)[..., None]
    is_line = ((x + y) % _HATCH_PX == 0)[..., None]
    hatched = np.where(is_line, 0.5 * pixels + 90.0, 0.5 * pixels)
    tinted = np.where(is_ignored, hatched, tinted)
    tinted = np.where(_borders(ids)[..., None], 0.35 * tinted, tinted)
    return Image.fromarray(np.clip(tinted, 0, 255).astype(np.uint8))


def with_legend(
    picture: Image.Image, class_ids: np.ndarray, class_names: tuple[str, ...]
) -> Image.Image:
    """Returns a picture above the names, colours and shares of the classes in it.

    The largest comes first; there are as many rows as the width asks for.
    """
    font = ImageFont.load_default(13)
    patch_px = 11
    entries, x, y = [], _PADDING_PX, _PADDING_PX
    for class_id, share in _shares(class_ids):
        text = f"{_name(class_id, class_names)} {_percent(share)}"
        width = patch_px + 4 + int(font.getlength(text)) + 2 * _PADDING_PX
        if x > _PADDING_PX and x + width > picture.width:
            x, y = _PADDING_PX, y + 18
        entries.append((x, y, class_id, text))
        x += width
    height = picture.height + y + 18 + _PADDING_PX
    page = Image.new("RGB", (picture.width, height), _LEGEND_BACK)
    page.paste(picture)
    draw = ImageDraw.Draw(page)
    plain = _plain_ids(class_names)
    for x, y, class_id, text in entries:
        top = picture.height + y
        box = (x, top + 2, x + patch_px, top + 2 + patch_px)
        fill = None if class_id in plain else class_color(class_id)
        draw.rectangle(box, fill=fill, outline="black")
        if class_id == IGNORED:
            draw.rectangle(box, fill=(90, 90, 90), outline="black")
            draw.line([box[:2], box[2:]], fill="white")
        draw.text((x + patch_px + 4, top), text, fill="black", font=font)
    return page


def _plain_ids(class_names: tuple[str, ...]) -> list[int]:
    return [i for i, name in enumerate(class_names) if name == _PLAIN]


def _shares(class_ids: np.ndarray) -> list[tuple[int, float]]:
    """Returns the ids in a map with their share of it, the largest first."""
    found, counts = np.unique(class_ids, return_counts=True)
    rows = zip(found.tolist(), (counts / counts.sum()).tolist(), strict=True)
    return sorted(rows, key=lambda row: -row[1])


def _name(class_id: int, class_names: tuple[str, ...]) -> str:
    if class_id == IGNORED:
        return "ignored"
    is_named = class_id < len(class_names)
    return class_names[class_id] if is_named else f"class {class_id}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _borders(ids: np.ndarray) -> np.ndarray:
    """Returns where a pixel's right or lower neighbour is of another class."""
    border = np.zeros(ids.shape, bool)
    border[:, :-1] |= ids[:, :-1] != ids[:, 1:]
    border[:-1] |= ids[:-1] != ids[1:]
    return border
