"""Reads a picture file, whatever it is, into upright 8-bit JPEG or PNG bytes."""

import contextlib
import hashlib
import io
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from st_keras.data import pillow_warnings
from st_keras.data.skipping import Reason, SkipPicture

EXTENSIONS = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp"),
        *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    )
)

# Others are not tried: Pillow hands EPS files to Ghostscript, for one. A phone's MPO
# is opened as JPEG.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM")
_ORIENTATION_TAG = 0x0112
# How to make a picture upright, by EXIF's orientation. `ImageOps.exif_transpose` does
# the same, but writes the other EXIF tags anew and fails where one has an odd type.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FEWEST_OF_16_BITS = 1 << 12  # A brightest pixel under it: 12 bits in a file of 16.
_GREY_MODES = ("1", "L", "LA", "La")
_JPEG_OPTIONS = {"quality": 95, "subsampling": 0}
_PNG_DEPTH_AND_COLOR = slice(24, 26)  # In the IHDR chunk, which always comes first.
_BITS_TAG = 0x0102  # TIFF's BitsPerSample.
_PNG_PLAIN = (b"\x08\x00", b"\x08\x02")  # 8 bits; grey or RGB.
_PNG_END = b"IEND\xae\x42\x60\x82"


class Picture(NamedTuple):
    """A readable picture. Its pixels are upright."""

    encoded: bytes  # JPEG or PNG, 8 bits, grey or RGB.
    format: str  # `jpeg` or `png`.
    height_px: int  # Of `encoded`.
    width_px: int
    upright_size_px: tuple[int, int]  # Height and width before shrinking.
    orientation: int  # EXIF's 1 to 8: how the file's pixels were turned; 1 is upright.
    file_sha256: str = ""  # Hex digest of the file where `encoded` is not its content.


def read_picture(file: pathlib.Path | bytes, max_side_px: int = 0) -> Picture:
    """Decodes a picture completely and returns it in a form every decoder reads.

    JPEG and PNG files that are upright and have 8-bit grey or RGB pixels keep their
    bytes. Others are encoded again: lossless ones as PNG, lossy ones as JPEG of
    quality 95. 16 bits are cut to the upper 8; transparency is dropped, as OpenCV and
    `tf.io.decode_png` do; of several frames the first one counts. The extension does
    not matter, the content does.

    Args:
      file: Path or content.
      max_side_px: Larger pictures are shrunk to it, antialiased; 0 never does.

    Raises:
      SkipPicture: The file is missing, empty, damaged, no picture, or has pixels whose
        range is unknown, such as 12 bits in a file of 16.
    """
    content = file if isinstance(file, bytes) else _read_bytes(file)
    with _skipping_failures(content):
        return _read(content, max_side_px)


def _read(content: bytes, max_side_px: int) -> Picture:
    image = Image.open(io.BytesIO(content), formats=_FORMATS)
    image.load()
    if image.mode in ("RGB", "RGBA") and _bits_per_channel(image, content) == 16:
        # Pillow has kept the upper bytes alone, so that 255 stands for any lower one.
        # Black is refused too: it may be 8 bits in a file of 16.
        _check_brightness((max(high for _, high in image.getextrema()[:3]) << 8) + 255)
    orientation = _orientation(image)
    lossy = _is_lossy(image.format, content)
    plain = _is_plain(image, content) and orientation == 1
    upright = turned_upright(image)
    height, width = upright.height, upright.width
    scale = max_side_px / max(height, width)
    if 0 < scale < 1:
        size = tuple(max(1, round(side * scale)) for side in (width, height))
        upright = _eight_bit(upright).resize(size, Image.Resampling.LANCZOS)
        plain = False
    encoded = content if plain else _encode(_eight_bit(upright), lossy)
    return Picture(
        encoded=encoded,
        format="jpeg" if lossy else "png",
        height_px=upright.height,
        width_px=upright.width,
        upright_size_px=(height, width),
        orientation=orientation,
        file_sha256="" if plain else hashlib.sha256(content).hexdigest(),
    )


def encode_png(pixels: np.ndarray, *, effort: int = 6) -> bytes:
    """Returns [H, W] or [H, W, 3] uint8 pixels as a PNG file.

    Args:
      pixels: Of the picture.
      effort: Compression level, 0 to 9.
    """
    return _encode(Image.fromarray(pixels), lossy=False, effort=effort)


def turned_upright(image: Image.Image) -> Image.Image:
    """Returns a loaded picture turned as its EXIF says."""
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def turn_upright(
    box_yxyx: tuple[float, ...], upright_size_px: tuple[int, int], orientation: int
) -> tuple[float, float, float, float]:
    """Turns a box by a quarter, as `read_picture` turns the pixels around it.

    Args:
      box_yxyx: Pixels of the picture as it lies in the file.
      upright_size_px: Height and width after turning.
      orientation: EXIF's 5 to 8, those that swap height and width.
    """
    height, width = upright_size_px
    y0, x0, y1, x1 = box_yxyx
    top, bottom = (x0, x1) if orientation in (5, 6) else (height - x1, height - x0)
    left, right = (y0, y1) if orientation in (5, 8) else (width - y1, width - y0)
    return top, left, bottom, right


def _read_bytes(path: pathlib.Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SkipPicture(Reason.MISSING_FILE, str(path)) from None
    except (OSError, ValueError) as error:  # ValueError: no possible file name.
        detail = f"{path}: {error}"
        raise SkipPicture(Reason.UNREADABLE_FILE, detail) from None
    if not content:
        raise SkipPicture(Reason.EMPTY_FILE, f"{path}: 0 bytes")
    return content


@contextlib.contextmanager
def _skipping_failures(content: bytes) -> Iterator[None]:
    """Turns whatever Pillow raises for a bad file into SkipPicture."""
    with pillow_warnings.silenced():
        try:
            yield
        except SkipPicture:
            raise
        except pillow_warnings.BOMBS as error:
            raise SkipPicture(Reason.TOO_MANY_PIXELS, str(error)) from None
        except Image.UnidentifiedImageError:
            detail = f"not a picture; {len(content)} bytes starting {content[:8]!r}"
            raise SkipPicture(Reason.UNREADABLE_FILE, detail) from None
        except MemoryError:
            raise SkipPicture(Reason.TOO_MANY_PIXELS, "out of memory") from None
        # Pillow's parsers let struct.error, KeyError, SyntaxError and more escape.
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"
            raise SkipPicture(Reason.UNREADABLE_FILE, detail) from None


def _orientation(image: Image.Image) -> int:
    """Returns EXIF's 1 to 8; 1 where the tag is absent or nonsense.

    Pillow turns TIFFs by itself while loading and then drops the tag.
    """
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # Damaged EXIF does not make the pixels unreadable.
        return 1
    return value if value in range(1, 9) else 1


def _is_lossy(file_format: str, content: bytes) -> bool:
    if file_format == "WEBP":
        return b"VP8L" not in content[:40]  # The chunk of lossless pixels.
    return file_format in ("JPEG", "MPO")


def _is_plain(image: Image.Image, content: bytes) -> bool:
    """Says whether TensorFlow decodes the unchanged bytes to these pixels."""
    if image.format in ("JPEG", "MPO"):
        return image.mode in ("L", "RGB")
    depth_and_color = content[_PNG_DEPTH_AND_COLOR]
    return (
        image.format == "PNG"
        and depth_and_color in _PNG_PLAIN
        and content.endswith(_PNG_END)  # Pillow does not need it, TensorFlow does.
    )


def _bits_per_channel(image: Image.Image, content: bytes) -> int:
    if image.format == "PNG":
        return content[_PNG_DEPTH_AND_COLOR][0]
    return int(np.max(image.tag_v2.get(_BITS_TAG, 8))) if image.format == "TIFF" else 8


def _eight_bit(image: Image.Image) -> Image.Image:
    """Returns the picture in mode L or RGB."""
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in _GREY_MODES:
        return image.convert("L")
    if image.mode.startswith("I;16"):
        return _upper_bits(np.asarray(image))
    if image.mode in ("I", "F"):
        detail = f"mode {image.mode}: 32 bits per pixel in no known range"
        raise SkipPicture(Reason.UNSUPPORTED_PIXELS, detail)
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise SkipPicture(Reason.UNSUPPORTED_PIXELS, str(error)) from None


def _upper_bits(pixels: np.ndarray) -> Image.Image:
    """Returns 16-bit pixels as 8-bit ones."""
    if pixels.any():  # An empty picture is black in any range.
        _check_brightness(int(pixels.max()))
    return Image.fromarray((pixels >> 8).astype(np.uint8))


def _check_brightness(brightest: int) -> None:
    if brightest < _FEWEST_OF_16_BITS:
        # Not stretched: what is bright in one picture must be as bright in the next.
        detail = (
            f"16 bits per pixel, but none above {brightest}: it would be black; "
            "scale the pixels of all pictures to 16 or 8 bits"
        )
        raise SkipPicture(Reason.UNSUPPORTED_PIXELS, detail)


def _encode(image: Image.Image, lossy: bool, effort: int = 6) -> bytes:
    # Pillow would also write the old colour profile, which is wrong for pixels that
    # were CMYK.
    image.info.clear()
    buffer = io.BytesIO()
    if lossy:
        image.save(buffer, "JPEG", **_JPEG_OPTIONS)
    else:
        image.save(buffer, "PNG", compress_level=effort)
    return buffer.getvalue()
