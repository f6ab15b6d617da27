"""Files of the methods that are named, whatever else lies there."""

import json

import pytest

from fsr_fer.errors import UserError
from fsr_fer.report.inputs import read_fidelity, read_json, restored_faces


def test_restored_faces_are_those_of_named_rows_and_scales(tmp_path):
    for name in ("rcan/x2", "rcan/x3", "old/x2"):
        path = tmp_path / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = restored_faces(["bicubic", "rcan"], (2, 8), tmp_path)
    assert found == {"rcan": {"x2": tmp_path / "rcan/x2.npy"}}


def test_bicubic_has_the_sizes_of_all_rows(tmp_path):
    value = {"psnr": 1.0, "ssim": 0.5}
    for row, column in (("rcan", "x2"), ("meta_sr", "x3")):
        content = {"bicubic": {column: value}, row: {column: value}}
        (tmp_path / f"{row}.json").write_text(json.dumps(content))
    found = read_fidelity(["rcan", "meta_sr"], tmp_path)
    assert list(found) == ["bicubic", "rcan", "meta_sr"]
    assert list(found["bicubic"]) == ["x2", "x3"]


@pytest.mark.parametrize(
    ("text", "message"), [(None, "no such file"), ("{", "no JSON"), ("[]", "a mapping")]
)
def test_what_is_no_mapping_is_named(tmp_path, text, message):
    path = tmp_path / "cost.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_json(path)
