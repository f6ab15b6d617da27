"""What may lie in a folder of pictures: a row each, the others read, never a traceback."""

import errno
import os
import socket
import zlib
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from fsr_fer.predict.model import load
from fsr_fer.predict.sources import find_pictures
from tests.data.raw_faces import encoded
from tests.predict.conftest import RED, Predict, json_rows, paint, scene
from tests.serve.conftest import serving

NOISE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def noise(kind: str, mode: str = "RGB", **options: object) -> bytes:
    return encoded(Image.fromarray(NOISE).convert(mode), kind, **options)


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


def chunk(name: bytes, data: bytes) -> bytes:
    checked = name + data
    size, checksum = len(data).to_bytes(4, "big"), zlib.crc32(checked).to_bytes(4, "big")
    return size + checked + checksum


def bomb(side: int = 50_000) -> bytes:
    """A PNG of few bytes that says it has 50,000 x 50,000 pixels."""
    sides = side.to_bytes(4, "big") * 2
    header = chunk(b"IHDR", sides + b"\x08\x02\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def with_chunk(name: bytes, data: bytes) -> bytes:
    """A PNG with a chunk more, after its header."""
    content = noise("PNG")
    return content[:33] + chunk(name, data) + content[33:]


def changed(content: bytes, at: int, by: bytes) -> bytes:
    return content[:at] + by + content[at + len(by) :]


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return noise("JPEG", exif=exif)


def level(value: float, kind: type = np.float32, file: str = "TIFF") -> bytes:
    return encoded(np.full((20, 20), value, kind), file)


PLAIN, NO_PICTURE = ("ok", ""), ("unreadable", "not a picture")
DAMAGED, MANY = ("unreadable", ""), ("unreadable", "pixels; no more are read")
TINY, SEARCHED = ("too_small", "1 pixels"), ("no_face", "none of 10 pixels")
# What the file holds, and what its row says: a status, and a part of its label or message.
FILES: dict[str, tuple[bytes, tuple[str, str]]] = {
    "empty.jpg": (b"", ("unreadable", "is empty")),
    "text.jpg": (b"hello\n", NO_PICTURE),
    "script.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n", NO_PICTURE),
    "icon.png": (encoded(Image.new("RGB", (16, 16)), "ICO"), NO_PICTURE),
    "weights.png": (b"\x80\x04cos\nsystem\n(S'false'\ntR.", NO_PICTURE),
    "before.jpg": (b"x" + noise("JPEG"), NO_PICTURE),
    "phone.jpg": (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        ("unreadable", "that can be read: jpeg, png, bmp, gif, tiff, webp, ppm"),
    ),
    "after.jpg": (noise("JPEG") + b"<?php ?>" * 99, PLAIN),
    "after.png": (noise("PNG") + bytes(9999), PLAIN),
    "filled.jpg": (noise("JPEG")[:900] + b"\xff\xd9", ("unreadable", "cut off")),
    "half.png": (noise("PNG")[:2000], ("unreadable", "cannot be decoded")),
    "header.bmp": (noise("BMP")[:54], DAMAGED),
    "animated-half.gif": (animated("GIF")[:60], DAMAGED),
    "half.ppm": (noise("PPM")[:900], DAMAGED),
    "text.ppm": (b"P3 2 2 255 " + b"x" * 99, DAMAGED),
    "magic.jpg": (b"\xff\xd8\xff", DAMAGED),
    "magic.tiff": (b"II*\0\xff\xff\xff\x7f", DAMAGED),
    "circle.tiff": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", DAMAGED),
    "magic.webp": (b"RIFF\xff\xff\xff\x7fWEBPVP8 ", DAMAGED),
    "checksum.png": (changed(noise("PNG"), 29, b"\0\0\0\0"), DAMAGED),
    "depth.png": (changed(noise("PNG"), 24, b"\x07"), DAMAGED),
    "long-chunk.png": (changed(noise("PNG"), 33, b"\x7f\xff\xff\xff"), PLAIN),  # all is there
    "profile.png": (with_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"no profile")), PLAIN),
    "text-bomb.png": (
        with_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**23))),
        ("unreadable", "too large"),
    ),
    "bomb.png": (bomb(), MANY),
    "bomb.ppm": (b"P6 50000 50000 255\n", MANY),
    "bomb.bmp": (changed(noise("BMP"), 18, b"\0\0\1\0\0\0\1\0"), MANY),
    "bomb.gif": (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0", DAMAGED),
    "below-the-limit.png": (bomb(9000), DAMAGED),
    "no-pixels.png": (bomb(0), DAMAGED),
    "nan.tiff": (level(float("nan")), ("unreadable", "not finite")),
    "range.tiff": (level(200.0), ("unreadable", "grey values")),
    "integers.tiff": (level(-5, np.int32), ("unreadable", "grey")),
    "grey-and-16-bit.tiff": (level(65535, np.uint16), ("ok", "0.33")),
    "animated.gif": (animated("GIF"), ("ok", "red")),
    "animated.webp": (animated("WEBP"), ("ok", "red")),
    "animated.png": (animated("PNG"), ("ok", "red")),
    "pages.tiff": (animated("TIFF"), ("ok", "red")),
    "cmyk.jpg": (encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG"), ("ok", "red")),
    "palette.gif": (encoded(Image.new("P", (20, 20)), "GIF", transparency=0), ("ok", "0.33")),
    "palette.bmp": (noise("BMP", "P"), PLAIN),
    "bit.png": (encoded(Image.new("1", (20, 20), 1), "PNG"), PLAIN),
    "lab.tiff": (noise("TIFF", "LAB"), PLAIN),
    "ycbcr.tiff": (noise("TIFF", "YCbCr"), PLAIN),
    "clear.webp": (encoded(Image.new("RGBA", (20, 20), (9, 9, 9, 0)), "WEBP"), ("ok", "0.33")),
    "orientation.jpg": (turned(99), PLAIN),
    "exif.jpg": (noise("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), PLAIN),
    "wrong-name.png": (noise("JPEG"), PLAIN),
    "no-suffix": (noise("JPEG"), PLAIN),
    "one-pixel.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), TINY),
    "line.png": (encoded(Image.new("RGB", (150, 1)), "PNG"), TINY),
    "high.png": (encoded(Image.new("RGB", (20, 201)), "PNG"), SEARCHED),
    "thread.png": (encoded(Image.new("RGB", (1, 30_000)), "PNG"), SEARCHED),
    "large-noise.png": (encoded(Image.fromarray(NOISE).resize((300, 230)), "PNG"), SEARCHED),
    "picture.mp4": (noise("JPEG"), ("unreadable", "no video that can be read")),
}


def test_any_file_is_one_row_and_ends_no_batch(here: Path, predict: Predict) -> None:
    names = []
    for name, (content, _) in FILES.items():
        (here / name).write_bytes(content)
        names += [name, "good.png"]
    paint(here / "good.png", RED)
    rows = json_rows(predict, *names)
    assert [row["source"] for row in rows] == names
    assert all(row["label"] == "red" for row in rows[1::2])
    for row, (_, (status, said)) in zip(rows[::2], FILES.values(), strict=True):
        assert row["status"] == status, row
        uniform = f"{row['probability']:.2f}" if row["label"] else ""
        assert said in f"{row['label']} {uniform} {row['message']}".lower(), row


CONTROLS = " \x1b[31m\r\x08\t\x1c\x85\u2028\u202e\n.png"
GOOD = ("a.png", "[a-c]*?.png", '=1+1,"a".png', CONTROLS, os.fsdecode(b"f\xff.png"))
ODD = dict.fromkeys(GOOD, ("ok", "red")) | {
    "pipe.jpg": ("unreadable", "is a pipe"),
    "/dev/zero": ("unreadable", "is a pipe or a device"),
    "socket.png": ("unreadable", "is a pipe or a device"),
    "folder.jpg": ("unreadable", "no picture"),
    "circle.png": ("unreadable", "cannot be read"),
    "leads to nothing.png": ("unreadable", "No such file"),
    "terabyte.png": ("unreadable", "has 1,099,511,627,776 bytes"),
    "a" * 5000: ("unreadable", "cannot be read"),
    "a.png/": ("unreadable", "Not a directory"),
    "*.nothing": ("unreadable", "matches no file"),
    "[a.png*": ("unreadable", "matches no file"),
    "http://127.0.0.1:9/a.png": ("unreadable", "No such file"),
}


def test_any_name_is_one_row(here: Path, predict: Predict) -> None:
    for name in GOOD:
        paint(Path(name), RED)
    os.mkfifo("pipe.jpg")
    os.symlink("circle.png", "circle.png")
    os.symlink("no.png", "leads to nothing.png")
    os.mkdir("folder.jpg")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.png")
    with open("terabyte.png", "wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    for number, (source, (status, said)) in enumerate(ODD.items()):
        (row,) = json_rows(predict, source)
        assert (row["source"], row["status"]) == (source, status)
        assert said in f"{row['label']} {row['message']}", source
        for format in ("csv", "table"):  # one line, whatever the name
            file_name = f"{number}.{format}"
            assert predict(source, "--format", format, "--output", file_name)[1] == ""
            assert (here / file_name).read_bytes().count(b"\n") == 2, source


def test_what_this_machine_does_not_let_us_read_has_a_row(
    here: Path, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(here / "in/a.png", RED)
    denied = Mock(side_effect=PermissionError(errno.EACCES, "Permission denied"))
    for name, error, message in (
        ("decode_picture", Mock(side_effect=MemoryError), "is too large for this machine's memory"),
        ("open", denied, "cannot be read: Permission denied"),
    ):
        monkeypatch.setattr(f"fsr_fer.predict.pictures.{name}", error, raising=False)
        (row,) = json_rows(predict, "in/a.png")
        assert (row["status"], row["message"]) == ("unreadable", message)
    monkeypatch.setattr("fsr_fer.predict.sources.os.scandir", denied)
    (row,) = json_rows(predict, "in")
    assert (row["source"], row["message"]) == ("in", "cannot be read: Permission denied")


def test_photographs_that_cannot_be_read_have_a_row_in_a_folder(
    here: Path, predict: Predict
) -> None:
    paint(here / "in/a.png", RED)
    (here / "in/IMG_1.HEIC").write_bytes(FILES["phone.jpg"][0])
    rows = json_rows(predict, "in")
    assert [(row["source"], row["status"]) for row in rows] == [
        ("in/IMG_1.HEIC", "unreadable"),
        ("in/a.png", "ok"),
    ]


def test_lists_with_odd_lines(here: Path, predict: Predict) -> None:
    paint(here / "good.png", RED)
    os.mkdir("folder.jpg")
    lines = [b"", b"  ", b"good.png\r", b"folder.jpg", b"\xff\xfe", b"nul\0.png", b"good.png"]
    (here / "list.txt").write_bytes(b"\n".join(lines))
    rows = json_rows(predict, "@list.txt")
    assert [row["status"] for row in rows] == ["ok", *["unreadable"] * 3, "ok"]
    assert rows[1]["message"] == "is a folder, not a picture"
    (here / "empty.txt").write_bytes(b"\n\n")
    assert json_rows(predict, "@empty.txt") == []


BOXES = {  # x, y, width, height in a picture of 300 x 240: what its row says
    "30,40,20,20": "red",
    "30,40,0,20": "both must be above 0",
    "30,40,20,0": "both must be above 0",
    "30,40,20,-20": "both must be above 0",
    "300,0,9,9": "outside the picture",
    "0,240,9,9": "outside the picture",
    "-9,0,9,9": "outside the picture",
    "0,-9,9,9": "outside the picture",
    "-1e300,0,9,9": "outside the picture",
    "0,0,601,9": "more than 2 times",
    "0,0,9,481": "more than 2 times",
    "0,0,1e-300,1e-300": "1 pixels; the model reads faces from 8",
    "nan,0,9,9": "not four finite numbers",
    "0,0,inf,9": "not four finite numbers",
    "0,0,1e999,9": "not four finite numbers",
    "a,b,c,d": "not four finite numbers",
    ",,,": "not four finite numbers",
    "1,2": "not four finite numbers",
    "1,2,3,4,5,6": "3 pixels; the model",
    '"1,5",0,9,9': "not four finite numbers",
    "1_0,0,9,9": "not four finite numbers",
    "295,235,20,20": "ok",
    "-20,0,25,1": "its square of 5 pixels lies outside",  # its middle is -7.5
    "299,0,100,4": "its square of 20 pixels lies outside",
    "0,-99,4,100": "its square of 20 pixels lies outside",
    "0,239,4,100": "its square of 20 pixels lies outside",
    "-11,0,20,20": "ok",
}


def test_any_box_is_one_row(here: Path, predict: Predict) -> None:
    scene(here / "scene.png")
    lines = [f"scene.png,{box}\n" for box in BOXES]
    (here / "boxes.csv").write_text("image,x,y,width,height\n" + "".join(lines))
    rows = json_rows(predict, "--boxes", "boxes.csv")
    for row, (box, said) in zip(rows, BOXES.items(), strict=True):
        assert said in f"{row['status']} {row['label']} {row['message']}", (box, row)


def test_any_line_of_json_is_one_row(here: Path, predict: Predict) -> None:
    scene(here / "scene.png")
    lines = ["null", "3", '"text"', "[" * 5000, "{"]
    lines += ['{"image": 3, "xywh": [0,0,9,9]}', '{"image": "", "xywh": [0,0,9,9]}']
    bad = ["null", "3", "{}", '"abcd"', "[1,2,3,[4]]", "[true,true,true,true]", "[NaN,0,9,9]"]
    bad += ["[0,0,Infinity,9]", f"[0,0,{'9' * 400},9]"]
    frames = ['[0,0,9,9], "frame": 0.5', '[0,0,9,9], "frame": true']
    good = ['[0,0,"9","9"]', '[0,0,9,9], "frame": 0']
    boxes = [f'{{"image": "scene.png", "xywh": {box}}}' for box in (*bad, *frames, *good)]
    (here / "boxes.jsonl").write_text("\n".join([boxes[-1], *lines, *boxes]))
    rows = json_rows(predict, "--boxes", "boxes.jsonl")
    expected = ["ok"] + ["unreadable"] * 7 + ["bad_box"] * 9 + ["unreadable"] * 2 + ["ok"] * 2
    assert [row["status"] for row in rows] == expected
    assert rows[8]["box"] == dict.fromkeys(("x", "y", "width", "height"))  # JSON knows no NaN


def test_a_list_of_any_bytes_loses_no_line(here: Path, predict: Predict) -> None:
    lines = [bytes([byte]) * 3 + b".png" for byte in range(256) if byte != 10]
    (here / "list.txt").write_bytes(b"\n".join([*lines, b"x" * 1_000_000]))
    rows = json_rows(predict, "@list.txt")
    assert len(rows) == 256
    assert {row["status"] for row in rows} == {"unreadable"}


def test_names_of_a_large_folder_are_read_as_they_come(here: Path, predict: Predict) -> None:
    (here / "many").mkdir()
    for number in range(5000):
        (here / f"many/{number:04d}.png").touch()
    found = find_pictures(["many"])
    assert next(found).source == "many/0000.png"
    os.remove("many/4999.png")  # nothing looks at a picture before its turn
    assert sum(1 for _ in found) == 4999
    rows = json_rows(predict, "many")
    assert [row["source"] for row in rows] == [f"many/{number:04d}.png" for number in range(4999)]


def test_the_service_gives_each_file_one_row_or_one_line(model_file: Path) -> None:
    with serving(load(model_file)) as client:
        for name, (content, (status, _)) in FILES.items():
            code, said = client.predict(("pictures", content))
            if code == 413:  # it looks at the size before it reads
                assert "bomb" in name or name in ("below-the-limit.png",), name
                assert list(said) == ["error"]
            elif code == 422:
                assert not content, name
            else:
                assert code == 200, name
                (row,) = said["predictions"]
                # What is uploaded is a picture, whatever it is called.
                assert row["status"] == status or name == "picture.mp4", name
        assert client.predict(("pictures", noise("PNG")))[0] == 200
