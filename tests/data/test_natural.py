"""Natural pictures: packed, opened, cropped."""

from pathlib import Path

import numpy as np
import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.data.natural import NaturalPictures, open_pictures
from fsr_fer.data.natural_packing import pack_pictures
from tests.data.raw_faces import encoded


def pictures(*sizes: tuple[int, int]) -> NaturalPictures:
    """Smooth pictures whose red channel is their number."""
    parts = []
    sizes = sizes or ((60, 70), (64, 64), (90, 61))
    for number, (height, width) in enumerate(sizes):
        y, x = np.mgrid[0:height, 0:width]
        whole = np.stack([np.full_like(x, number), x * 3 % 256, 128 + 90 * np.sin(y / 4)], axis=-1)
        parts.append(whole.astype(np.uint8).reshape(-1, 3))
    return NaturalPictures(np.concatenate(parts), sizes)


def test_packed_pictures_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    drawn = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3), dtype=np.uint8)
    for name, picture in zip(("b.PNG", "a.png"), drawn, strict=True):
        (folder / name).write_bytes(encoded(picture))
    for name in ("notes.txt", "._a.png"):
        (folder / name).write_text("no picture")
    pack_pictures(str(folder), tmp_path / "packed")
    opened = open_pictures(tmp_path / "packed")
    table = (tmp_path / "packed/pictures.csv").read_text()
    assert table == "name,height,width\na.png,9,7\nb.PNG,9,7\n"
    assert np.array_equal(opened.crop(1, 1, 2, 5), drawn[0, 1:6, 2:7])
    (folder / "c.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"c\.jpg is not a picture"):
        pack_pictures(str(folder), tmp_path / "packed")
    (folder / "b.PNG").unlink()
    (folder / "c.jpg").unlink()
    with pytest.raises(UserError, match="holds 1 pictures; two are needed"):
        pack_pictures(str(folder), tmp_path / "packed")
    with pytest.raises(UserError, match="a folder that is there"):
        pack_pictures(str(tmp_path / "nothing"), tmp_path / "packed")
