"""The page: nothing from outside, nothing unescaped, the same bytes, the numbers of the files."""

import base64
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
from fsr_fer.report.curves import POINTS, read_curve, read_groups
from fsr_fer.report.details import flat, short_names
from fsr_fer.report.figures import operations, spread
from fsr_fer.report.markup import Markup, element, join
from fsr_fer.report.origin import Origin
from fsr_fer.report.words import in_units


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


def test_every_link_has_its_target(parsed):
    ids = {attributes.get("id") for _, attributes in parsed.tags}
    targets = [attributes["href"] for tag, attributes in parsed.tags if tag == "a"]
    assert targets
    assert all(target[1:] in ids for target in targets)


def test_class_names_are_escaped(written, parsed):
    assert "<b>joy" not in written.page
    assert "&lt;b&gt;joy&lt;/b&gt;" in written.page
    assert "fear & awe" in "".join(parsed.text)


def test_images_have_a_description_and_figures_a_white_ground(parsed):
    images = [attributes for tag, attributes in parsed.tags if tag == "img"]
    assert (
        len(images) == 7
    )  # rows, calibration, faces, and two groups of curves for each of two runs
    for attributes in images:
        assert attributes["alt"]
        content = base64.b64decode(attributes["src"].split(",", 1)[1])
        if "svg" in attributes["src"][:20]:
            assert b"fill: #ffffff" in content[:3000]
            assert b"<dc:date>" not in content


def test_tables_can_be_scrolled_with_the_keyboard(parsed):
    boxes = [attributes for _, attributes in parsed.tags if attributes.get("class") == "scroll"]
    num_inside = sum(tag in ("table", "figure") for tag, _ in parsed.tags)
    assert len(boxes) == num_inside
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def test_page_shows_the_numbers_of_the_files(written, parsed):
    text = " ".join(parsed.text)
    for row in json.loads((written.metrics / "accuracy.json").read_text()).values():
        for value in row.values():
            assert f"{value:.1f}" in text
    assert "42 test faces (12 train, 6 validation)" in text
    assert "reweight.sigma" in text


def test_answer_names_the_best_row_its_gain_and_where_it_is_ahead(parsed):
    text = "".join(parsed.text)
    assert "fsr_plain reads best over all sizes: 81.0 % right, mean of x2–x8, +15.5 (" in text
    assert "Best at single sizes: fsr_plain at every scale; bicubic at x2." in text


def test_a_single_row_is_reported_without_comparison(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path / "inputs")
    alone = replace(inputs, rows={"bicubic": inputs.rows["bicubic"]}, curves={})
    write_report(alone, tmp_path / "page", tmp_path / "metrics")
    page = (tmp_path / "page/index.html").read_text("utf-8")
    assert "Only bicubic was run" in page
    assert "Gain on" not in page


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
    assert all(image.shape == (100, 100, 3) for f in faces for image in f.restored.values())


def test_curves_are_grouped_by_kind_of_run_and_player(tmp_path):
    for path in ("fsr/a/g/gan.tsv", "fsr/b/g/gan.tsv", "pretrain/validation/accuracy.tsv"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("step\tvalue\n1\t2\n")
    groups = read_groups({run: tmp_path / run for run in ("fsr/a", "fsr/b", "pretrain")})
    assert list(groups) == ["fsr: generator", "pretrain: validation"]
    assert list(groups["fsr: generator"]["gan"]) == ["fsr/a", "fsr/b"]


def test_long_curves_become_means_of_neighbours(tmp_path):
    path = tmp_path / "loss.tsv"
    path.write_text("step\tloss\n" + "".join(f"{i}\t{2 * i}\n" for i in range(2 * POINTS)))
    curve = read_curve(path)
    assert len(curve.steps) == POINTS
    assert (curve.steps[:2].tolist(), curve.values[:2].tolist()) == ([0.5, 2.5], [1, 5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time\tx\n1\t2\n", "expected step"),
        ("step\tx\n", "no step"),
        ("step\tx\n1\ta\n", "two num"),
    ],
)
def test_bad_curves_are_named(tmp_path, text, message):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_curve(tmp_path / "x.tsv")
    with pytest.raises(UserError, match="no such folder"):
        read_groups({"fsr/plain": tmp_path / "none"})


def test_missing_faces_are_a_clear_message(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    (tmp_path / "x8.npy").unlink()
    with pytest.raises(UserError, match=r"x8\.npy: no such file"):
        write_report(inputs, tmp_path / "page", tmp_path / "metrics")
    assert not (tmp_path / "metrics").exists()


def test_markup_escapes_text_and_attributes_but_not_markup():
    made = element("p", "a<b", Markup("<i>c</i>"), title='"&', class_="x", id="")
    assert made == '<p title="&quot;&amp;" class="x">a&lt;b<i>c</i></p>'
    assert join(["<", element("b", ">")]) == "&lt;<b>&gt;</b>"


def test_params_are_flattened_to_dotted_keys():
    values = {"a": {"b": [1, 2.5], "c": {"d": True}}, "e": None}
    assert list(flat(values)) == [("a.b", "1, 2.5"), ("a.c.d", "true"), ("e", "none")]


def test_short_names_stay_apart():
    assert [re.sub("<.*?>", "", name) for name in short_names(("class_1", "class_2"))] == [
        "class_1",
        "class_2",
    ]
    assert [re.sub("<.*?>", "", name) for name in short_names(("sadness", "surprise"))] == [
        "sad",
        "sur",
    ]


def test_a_trace_names_the_file_its_hash_and_where_params_are(make_inputs, tmp_path):
    path = "data/tiny/predictions/bicubic.csv"
    origin = Origin(
        command="python stages/report.py bicubic",
        params=("reweight", "profiles.tiny"),
        hashes={"data/tiny/predictions": "89ab", path: "0123abcd"},
    )
    inputs = make_inputs(tmp_path / "inputs", origin=origin)
    write_report(inputs, tmp_path / "page", tmp_path / "metrics")
    parsed = Collector((tmp_path / "page/index.html").read_text("utf-8"))
    text = "".join(parsed.text)
    ids = {attributes.get("id") for _, attributes in parsed.tags}
    targets = {attributes["href"] for tag, attributes in parsed.tags if tag == "a"}
    assert f"What it read on each face: {path}, MD5 0123abcd. fsr-fer trace {path}" in text
    assert "Command: python stages/report.py bicubic" in text
    assert {"#param-reweight", "#params"} <= targets
    assert {"param-reweight", "params"} <= ids


def test_figures_in_the_page_say_which_row_a_line_is_of(written):
    picture = written.page[written.page.index("<svg") : written.page.index("</svg>")]
    for name in written.inputs.rows:
        assert picture.count(f'data-row="{name}"') >= 3  # line, leader and name
    used = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', picture))
    assert used
    assert used <= set(re.findall(r' id="([^"]+)"', picture))
    assert all(name.startswith("acc-") for name in used)


def test_full_page_shows_cost_calibration_and_restored_faces(written_full):
    text = "".join(Collector(written_full.page).text)
    assert "bicubic1.32 M46.0 M1 ×46.0 M1 ×" in text
    assert "rcan1.32 M92.0 M2 ×92.0 M2 ×92.0 M2 ×92.0 M2 ×–––92.0 M2 ×–" in text
    assert "rcan28.13SSIM 0.8765" in text
    assert "fsr-fer trace cost.rcan.flop_per_face.x8" in text
    assert "fsr-fer trace calibration.rcan.x8" in text
    for name in ("cost_mean.svg", "cost_x8.svg", "calibration.svg", "restored.png"):
        assert (written_full.directory / name).stat().st_size > 1000
        assert f"fsr-fer trace data/full/report/{name}" in text


def test_restored_faces_are_those_of_the_same_test_face(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    test = inputs.manifest.rows("test")
    images = np.load(inputs.images_path)[test]
    np.save(tmp_path / "restored.npy", 255 - images)
    inputs = replace(inputs, restored={"rcan": {"x8": tmp_path / "restored.npy"}})
    for face in example_faces(inputs):
        np.testing.assert_array_equal(face.by_row["rcan"]["x8"], 255 - face.sizes["hr"])


def test_restored_faces_must_be_as_many_as_test_faces(make_inputs, tmp_path):
    inputs = make_inputs(tmp_path)
    with pytest.raises(UserError, match=r"images\.npy: 60 faces, expected the 42 test faces"):
        replace(inputs, restored={"rcan": {"x8": inputs.images_path}})


def test_operations_are_sums_and_their_mean_is_over_the_scales():
    counts = {
        "flop_per_face": {"hr": 7, "x2": 10, "x8": 20},
        "eigen_flop_per_face": {"hr": 1, "x2": 2, "x8": 4},
    }
    assert operations(counts, "x8", ("x2", "x8")) == 24
    assert operations(counts, "mean", ("x2", "x8")) == 18
    assert operations(counts, "x3", ("x2", "x8")) is None
    assert operations(counts, "mean", ("x2", "x3")) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [(7, "7"), (1320000, "1.32 M"), (46.3e6, "46.3 M"), (123e9, "123 G"), (2.5e12, "2.50 T")],
)
def test_counts_have_three_digits_and_a_unit(number, text):
    assert in_units(number) == text


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([5, 1], [5, 1]),
        ([4, 4], [3.5, 4.5]),
        ([0, 0.5, 9], [0, 1, 9]),
        ([10, 9.8, 9.6], [10, 9, 8]),
        ([2, 3.2, 4, 8], [2, 3.1, 4.1, 8]),
    ],
)
def test_labels_move_no_more_than_they_must(heights, expected):
    assert spread(heights, 1, 10) == pytest.approx(expected)


def test_labels_that_do_not_fit_overlap_evenly():
    assert spread([1, 1, 1], 6, 10) == [0, 5, 10]
