"""What the report reads of the methods that are named, whatever else lies there."""

import json
from dataclasses import replace

from fsr_fer.report.inputs import read_fidelity


def test_bicubic_has_the_sizes_of_all_methods(tmp_path):
    value = {"psnr": 1.0, "ssim": 0.5}
    for row, column in (("rcan", "x2"), ("meta_sr", "x3")):
        content = {"bicubic": {column: value}, row: {column: value}}
        (tmp_path / f"{row}.json").write_text(json.dumps(content))
    (tmp_path / "old.json").write_text(json.dumps({"old": {}}))
    found = read_fidelity(["rcan", "meta_sr", "fsr_plain"], tmp_path)
    assert list(found) == ["bicubic", "rcan", "meta_sr"]
    assert list(found["bicubic"]) == ["x2", "x3"]


def test_operations_are_sums_and_their_mean_is_over_the_scales(inputs):
    counts = {
        "flop_per_face": {"hr": 7, "x2": 10, "x8": 20},
        "eigen_flop_per_face": {"hr": 1, "x2": 2, "x8": 4},
    }
    less = {kind: {"hr": values["hr"]} for kind, values in counts.items()}
    inputs = replace(inputs, cost={"bicubic": counts, "fsr_plain": less, "rcan": less})
    assert inputs.operations == {
        "bicubic": {"hr": 8, "x2": 12, "x8": 24, "mean": 18},
        "fsr_plain": {"hr": 8},
        "rcan": {"hr": 8},
    }
