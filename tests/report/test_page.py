"""The page: nothing from outside, nothing unescaped, the same bytes, the numbers of the files."""

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from fsr_fer.errors import UserError
from fsr_fer.report import example_faces, write_report
from fsr_fer.report.page import in_units


class Collector(HTMLParser):
    """Tags with their attributes, whether they are balanced, and the text."""

    EMPTY = ("meta", "img", "input", "link", "br", "wbr")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def parsed(written) -> Collector:
    return Collector(written.page)


def test_page_is_whole_and_needs_nothing_from_outside(written, parsed):
    assert not parsed.open
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "object", "base")
        for name in ("src", "href", "action", "data", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/"))
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttp|https?://", written.page)


def test_class_names_are_escaped(written, parsed):
    assert "<b>joy" not in written.page
    assert "&lt;b&gt;joy&lt;/b&gt;" in written.page
    assert "fear & awe" in "".join(parsed.text)


def test_page_shows_the_numbers_of_the_files(written, parsed):
    text = " ".join(" ".join(parsed.text).split())
    for row in json.loads((written.metrics / "accuracy.json").read_text()).values():
        for value in row.values():
            assert f"{value:.1f}" in text
    assert "42 test faces (12 train, 6 validation)" in text
    assert "reweight.sigma" in text


def test_a_single_row_is_reported_without_comparison(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path / "inputs")
    alone = replace(inputs, methods={"bicubic": inputs.methods["bicubic"]})
    write_report(alone, tmp_path / "page", tmp_path / "metrics")
    page = (tmp_path / "page/index.html").read_text("utf-8")
    assert "Only bicubic was run" in page
    assert "gain on" not in page


def test_same_inputs_give_the_same_bytes(make_inputs, written, tmp_path):
    write_report(make_inputs(tmp_path / "inputs"), tmp_path / "page", tmp_path / "metrics")
    for folder, again in ((written.directory, "page"), (written.metrics, "metrics")):
        first = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert first == {p.name: p.read_bytes() for p in (tmp_path / again).iterdir()}
        assert first


def test_faces_are_shown_in_true_size_pixel_by_pixel(written):
    """Every face pixel is a block of 2x2 in the picture, which the page shows at half its width."""
    picture = Image.open(io.BytesIO((written.directory / "faces.png").read_bytes())).convert("RGB")
    small = example_faces(written.inputs)[0].sizes["x8"]
    block = small.repeat(2, axis=0).repeat(2, axis=1)
    pixels = np.asarray(picture)
    windows = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], 26, axis=1)
    y, x = np.argwhere((windows == block[0, :, 0]).all(axis=-1))[0]
    np.testing.assert_array_equal(pixels[y : y + 26, x : x + 26], block)
    assert f'width="{picture.width // 2}"' in written.page


def test_example_faces_are_test_faces_of_the_classes_in_turn(written):
    faces = example_faces(written.inputs)
    names = written.inputs.class_names
    assert [face.title for face in faces] == [names[0], names[1], names[2], names[0]]
    images = np.load(written.inputs.images_path)
    rows = [int(np.flatnonzero((images == f.sizes["hr"]).all(axis=(1, 2, 3)))[0]) for f in faces]
    assert len(set(rows)) == 4
    assert set(rows) <= set(written.inputs.manifest.rows("test").tolist())
    assert all(image.shape == (100, 100, 3) for f in faces for image in f.upsampled.values())


def test_missing_faces_are_a_clear_message(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    (tmp_path / "x8.npy").unlink()
    with pytest.raises(UserError, match=r"x8\.npy: no such file"):
        write_report(inputs, tmp_path / "page", tmp_path / "metrics")
    assert not (tmp_path / "metrics").exists()


def test_restored_faces_must_be_as_many_as_test_faces(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    with pytest.raises(UserError, match=r"images\.npy: 60 faces, expected the 42 test faces"):
        replace(inputs, restored={"rcan": {"x8": inputs.images_path}})


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7"), (1320000, "1.32 M"), (46.3e6, "46.3 M"), (123e9, "123 G"), (2.5e12, "2.50 T")],
)
def test_counts_have_three_digits_and_a_unit(number, text):
    assert in_units(number) == text


def test_pictures_and_tables_have_a_description(parsed):
    images = [attributes for tag, attributes in parsed.tags if tag == "img"]
    figures = [a for tag, a in parsed.tags if tag == "svg" and a.get("role") == "img"]
    assert len(images) == 1  # the faces; nothing was restored
    assert len(figures) == 2 + 3  # accuracy and calibration, and a legend of three methods
    assert all(attributes["alt"] for attributes in images)
    assert all(attributes["aria-label"] for attributes in figures)
    boxes = [a for _, a in parsed.tags if (a.get("class") or "").split()[:1] == ["scroll"]]
    assert all(box["aria-label"] for box in boxes if box.get("role") == "region")
    assert all(box.get("tabindex") == "0" for box in boxes if box["class"] != "scroll text")


def test_answer_names_the_best_method_its_gain_and_how_certain_that_is(parsed):
    text = " ".join("".join(parsed.text).split())
    assert "fsr_plain is best over all small sizes: 81.0 % of the test faces" in text
    assert re.search(r"\+15\.5 \(\+[\d.]+…\+[\d.]+\) points on bicubic\.", text)


def test_every_number_says_the_command_that_traces_it(written, written_full):
    for run, file in ((written, "accuracy"), (written_full, "mean_class_accuracy")):
        values = json.loads((run.metrics / f"{file}.json").read_text())
        for method, columns in values.items():
            for column, value in columns.items():
                number = f'title="fsr-fer trace {file}.{method}.{column}">{value:.1f}<'
                assert number in run.page, number


def test_lines_of_a_method_are_found_by_the_legend(written_full):
    for name in written_full.inputs.methods:
        assert f'id="accuracy:{name}"' in written_full.page
        assert f'<input type="checkbox" name="method" value="{name}"' in written_full.page
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', written_full.page))
    assert used <= set(re.findall(r' id="([^"]+)"', written_full.page))


def test_full_page_shows_cost_calibration_and_restored_faces(written_full):
    text = "".join(Collector(written_full.page).text)
    squeezed = re.sub(r"\s+", "", text)
    assert "bicubic1.32M46.0M1×46.0M1×" in squeezed
    assert "rcan1.32M92.0M2×92.0M2×92.0M2×92.0M2×–––92.0M2×–" in squeezed
    assert "rcan28.13SSIM0.8765" in squeezed
    for name in ("cost.svg", "calibration.svg", "restored.png"):
        assert (written_full.directory / name).stat().st_size > 1000


def test_restored_faces_are_those_of_the_same_test_face(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    test = inputs.manifest.rows("test")
    images = np.load(inputs.images_path)[test]
    np.save(tmp_path / "restored.npy", 255 - images)
    inputs = replace(inputs, restored={"rcan": {"x8": tmp_path / "restored.npy"}})
    for face in example_faces(inputs):
        np.testing.assert_array_equal(face.restored["rcan"]["x8"], 255 - face.sizes["hr"])


def test_operations_are_sums_and_their_mean_is_over_the_scales(make_inputs, tmp_path):
    counts = {
        "flop_per_face": {"hr": 7, "x2": 10, "x8": 20},
        "eigen_flop_per_face": {"hr": 1, "x2": 2, "x8": 4},
    }
    less = {"flop_per_face": {"hr": 7, "x8": 20}, "eigen_flop_per_face": {}}
    inputs = make_inputs(tmp_path, cost={"bicubic": counts, "rcan": less})
    assert inputs.operations("bicubic", "x8") == 24
    assert inputs.operations("bicubic", "mean") == 18
    assert inputs.operations("rcan", "hr") == 7
    assert inputs.operations("rcan", "x2") is inputs.operations("rcan", "mean") is None
    assert inputs.operations("fsr_plain", "x2") is None
