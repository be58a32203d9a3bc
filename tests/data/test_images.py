"""What `read_picture` promises."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras.data import images
from st_keras.data.skipping import Reason, SkipPicture

# 60 x 100, one colour for each quarter: top left, top right, bottom left, bottom right.
QUARTERS = np.array([[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [200, 200, 40]]])
PIXELS = QUARTERS.astype(np.uint8).repeat(30, axis=0).repeat(50, axis=1)


def encode(pixels, file_format, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def decode(picture):
    return np.asarray(Image.open(io.BytesIO(picture.encoded)))


def with_orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return encode(PIXELS, "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[..., 0]], ids=["rgb", "grey"])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_plain_picture_keeps_its_bytes(pixels, file_format):
    content = encode(pixels, file_format)
    picture = images.read_picture(content)
    assert picture.encoded == content
    assert picture.format == file_format.lower()
    assert (picture.height_px, picture.width_px) == (60, 100)


@pytest.mark.parametrize("file_format", ["BMP", "TIFF", "WEBP"])
def test_lossless_pictures_become_the_same_pixels_as_png(file_format):
    options = {"lossless": True} if file_format == "WEBP" else {}
    picture = images.read_picture(encode(PIXELS, file_format, **options))
    assert picture.format == "png"
    np.testing.assert_array_equal(decode(picture), PIXELS)


def test_a_lossy_webp_becomes_a_jpeg():
    picture = images.read_picture(encode(PIXELS, "WEBP", quality=90))
    assert picture.format == "jpeg"
    np.testing.assert_allclose(decode(picture)[15, 25], PIXELS[15, 25], atol=12)


# EXIF's orientation n: what is at the top left once the picture is upright, and the
# corner that follows to its right.
@pytest.mark.parametrize(
    "orientation, top_left, top_right, size",
    [
        (1, QUARTERS[0, 0], QUARTERS[0, 1], (60, 100)),
        (2, QUARTERS[0, 1], QUARTERS[0, 0], (60, 100)),
        (3, QUARTERS[1, 1], QUARTERS[1, 0], (60, 100)),
        (4, QUARTERS[1, 0], QUARTERS[1, 1], (60, 100)),
        (5, QUARTERS[0, 0], QUARTERS[1, 0], (100, 60)),
        (6, QUARTERS[1, 0], QUARTERS[0, 0], (100, 60)),
        (7, QUARTERS[1, 1], QUARTERS[0, 1], (100, 60)),
        (8, QUARTERS[0, 1], QUARTERS[1, 1], (100, 60)),
    ],
)
def test_exif_turns_a_picture_upright_once(orientation, top_left, top_right, size):
    picture = images.read_picture(with_orientation(orientation))
    pixels = decode(picture)
    assert pixels.shape[:2] == size == picture.upright_size_px
    np.testing.assert_allclose(pixels[10, 10], top_left, atol=8)
    np.testing.assert_allclose(pixels[10, -10], top_right, atol=8)
    stored = Image.open(io.BytesIO(picture.encoded))
    assert stored.getexif().get(0x0112, 1) == 1


def test_a_tag_of_an_odd_type_does_not_matter():
    # One directory at byte 8, with two entries (tag, type, count, value): a turn by a
    # quarter, and a resolution that is text (2) instead of a fraction (5).
    turn = struct.pack("<HHII", 0x0112, 3, 1, 6)
    resolution = struct.pack("<HHI4s", 0x011A, 2, 4, b"72")
    directory = struct.pack("<H", 2) + turn + resolution + bytes(4)
    exif = b"Exif\0\0" + struct.pack("<2sHI", b"II", 42, 8) + directory
    content = encode(PIXELS, "JPEG", quality=95, exif=exif)
    assert images.read_picture(content).upright_size_px == (100, 60)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_box_turns_with_its_pixels(orientation):
    # Only the marked 10 x 20 pixels at (5, 70) of the file are white.
    marked = np.zeros([60, 100], np.uint8)
    marked[5:15, 70:90] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = images.read_picture(encode(marked, "PNG", exif=exif))
    rows, columns = np.nonzero(decode(picture))
    box = images.turn_upright((5, 70, 15, 90), picture.upright_size_px, orientation)
    assert box == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)


def test_sixteen_bits_become_the_upper_eight():
    # 0x1234 -> 0x12, 0xfedc -> 0xfe.
    pixels = np.array([[0x1234, 0xFEDC, 0]], np.uint16).repeat(2, axis=0)
    picture = images.read_picture(encode(pixels, "PNG"))
    np.testing.assert_array_equal(decode(picture)[0], [0x12, 0xFE, 0])


def test_twelve_bits_in_a_file_of_sixteen_are_not_made_black():
    pixels = np.array([[4095, 17, 0]], np.uint16).repeat(2, axis=0)
    with pytest.raises(SkipPicture, match="none above 4095"):
        images.read_picture(encode(pixels, "PNG"))
    # 4096 is 1 of 255, and an empty picture is black in any range.
    for brightest in (4096, 0):
        dark = np.full([2, 3], brightest, np.uint16)
        picture = images.read_picture(encode(dark, "PNG"))
        assert decode(picture).max() == brightest >> 8


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("brightest", [255, 1023, 4095])
def test_few_of_sixteen_bits_per_colour_are_not_made_black(channels, brightest):
    pixels = np.full([60, 100, channels], 17, np.uint16)
    pixels[7, 9, 0] = brightest
    if channels in (2, 4):
        pixels[..., -1] = 65535  # Not transparent.
    with pytest.raises(SkipPicture, match="16 bits per pixel, but none above"):
        images.read_picture(tf.io.encode_png(pixels).numpy())
    pixels[7, 9, 0] = 4096
    picture = images.read_picture(tf.io.encode_png(pixels).numpy())
    assert decode(picture)[7, 9].flat[0] == 16  # 4096 / 256.


@pytest.mark.parametrize("brightest, is_read", [(1023, False), (65535, True)])
def test_the_same_holds_for_a_tiff(brightest, is_read):
    # One directory with entries (tag, type, count, value), then the bits of the three
    # channels, then 1 x 2 pixels.
    bits, pixels = 8 + 2 + 9 * 12 + 4, 8 + 2 + 9 * 12 + 4 + 6
    entries = [
        *((256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, bits), (259, 3, 1, 1)),
        *((262, 3, 1, 2), (273, 4, 1, pixels), (277, 3, 1, 3), (278, 3, 1, 1)),
        (279, 4, 1, 12),
    ]
    content = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    content += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    content += struct.pack("<3H", 16, 16, 16)
    content += struct.pack("<6H", 0, 17, 200, 300, brightest, 5)
    if is_read:
        picture = images.read_picture(content)
        np.testing.assert_array_equal(decode(picture), [[[0, 0, 0], [1, 255, 0]]])
        return
    with pytest.raises(SkipPicture, match="none above 1023"):
        images.read_picture(content)


def test_transparency_is_dropped():
    alpha = np.full([60, 100, 1], 7, np.uint8)
    picture = images.read_picture(encode(np.concatenate([PIXELS, alpha], -1), "PNG"))
    np.testing.assert_array_equal(decode(picture), PIXELS)


def test_a_colour_profile_of_other_colours_is_not_passed_on():
    content = encode(Image.fromarray(PIXELS).convert("CMYK"), "TIFF", icc_profile=b"x")
    picture = images.read_picture(content)
    assert "icc_profile" not in Image.open(io.BytesIO(picture.encoded)).info


def test_shrinking_keeps_the_shape_and_smooths():
    # One-pixel stripes of 0 and 255 average to 127.5 at half the size.
    stripes = np.zeros([60, 100], np.uint8)
    stripes[:, 1::2] = 255
    picture = images.read_picture(encode(stripes, "PNG"), max_side_px=50)
    assert (picture.height_px, picture.width_px) == (30, 50)
    assert picture.upright_size_px == (60, 100)
    np.testing.assert_allclose(decode(picture)[:, 5:-5], 127.5, atol=4)


@pytest.mark.parametrize("max_side_px", [0, 100, 101])
def test_a_picture_that_is_small_enough_is_not_touched(max_side_px):
    content = encode(PIXELS, "PNG")
    assert images.read_picture(content, max_side_px).encoded == content


def test_a_very_flat_picture_keeps_a_pixel_when_shrunk():
    content = encode(np.zeros([1, 400], np.uint8), "PNG")
    picture = images.read_picture(content, max_side_px=10)
    assert (picture.height_px, picture.width_px) == (1, 10)


def test_a_png_without_its_end_is_written_again():
    # Pillow reads it; TensorFlow would not.
    content = encode(PIXELS, "PNG")[:-12]
    picture = images.read_picture(content)
    assert picture.encoded != content
    np.testing.assert_array_equal(decode(picture), PIXELS)


def test_a_decompression_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5999)  # 60 x 100 is 6000.
    with pytest.raises(SkipPicture) as skip:
        images.read_picture(encode(PIXELS, "PNG"))
    assert skip.value.reason is Reason.TOO_MANY_PIXELS


def test_an_impossible_file_name_is_a_skip(tmp_path):
    with pytest.raises(SkipPicture) as skip:
        images.read_picture(tmp_path / "a\0b.jpg")
    assert skip.value.reason is Reason.UNREADABLE_FILE
