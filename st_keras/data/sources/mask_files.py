"""Reads the pixels of a mask file, upright, as the numbers that were stored."""

import io
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from st_keras.data import images, pillow_warnings
from st_keras.data.skipping import Reason, SkipPicture

_FORMATS = ("PNG", "GIF", "BMP", "DIB", "TIFF", "PPM")
_PNG_DEPTH, _PNG_COLOR = 24, 25  # Bytes of the IHDR chunk, which always comes first.
_GREY = 0
_COLOR_BASE = 256
_TIFF_BITS, _TIFF_MEANING, _WHITE_IS_ZERO = 258, 262, 0  # Tags, and a value.
_UNSCALED = (255, 65535)  # Largest values of a PGM that Pillow leaves as they are.


def read_values(path: pathlib.Path) -> np.ndarray:
    """Returns [H, W] integers: grey values, or indices into the palette.

    Raises:
      SkipPicture: The file is missing, empty, damaged or lossy, or has colours.
    """
    content, image = _open(path)
    if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
        detail = f"{path.name}: {image.mode} pixels where one number each was expected"
        raise SkipPicture(Reason.UNSUPPORTED_PIXELS, detail)
    values = np.asarray(image).astype(np.int32)
    return values // _grey_step(image, content)


def read_colors(path: pathlib.Path) -> np.ndarray:
    """Returns [H, W] int32, `color_value` of each pixel; transparency is dropped.

    Raises:
      SkipPicture: The file is missing, empty, damaged or lossy.
    """
    _, image = _open(path)
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA"):
        detail = f"{path.name}: {image.mode} pixels where 8-bit RGB was expected"
        raise SkipPicture(Reason.UNSUPPORTED_PIXELS, detail)
    red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), np.int32), -1, 0)
    return color_value(red, green, blue)


def color_value(red, green, blue):
    """Returns one number for a colour of 0 to 255, red lowest, as COCO numbers them."""
    return red + _COLOR_BASE * (green + _COLOR_BASE * blue)


def is_color_value(value: int) -> bool:
    """Says whether a number is the `color_value` of any colour."""
    return 0 <= value < _COLOR_BASE**3


def told_color(value: int) -> str:
    """Returns a `color_value` as people write it: `red,green,blue`."""
    rest, red = divmod(value, _COLOR_BASE)
    blue, green = divmod(rest, _COLOR_BASE)
    return f"colour {red},{green},{blue}"


def told_segment(value: int) -> str:
    """Returns a `color_value` as panoptic JSON writes it."""
    return f"segment id {value}"


def preferred(paths: Sequence[pathlib.Path]) -> pathlib.Path:
    """Returns the mask among files of one stem: the PNG, as others may show it."""
    return min(paths, key=lambda path: path.suffix.lower() != ".png")


def _open(path: pathlib.Path) -> tuple[bytes, Image.Image]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SkipPicture(Reason.MISSING_FILE, f"mask {path}") from None
    except (OSError, ValueError) as error:  # ValueError: no possible file name.
        detail = f"mask {path}: {error}"
        raise SkipPicture(Reason.UNREADABLE_FILE, detail) from None
    if not content:
        raise SkipPicture(Reason.EMPTY_FILE, f"mask {path}: 0 bytes")
    if content.startswith(b"\xff\xd8"):
        # Every border would get values between those of its two classes.
        detail = f"mask {path.name}: JPEG changes the values; save masks as PNG"
        raise SkipPicture(Reason.UNSUPPORTED_PIXELS, detail)
    with pillow_warnings.silenced():
        try:
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
            _check_scale(image, path)
            _check_kept(image, path)
            image.load()
            return content, images.turned_upright(image)
        except (*pillow_warnings.BOMBS, MemoryError) as error:
            detail = f"mask {path.name}: {error}"
            raise SkipPicture(Reason.TOO_MANY_PIXELS, detail) from None
        except SkipPicture:
            raise
        except Image.UnidentifiedImageError:
            detail = (
                f"mask {path.name}: none of {', '.join(_FORMATS)}; save masks as PNG; "
                f"{len(content)} bytes starting {content[:12]!r}"
            )
            raise SkipPicture(Reason.UNREADABLE_FILE, detail) from None
        # Pillow's parsers let struct.error, KeyError, SyntaxError and more escape.
        except Exception as error:
            detail = f"mask {path.name}: {type(error).__name__}: {error}"
            raise SkipPicture(Reason.UNREADABLE_FILE, detail) from None


def _check_scale(image: Image.Image, path: pathlib.Path) -> None:
    """Refuses a PGM or PPM whose values Pillow would stretch to 0 to 255 or 65535."""
    args = image.tile[0][-1] if image.format == "PPM" else ()
    largest = args[-1] if isinstance(args, tuple) and len(args) == 2 else 255
    if largest not in _UNSCALED:
        detail = f"mask {path.name}: values up to {largest}, not 255; save masks as PNG"
        raise SkipPicture(Reason.UNSUPPORTED_PIXELS, detail)


def _check_kept(image: Image.Image, path: pathlib.Path) -> None:
    """Refuses files whose numbers Pillow turns round or stretches as it reads them."""
    told = ""
    if image.format == "PPM" and image.mode == "1":
        told = "PBM, whose 1 is black"
    elif image.format == "TIFF" and image.tag_v2.get(_TIFF_MEANING) == _WHITE_IS_ZERO:
        told = "TIFF whose 0 is white"
    elif image.format == "TIFF" and set(image.tag_v2.get(_TIFF_BITS, ())) & {2, 4}:
        told = "TIFF with 2 or 4 bits"
    if told:
        detail = f"mask {path.name}: {told}, is read as other values; save masks as PNG"
        raise SkipPicture(Reason.UNSUPPORTED_PIXELS, detail)


def _grey_step(image: Image.Image, content: bytes) -> int:
    """Returns Pillow's factor on grey values of 2 or 4 bits: 85 or 17."""
    is_png = content.startswith(b"\x89PNG")
    if image.mode != "L" or not is_png or content[_PNG_COLOR] != _GREY:
        return 1
    return 255 // (2 ** content[_PNG_DEPTH] - 1) if content[_PNG_DEPTH] < 8 else 1
