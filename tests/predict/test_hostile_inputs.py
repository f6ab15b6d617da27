"""What may lie in a folder of pictures: a row each, the others read, never a traceback."""

import io
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.predict.conftest import RED, Predict, paint

NOISE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def noise(kind: str, mode: str = "RGB", **options: object) -> bytes:
    return encoded(Image.fromarray(NOISE).convert(mode), kind, **options)


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def bomb() -> bytes:
    """A PNG of few bytes that says it has 50,000 x 50,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checked = name + data
        size, checksum = len(data).to_bytes(4, "big"), zlib.crc32(checked).to_bytes(4, "big")
        return size + checked + checksum

    side = (50_000).to_bytes(4, "big")
    header = chunk(b"IHDR", side + side + b"\x08\x02\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def sixteen_bit() -> bytes:
    return encoded(Image.fromarray(np.full((20, 20), 32768, np.uint16)), "PNG")


def palette_with_transparency() -> bytes:
    return encoded(Image.new("P", (20, 20)), "PNG", transparency=0)


def float_grey(value: float) -> bytes:
    return encoded(Image.fromarray(np.full((20, 20), value, np.float32)), "TIFF")


# What the file holds, and what its row says: a status, and a part of its label or message.
FILES: dict[str, tuple[bytes, str, str]] = {
    "empty.jpg": (b"", "unreadable", "is empty"),
    "text.jpg": (b"hello\n", "unreadable", "not a picture"),
    "half.jpg": (noise("JPEG")[:900], "unreadable", ""),
    "filled.jpg": (noise("JPEG")[:900] + b"\xff\xd9", "unreadable", "cut off"),
    "half.png": (noise("PNG")[:2000], "unreadable", "cannot be decoded"),
    "half.gif": (noise("GIF")[:800], "unreadable", ""),
    "half.webp": (noise("WEBP", lossless=True)[:2000], "unreadable", ""),
    "half.tiff": (noise("TIFF")[:2000], "unreadable", ""),
    "header.bmp": (noise("BMP")[:54], "unreadable", ""),
    "bomb.png": (bomb(), "unreadable", "decompression bomb"),
    "script.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unreadable", "not a picture"),
    "page.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unreadable", "not a picture"),
    "film.mp4": (b"\0\0\0\x20ftypisom", "unreadable", "no video that can be read"),
    "nan.tiff": (float_grey(float("nan")), "unreadable", "not finite"),
    "range.tiff": (float_grey(200.0), "unreadable", "grey values"),
    "animated.gif": (animated("GIF"), "ok", "red"),
    "animated.webp": (animated("WEBP"), "ok", "red"),
    "animated.png": (animated("PNG"), "ok", "red"),
    "16-bit.png": (sixteen_bit(), "ok", ""),
    "float.tiff": (float_grey(0.5), "ok", ""),
    "cmyk.jpg": (encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG"), "ok", "red"),
    "palette.png": (palette_with_transparency(), "ok", ""),
    "bit.png": (encoded(Image.new("1", (20, 20), 1), "PNG"), "ok", ""),
    "lab.tiff": (noise("TIFF", "LAB"), "ok", ""),
    "la.png": (noise("PNG", "LA"), "ok", ""),
    "rgba.png": (noise("PNG", "RGBA"), "ok", ""),
    "wrong-name.png": (noise("JPEG"), "ok", ""),
    "no-suffix": (noise("JPEG"), "ok", ""),
    "one-pixel.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), "too_small", "1 pixels"),
    "line.png": (encoded(Image.new("RGB", (150, 1)), "PNG"), "too_small", "1 pixels"),
    "high.png": (encoded(Image.new("RGB", (20, 201)), "PNG"), "no_face", "none of 10 pixels"),
    "thread.png": (encoded(Image.new("RGB", (1, 30_000)), "PNG"), "no_face", "none of 10 pixels"),
    "large-noise.png": (encoded(Image.fromarray(NOISE).resize((300, 230)), "PNG"), "no_face", ""),
}


def read(predict: Predict, *words: object) -> list[dict[str, object]]:
    code, out, err = predict(*words, "--format", "jsonl")
    assert code == 0, err
    assert "Traceback" not in err
    assert err.count("\n") == 1
    return [json.loads(line) for line in out.splitlines()]


def test_any_file_is_one_row_and_ends_no_batch(here: Path, predict: Predict) -> None:
    names = []
    for name, (content, _, _) in FILES.items():
        (here / name).write_bytes(content)
        names += [name, "good.png"]
    paint(here / "good.png", RED)
    rows = read(predict, *names)
    assert [row["source"] for row in rows] == names
    assert all(row["label"] == "red" for row in rows[1::2])
    for row, (_, status, said) in zip(rows[::2], FILES.values(), strict=True):
        assert row["status"] == status, row
        assert said in f"{row['label']} {row['message']}".lower(), row


def pipe() -> str:
    os.mkfifo("pipe.jpg")
    return "pipe.jpg"


def not_utf8() -> str:
    name = os.fsdecode(b"f\xff.png")
    paint(Path(name), RED)
    return name


def newline() -> str:
    paint(Path("a\nb.png"), RED)
    return "a\nb.png"


def link_to_itself() -> str:
    os.symlink("loop.png", "loop.png")
    return "loop.png"


def folder(name: str) -> str:
    os.mkdir(name)
    return name


ODD: dict[str, tuple[Callable[[], str], str, str]] = {
    "a pipe": (pipe, "unreadable", "is a pipe"),
    "a device": (lambda: "/dev/zero", "unreadable", "is a pipe or a device"),
    "an empty folder with a picture's name": (lambda: folder("x.jpg"), "unreadable", "no picture"),
    "a link to itself": (link_to_itself, "unreadable", "cannot be read"),
    "a long name": (lambda: "a" * 5000, "unreadable", "cannot be read"),
    "a glob without a match": (lambda: "*.nothing", "unreadable", "matches no file"),
    "a name that is not UTF-8": (not_utf8, "ok", "red"),
    "a name of two lines": (newline, "ok", "red"),
}


@pytest.mark.parametrize("kind", ODD)
def test_any_name_is_one_row(kind: str, here: Path, predict: Predict) -> None:
    make, status, said = ODD[kind]
    source = make()
    (row,) = read(predict, source)
    assert (row["source"], row["status"]) == (source, status)
    assert said in f"{row['label']} {row['message']}"
    for format in ("csv", "table"):  # one line, whatever the name
        out = predict(source, "--format", format, "--output", f"out.{format}")[1]
        assert out == ""
        assert (here / f"out.{format}").read_bytes().count(b"\n") == 2


def test_lists_with_odd_lines(here: Path, predict: Predict) -> None:
    paint(here / "good.png", RED)
    os.mkdir("folder.jpg")
    lines = [b"", b"  ", b"good.png\r", b"folder.jpg", b"\xff\xfe", b"nul\0.png", b"good.png"]
    (here / "list.txt").write_bytes(b"\n".join(lines))
    rows = read(predict, "@list.txt")
    assert [row["status"] for row in rows] == ["ok", *["unreadable"] * 3, "ok"]
    assert rows[1]["message"] == "is a folder, not a picture"
    (here / "empty.txt").write_bytes(b"\n\n")
    assert read(predict, "@empty.txt") == []
