"""Pictures of every mode, orientation and size become the same upright face."""

import io
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from fsr_fer.data.images import MOST_PIXELS, MOST_SCANS, PictureError, decode_picture, to_face
from fsr_fer.resize import imresize
from tests.data.raw_faces import encoded


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (12, 8, 3), dtype=np.uint8)


def test_grey_and_palette_become_three_channels() -> None:
    picture = Image.fromarray(np.arange(96, dtype=np.uint8).reshape(12, 8))
    palette = picture.convert("RGB").quantize(96)
    assert palette.mode == "P"
    for stored in (picture, palette):
        expected = np.asarray(stored.convert("RGB"))
        np.testing.assert_array_equal(decode_picture(encoded(stored)), expected)


def test_grey_of_many_levels_is_scaled_from_its_full_range() -> None:
    values = np.array([[0, 128, 257, 32768], [65535, 65407, 300, 1]], np.uint16)
    expected = np.repeat(np.floor(values / 257 + 0.5).astype(np.uint8)[:, :, None], 3, axis=2)
    for kind in ("PNG", "TIFF", "PPM"):
        np.testing.assert_array_equal(decode_picture(encoded(values, kind)), expected)
    floats = np.array([[0.0, 0.5, 1.0]], np.float32)
    assert decode_picture(encoded(floats, "TIFF"))[0, :, 1].tolist() == [0, 128, 255]
    for beyond, message in (
        (floats * 200, r"grey values from 0\.0 to 200\.0"),
        (floats - 1, r"grey values from -1\.0 to 0\.0"),
        (floats * np.float32(np.nan), "not finite"),
    ):
        with pytest.raises(PictureError, match=message):
            decode_picture(encoded(beyond, "TIFF"))


def test_cmyk_becomes_the_same_colours() -> None:
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[:, 8:] = (250, 20, 30)
    cmyk = Image.fromarray(colours).convert("CMYK")
    decoded = decode_picture(encoded(cmyk, "JPEG", quality=100)).astype(int)
    assert np.abs(decoded - colours).max() <= 4


def test_transparent_pixels_are_put_on_white() -> None:
    for channels in (2, 4):
        values = np.zeros((1, 3, channels), np.uint8)
        values[0, :, -1] = (0, 128, 255)
        assert decode_picture(encoded(values))[0, :, 0].tolist() == [255, 127, 0]
        tiff = encoded(values, "TIFF")
        extra = (338).to_bytes(2, "little") + b"\3\0\1\0\0\0"  # ExtraSamples: 2, and of pixels
        for content in (tiff, tiff.replace(extra + b"\2", extra + b"\1")):  # that are multiplied
            assert decode_picture(content)[0, :, 0].tolist() == [255, 127, 0]
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putdata([0, 1])
    decoded = decode_picture(encoded(picture, "PNG", transparency=0))
    assert decoded[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_a_bmp_whose_fourth_byte_is_not_in_use() -> None:
    values = np.zeros((4, 4, 4), np.uint8)  # blue, green, red, and what is called alpha
    values[..., 2], values[2:, :, 1] = 200, 90
    head = struct.pack("<2s3I I2i2H6I", b"BM", 186, 0, 122, 108, 4, -4, 1, 32, 3, 64, *[0] * 4)
    head += struct.pack("<4I 52x", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    decoded = decode_picture(head + values.tobytes())
    np.testing.assert_array_equal(decoded, values[..., 2::-1])
    values[1:, :, 3] = 255  # now it is, and the first row transparent
    assert (decode_picture(head + values.tobytes())[0] == 255).all()


def test_exif_orientation_is_applied(rgb: np.ndarray) -> None:
    turned = rgb[::-1, ::-1]
    across = [picture.transpose(1, 0, 2) for picture in (rgb, turned)]
    # How a camera that is held in each of eight ways stores an upright scene.
    stored = [rgb, rgb[:, ::-1], turned, rgb[::-1]]
    stored += [across[0], np.rot90(rgb, 1), across[1], np.rot90(rgb, -1)]
    for orientation, picture in enumerate(stored, start=1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = encoded(np.ascontiguousarray(picture), exif=exif)
        np.testing.assert_array_equal(decode_picture(content), rgb, f"{orientation}", strict=True)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_other_entries_of_exif_do_not_matter(rgb: np.ndarray) -> None:
    entries = [(0x0112, 3, 1, b"\3\0\0\0"), (0x0128, 2, 2, b"2\0\0\0")]  # a unit as text
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    exif += b"".join(struct.pack("<HHI4s", *entry) for entry in entries) + bytes(4)
    content = encoded(np.ascontiguousarray(rgb[::-1, ::-1]), exif=exif)
    np.testing.assert_array_equal(decode_picture(content), rgb)
    damaged = encoded(rgb, exif=b"Exif\0\0MM\0*\0\0\xff\xff")
    np.testing.assert_array_equal(decode_picture(damaged), rgb)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    # Its data hold bytes 0xFF that are no markers, and markers without a length.
    content = encoded(noise, "JPEG", progressive=True, restart_marker_blocks=4)
    assert {b"\xff\0", b"\xff\xd0"} <= {content[at : at + 2] for at in range(len(content))}
    last = content.rfind(b"\xff\xda")
    scan, before = content[last:-2], content.count(b"\xff\xda")
    for more, refused in ((MOST_SCANS - before, False), (MOST_SCANS - before + 1, True)):
        longer = content[:-2] + scan * more + content[-2:]
        with pytest.raises(PictureError, match="scans") if refused else nullcontext():
            assert decode_picture(longer).shape == (64, 64, 3)
    # What lies behind the picture, of a phone's video say, is none of its scans.
    assert decode_picture(content + b"\0\2" + b"\xff\xda\0\2" * 99).shape == (64, 64, 3)


def test_grey_levels_in_another_form_are_refused() -> None:
    content = encoded(np.full((4, 4), 4095, np.uint16), "TIFF")
    for tag, value in ((258, 12), (262, 0)):  # bits, and what 0 is
        at = content.index(tag.to_bytes(2, "little") + b"\3\0\1\0\0\0")
        changed = content[: at + 8] + value.to_bytes(2, "little") + content[at + 10 :]
        with pytest.raises(PictureError, match="grey levels in a form that is not read"):
            decode_picture(changed)
    signed = encoded(np.full((4, 4), 32767, np.uint16), "TIFF", tiffinfo={339: 2})
    with pytest.raises(PictureError, match="grey levels in a form that is not read"):
        decode_picture(signed)


def test_grey_levels_of_8_bits_in_a_wider_form_are_refused() -> None:
    for most, refused in ((255, True), (256, False), (0, False)):
        values = np.full((4, 4), most, np.uint16)
        with pytest.raises(PictureError, match="to 255 of") if refused else nullcontext():
            decode_picture(encoded(values, "PNG"))


def test_a_picture_with_too_many_pixels_says_so() -> None:
    head = f"P6 {MOST_PIXELS + 1} 1 255\n".encode()
    with pytest.raises(PictureError, match="has more than 89,478,485 pixels"):
        decode_picture(head)


def test_threads_leave_the_filters_of_warnings_as_they_were(rgb: np.ndarray) -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode_picture, [encoded(rgb)] * 200))
    assert warnings.filters == before


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_the_data_of_its_last_rows_is_refused(progressive: bool) -> None:
    """It ends with the right mark, so that libjpeg fills the rest with grey and says nothing."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 44, 3), dtype=np.uint8)
    content = encoded(noise, "JPEG", progressive=progressive)
    assert decode_picture(content).shape == (60, 44, 3)
    for share in (0.5, 0.9):
        with pytest.raises(PictureError, match="cut off"):
            decode_picture(content[: int(share * len(content))] + b"\xff\xd9")
    # A byte 255 of the data right at the cut, which with what follows would be a mark.
    at = content.index(b"\xff\0", content.index(b"\xff\xda"))
    with pytest.raises(PictureError, match="cut off"):
        decode_picture(content[: at + 1] + b"\xff\xd9")
    assert decode_picture(content + b"more").shape == (60, 44, 3)
    # A second picture behind it, as phones write it, has an end mark of its own.
    two = io.BytesIO()
    picture = Image.fromarray(noise)
    picture.save(two, "MPO", save_all=True, append_images=[picture], progressive=progressive)
    whole = two.getvalue()
    end = whole.index(b"\xff\xd9")
    for behind in (b"", content):
        assert decode_picture(whole + behind).shape == (60, 44, 3)
        with pytest.raises(PictureError, match=r"cut off|cannot be decoded"):
            decode_picture(whole[: end - 900] + whole[end:] + behind)
        with pytest.raises(PictureError, match=r"cut off|cannot be decoded"):
            decode_picture(content[:-900] + b"\xff\xd9" + behind)


def test_a_transparent_level_of_16_bits_is_white() -> None:
    levels = np.array([[0, 1000], [1000, 65535]], np.uint16)
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG", transparency=1000)
    grey = decode_picture(file.getvalue())[:, :, 0]
    np.testing.assert_array_equal(grey, [[0, 255], [255, 255]])


def test_the_middle_square_counts() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (140, 141, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_face(rgb[:, :100]), rgb[20:120, :100])
    np.testing.assert_array_equal(to_face(rgb[:100]), rgb[:100, 20:120])
    resized = imresize(rgb[:, :140], output_shape=(100, 100))
    np.testing.assert_array_equal(to_face(rgb), resized)
