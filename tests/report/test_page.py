"""The page: nothing from outside, nothing unescaped, the same bytes, the numbers of the files."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from fsr_fer.report.face_grids import (
    CELL,
    LEFT,
    TOP,
    ZOOM,
    example_rows,
    font_of,
    restored_grid,
    sizes_grid,
)
from fsr_fer.report.page import in_times, in_units, signed, write_page
from fsr_fer.report.scores import compute_scores
from tests.report.conftest import build_inputs, save, write


class Collector(HTMLParser):
    """Tags with their attributes, whether they are balanced, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def text_of(inputs) -> str:
    """The page's text, without the figures, which take longest."""
    pictures = {"accuracy.svg": b"<svg></svg>", "cost.svg": b"<svg></svg>", "faces.png": bytes(24)}
    return Collector(write_page(inputs, compute_scores(inputs), pictures)).text


@pytest.fixture(scope="module")
def parsed(written) -> Collector:
    return Collector(written.page)


def test_page_is_whole_and_needs_nothing_from_outside(written, parsed):
    assert not parsed.open
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "object", "base")
        for name in ("src", "href", "action", "data", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/"))
    assert "script" not in {tag for tag, _ in parsed.tags}
    names = r' xmlns(:\w+)?="[^"]*"'  # of SVG; nothing is fetched for them
    assert not re.search(r"url\((?!#)|@import|https?://", re.sub(names, "", written.page))
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = re.findall(r'href="#([^"]+)"', written.page)  # xlink:href too
    assert len(targets) > 7
    assert set(targets) <= set(ids)


def test_page_says_what_was_read_and_set_and_names_are_escaped(written, parsed):
    assert "42 test faces (12 train, 6 validation)" in parsed.text
    assert "reweight.sigma1.5" in parsed.text
    assert "<b>joy" not in written.page
    assert "&lt;b&gt;joy&lt;/b&gt;" in written.page
    assert "fear & awe" in parsed.text


def test_a_single_method_is_reported_without_comparison(tmp_path):
    inputs = build_inputs(tmp_path, percent={"bicubic": (90, 80)}, scales=(2,))
    text = text_of(inputs)
    assert inputs.title("mean") == "mean of x2"
    assert "Only bicubic was run" in text
    assert "gain on" not in text
    assert "Minus" not in text


def test_bytes_are_the_same_whatever_the_users_matplotlibrc(inputs, written, tmp_path):
    theirs = {"savefig.bbox": "tight", "lines.linewidth": 9, "axes.unicode_minus": False}
    with mpl.rc_context(theirs):
        again = write(inputs, tmp_path)
    first, second = (
        {p.name: p.read_bytes() for p in (*run.directory.iterdir(), *run.metrics.iterdir())}
        for run in (written, again)
    )
    assert first == second
    assert len(first) == 4 + 6


def shown(picture: Image.Image, line: int, column: int, side: int) -> np.ndarray:
    """A face of this height in a grid, whose pixels are blocks of 2x2."""
    middle, bottom = LEFT + column * CELL + 50, TOP + line * CELL + 100
    left = middle - (side + 1) // 2
    box = left, bottom - side, left + side, bottom
    blocks = np.asarray(picture.crop([ZOOM * edge for edge in box]))
    np.testing.assert_array_equal(blocks[1::2, 1::2], blocks[::2, ::2])
    return blocks[::2, ::2]


def test_faces_are_shown_in_true_size_pixel_by_pixel(written):
    picture = Image.open(written.directory / "faces.png")
    for number, row in enumerate(example_rows(written.inputs)):
        for column, name in enumerate(("dataset/images", "downsample/x2", "downsample/x8")):
            face = np.load(written.inputs.data / f"{name}.npy")[row]
            np.testing.assert_array_equal(shown(picture, 2 * number, column, len(face)), face)
    assert f'width="{picture.width // 2}"' in written.page


def test_long_names_of_classes_do_not_cover_faces(tmp_path):
    inputs = build_inputs(tmp_path, class_names=("surprise beyond all measure", "neutral"))
    picture = Image.open(io.BytesIO(sizes_grid(inputs)))
    # In column 0 the face of 100 pixels begins where three columns are left.
    face = np.load(inputs.data / "dataset/images.npy")[example_rows(inputs)[0]]
    box = picture.crop((picture.width - 3 * ZOOM * CELL, ZOOM * TOP, picture.width, picture.height))
    np.testing.assert_array_equal(np.asarray(box)[: 100 * ZOOM : ZOOM, : 100 * ZOOM : ZOOM], face)
    names = np.asarray(picture.crop((0, 0, picture.width - 3 * ZOOM * CELL, picture.height)))
    assert (names[:, -ZOOM:] == 255).all()  # the longest one ends before


def test_example_faces_are_test_faces_of_the_classes_in_turn(written):
    manifest, rows = written.inputs.manifest, example_rows(written.inputs)
    assert manifest.labels[rows].tolist() == [0, 1, 2, 0]
    assert len(set(rows)) == 4
    assert set(rows) <= set(manifest.rows("test").tolist())


def test_restored_faces_are_those_of_the_same_test_face(inputs):
    assert restored_grid(inputs) is None
    images = np.load(inputs.data / "dataset/images.npy")
    inverted = 255 - images[inputs.manifest.rows("test")]
    for method in ("rcan", "old"):  # one of them is not reported
        save(inputs.data / f"restored/{method}/x8.npy", inverted)
    picture = Image.open(io.BytesIO(restored_grid(inputs)))
    for line, row in enumerate(example_rows(inputs)):  # x8, bicubic, rcan, full size
        np.testing.assert_array_equal(shown(picture, line, 2, 100), 255 - images[row])
        np.testing.assert_array_equal(shown(picture, line, 3, 100), images[row])


def test_counts_have_three_digits_and_a_unit_and_ratios_no_e_notation():
    counts = (7, 999_499, 999_500, 1320000, 123e9, 2.5e12)
    shown = ["7", "999 k", "1.00 M", "1.32 M", "123 G", "2.50 T"]
    assert list(map(in_units, counts)) == shown
    assert [in_times(ratio) for ratio in (1, 1.046, 999.4, 2386.9)] == ["1", "1.05", "999", "2,387"]


def test_pictures_and_tables_have_a_description(parsed):
    described = [a for tag, a in parsed.tags if tag == "img" or a.get("role") == "img"]
    assert len(described) == 1 + 2  # faces, of which none is restored; accuracy and cost
    assert all(picture.get("alt") or picture["aria-label"] for picture in described)
    boxes = [a for _, a in parsed.tags if "scroll" in (a.get("class") or "").split()]
    tables = sum(tag == "table" for tag, _ in parsed.tags)
    assert len(boxes) == tables + 1 + 1  # the faces, and the widest figure, of cost
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def test_answer_names_the_best_method_its_gain_cost_and_how_certain_that_is(parsed):
    best = "fsr_plain is the most accurate on the mean of x2–x8: 81.0 % correct"
    assert re.search(re.escape(best) + r" \([\d.]+–[\d.]+\)\.", parsed.text)
    squeezed = parsed.text.replace(" ", "")
    numbers = r"\+15\.5\+[\d.]+to\+[\d.]+92\.0M2×"
    assert re.search(r"meanx2–x8fsr_plain81\.0[\d.]+–[\d.]+" + numbers, squeezed)
    assert re.search(r"x250pxbicubicand1more81\.0", squeezed)


def test_answer_names_all_that_are_equally_good(tmp_path):
    equal = {"bicubic": (90, 80, 50), "fsr_plain": (90, 50, 80), "rcan": (90, 80, 47)}
    text = text_of(build_inputs(tmp_path, percent=equal))
    # 34 and 21 of 42 faces right, in this order or the other: 55 of 84.
    assert "bicubic, fsr_plain are the most accurate on the mean of x2–x8: 65.5 % correct" in text
    assert "The lead may be chance: over rcan +1.2 (+0.0 to +" in text  # 34 and 20: 54 of 84
    assert [signed(value) for value in (-0.0, 0.0, -2.04)] == ["+0.0", "+0.0", "−2.0"]


def test_why_the_generator_loses_is_said_where_it_does(tmp_path):
    models = {"fsr_plain": "fsr/plain", "mixed_resolution": "finetune/mixed_resolution"}
    for generator, loses in ((80, True), (95, False)):
        percent = {"bicubic": (90, 80, 50), "fsr_plain": (90, generator, generator)}
        percent["mixed_resolution"] = (90, 95, 95)
        settings = {"methods": {name: {"model": model} for name, model in models.items()}}
        inputs = build_inputs(tmp_path, percent=percent, settings=settings)
        said = "fsr_plain: less accurate on the mean of x2–x8 than mixed_resolution. The classifier"
        assert (said in text_of(inputs)) == loses


def test_every_number_says_the_command_that_traces_it(written, written_full):
    for run, file in ((written, "accuracy"), (written_full, "mean_class_accuracy")):
        for method, columns in run.numbers(file).items():
            for column, value in columns.items():
                title = f'title="fsr-fer trace {file}.{method}.{column}">'
                assert re.search(rf"{re.escape(title)}\s*{value:.1f}<", run.page), title


def test_full_page_shows_cost_calibration_and_restored_faces(written_full):
    squeezed = Collector(written_full.page).text.replace(" ", "")
    assert "bicubic1.32M46.0M1×46.0M1×" in squeezed
    assert "rcan1.32M92.0M2×92.0M2×92.0M2×92.0M2×–––92.0M2×–" in squeezed
    assert "rcan––28.130.8765––––" in squeezed
    for name in ("cost.svg", "restored.png"):
        assert (written_full.directory / name).stat().st_size > 1000


def test_names_in_pictures_are_drawn_in_a_font_that_has_them(capsys):
    assert font_of("happiness").getname()[0] == "Aileron"  # Pillow's own
    assert font_of("joie \u00e9norme").getname()[0] == "DejaVu Sans"
    assert capsys.readouterr().out == ""
    for nobody_has in ("\U0010fffd", "\U0010fffc"):
        font_of(nobody_has)
    assert capsys.readouterr().out.count("note: no font here has all characters of the names") == 1


def test_faces_that_were_enlarged_are_said_to_be(inputs, parsed):
    enlarged = "FER2013's faces have 48 pixels: at full size they are upsampled, and x2"
    other_part = "FER2013's test faces are those of its validation part, PublicTest"
    assert enlarged not in parsed.text
    # The test faces of an import with --test PublicTest come from the folder of that part.
    for source, folder in (
        ("fer2013", "FER2013Test"),
        ("fer2013", "FER2013Valid"),
        ("several", "fer2013/FER2013Valid"),
    ):
        ids = tuple(f"{folder}/{identity}" for identity in inputs.manifest.ids)
        manifest = replace(inputs.manifest, ids=ids)
        text = text_of(replace(inputs, source=source, manifest=manifest))
        assert (enlarged in text) == (source == "fer2013")
        assert (other_part in text) == folder.endswith("FER2013Valid")


def test_cost_is_drawn_at_the_smallest_size_that_a_method_of_ours_has(tmp_path):
    inputs = build_inputs(tmp_path, percent={"rcan": (90, 80, None)})
    write(inputs, tmp_path)
    assert "x2, 50 px" in (tmp_path / "page/cost.svg").read_text()


def test_lines_and_rows_of_a_method_are_found_by_the_legend(written_full):
    for number, name in enumerate(written_full.inputs.methods):
        box = rf'name="m{number}" checked [^>]*>\s*<span[^>]*>.</span><code>'
        label = name.replace("_", "_<wbr>")
        assert re.search(box + label, written_full.page), name
        for part in ("accuracy.line", "cost.x8-range", "cost.x8-point"):
            assert f'id="{part}-m{number}"' in written_full.page
        # scores, cost, calibration, recall, and where it is PSNR and the paper
        assert written_full.page.count(f'<tr class="m{number}">') >= 4
