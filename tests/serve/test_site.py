"""The page without a service: its files, and what the browser computes beside what Python does.

$FSR_FER_ORT_WEB names a folder in which `npm install onnxruntime-web@1.30` was typed. Elsewhere a
stand-in that predicts by the face's size takes its place: all else is the page's own.
"""

import base64
import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fsr_fer import imresize, load
from fsr_fer.predict.faces import cut_square
from fsr_fer.predict.results import Box
from fsr_fer.serve.site import PAGE, RUNTIME, RUNTIME_FILES
from tests.browser import chromium, logged_page, node_modules, served  # noqa: F401
from tests.conftest import Run, refused
from tests.data.raw_faces import encoded
from tests.predict.conftest import model_file  # noqa: F401

PHOTOGRAPH = PAGE / "examples/photograph.jpg"
STAND_IN = """
export const env = { wasm: {} };
export class Tensor {
  constructor(type, data, dims) { Object.assign(this, { type, data, dims }); }
}
export const InferenceSession = {
  create: async (name) => ({
    run: async ({ pixels }) => {
      if (name.startsWith("mtcnn")) return { 1: new Tensor("", Array(5).fill(-9), [1, 5, 1, 1]) };
      const shares = pixels.data[0] < 20 ? [0, 1, 0] : [0.5, 0.3, 0.2];
      return { probabilities: new Tensor("", [...shares, 0, 0, 0, 0]) };
    },
  }),
};
"""


@pytest.fixture
def open_site(chromium, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """Writes the page with npm's modules, or the stand-in for one, and opens it in a browser."""
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as servers:

        def open_it(modules: Path | None) -> Any:
            if modules:
                Path("node_modules").symlink_to(modules)
            else:
                RUNTIME.mkdir(parents=True)
                for name in RUNTIME_FILES:
                    (RUNTIME / name).write_text(STAND_IN)
            code, out, err = run("serve", "--static", "site")
            assert (code, err) == (0, "")
            assert out == "site: open it through a web server: python -m http.server -d site\n"
            page = logged_page(chromium)
            page.goto(servers.enter_context(served(tmp_path / "site")))
            page.locator("#probability", has_text="probable").wait_for()  # of the photograph
            return page

        yield open_it
        for context in chromium.contexts:
            context.close()


def asked(page: Any, rgb: np.ndarray, pixels: int, boxes: list[list[float]] | None) -> Any:
    """What the page computes for a picture, instead of asking a service."""
    png = base64.b64encode(encoded(Image.fromarray(rgb), "PNG")).decode()
    ask = "([png, pixels, boxes]) => ask(bytesOf(`data:,${png}`), 'picture', pixels, boxes)"
    return page.evaluate(ask, [png, pixels, boxes])


def face_of(row: dict[str, Any]) -> np.ndarray:
    png = base64.b64decode(row["downsampled"]["face"].partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def test_faces_are_cut_and_downsampled_as_in_python(open_site) -> None:
    page = open_site(None)
    rgb = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    boxes = [[10, 20, 40, 50], [-9.5, 60.2, 30, 41], [100, -12, 33, 33], [3, 4, 8, 8]]
    rows = asked(page, rgb, 20, boxes)
    for box, row in zip(boxes, rows, strict=True):
        square = cut_square(rgb, Box(*box))
        assert (row["status"], row["pixels"]) == ("ok", len(square))
        expected = imresize(square, output_shape=(20, 20)) if len(square) > 20 else square
        assert (face_of(row) == expected).all()
    for side in (8, 9, 13, 21, 34, 45, 50, 60, 90):
        (row,) = asked(page, rgb, side, None)  # of at most 200 pixels: one face, the middle square
        assert (face_of(row) == imresize(rgb[:, 15:105], output_shape=(side, side))).all()
    (small,) = asked(page, rgb, 20, [[0, 0, 5, 5]])
    assert (small["status"], small["pixels"]) == ("too_small", 5)


def test_the_page_needs_no_service(open_site) -> None:
    page = open_site(None)
    assert page.locator("#label").inner_text() == "surprise"
    assert page.locator("#doubt").is_visible()  # 0.5 is below the shipped model's threshold
    page.locator("#size").fill("0")
    page.locator("#label", has_text="fear").wait_for()
    assert page.locator("#pixels").inner_text() == "8 pixels"
    assert "of 100 test faces of this size" in page.locator("#expected").inner_text()
    assert page.locator("#comparison").inner_text().startswith("Trained on full-size faces alone")
    scene = {
        "name": "a.png",
        "mimeType": "",
        "buffer": encoded(Image.new("RGB", (300, 210)), "PNG"),
    }
    page.locator("#file").set_input_files([scene])
    page.locator("#note", has_text="No face was found. Drag a square").wait_for()
    page.locator("#file").set_input_files([scene | {"buffer": b"no picture"}])
    page.locator("#note", has_text="cannot be read by this browser").wait_for()
    address = page.evaluate("location.origin")
    assert all(url.startswith((address, "data:", "blob:")) for url in page.log), page.log
    link = page.locator("#model a").get_attribute("href")
    assert "Model card" in page.evaluate("async (card) => (await fetch(card)).text()", link)


def test_a_search_lets_the_page_react_and_ends_for_another_picture(open_site) -> None:
    page = open_site(None)
    search = """async (unwanted) => {
      const { predict } = await import("./local.js");
      const blob = await (await fetch("large.png")).blob();
      let turns = 0;
      const timer = setInterval(() => { turns += 1; }, 0);
      const said = await predict(about, blob, 50, null, () => unwanted).catch((error) => error);
      clearInterval(timer);
      return [turns, said.message ?? said[0].status];
    }"""
    Image.new("RGB", (1600, 1200)).save("site/large.png")
    turns, said = page.evaluate(search, False)
    assert (turns > 3, said) == (True, "no_face")
    assert page.evaluate(search, True)[1] == "another picture came"
    page.evaluate("() => { about.limits.pixels = 9e5; }")
    said = "The picture is too large: 1600 x 1200 pixels, of at most 0.9 million."
    assert page.evaluate(search, False)[1] == said


def test_the_browser_finds_and_predicts_what_python_does(open_site) -> None:
    modules = node_modules()
    if modules is None:
        pytest.skip("$FSR_FER_ORT_WEB names no folder with onnxruntime-web (docs/serve.md)")
    page = open_site(modules)
    photograph = Image.open(PHOTOGRAPH).convert("RGB")
    scene = Image.new("RGB", (700, 420), (120, 110, 100))
    for side, left, top in ((300, 10, 10), (110, 320, 40), (60, 500, 300)):
        scene.paste(photograph.resize((side, side)), (left, top))
    rgb = np.asarray(scene)
    model = load()
    expected = list(model.predict([rgb], channels="rgb"))
    assert len(expected) == 3
    rows = asked(page, rgb, 13, None)
    assert len(rows) == 3
    for one in expected:
        near = min(rows, key=lambda row: abs(row["box"]["x"] - one.box.x))
        found = [near["box"][key] for key in one.box._fields]
        assert found == pytest.approx(one.box, abs=max(1, 0.02 * one.box.width))
        assert near["label"] == one.label
        (small,) = model.predict([face_of(near)], channels="rgb", faces="crops")
        assert near["downsampled"]["probabilities"] == pytest.approx(small.probabilities, abs=1e-4)
        assert near["downsampled"]["expected_accuracy"] == pytest.approx(small.expected_accuracy)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_missing_is_said_in_one_line(folder: Path, run: Run) -> None:
    wanted = f"{RUNTIME / RUNTIME_FILES[0]} is not here: npm install onnxruntime-web@1.30\n"
    assert refused(run("serve", "--static", "site")) == f"fsr-fer: {wanted}"
    assert not (folder / "site").exists()
    Path("no.onnx").write_text("no model")
    assert "no.onnx is no ONNX model" in refused(
        run("serve", "--static", "s", "--model", "no.onnx")
    )
    RUNTIME.mkdir(parents=True)
    for name in RUNTIME_FILES:
        (RUNTIME / name).touch()
    Path("file").touch()
    assert "file: is a file; expected a folder" in refused(run("serve", "--static", "file"))
    Path("mine").mkdir()
    Path("mine/index.html").write_text("mine")
    said = "mine: holds other files than the page; name a new folder"
    assert said in refused(run("serve", "--static", "mine"))
    assert os.listdir("mine") == ["index.html"]
    assert "--static is followed by nothing" in refused(run("serve", "--static", ""))
    said = "--port is for the service; --static writes a folder"
    assert said in refused(run("serve", "--static", "s", "--port", "8000"))


def test_a_model_of_ones_own_has_neither_the_card_nor_the_plain_network(
    folder: Path,
    run: Run,
    model_file: Path,  # noqa: F811
) -> None:
    RUNTIME.mkdir(parents=True)
    for name in RUNTIME_FILES:
        (RUNTIME / name).touch()
    assert run("serve", "--static", "site")[0] == 0
    assert Path("site/plain.onnx").exists()
    assert run("serve", "--static", "site", "--model", model_file)[0] == 0
    about = json.loads(Path("site/model").read_text())
    assert (about["plain"], about["model_card"], about["local"]) == (None, None, True)
    assert Path("site/model.onnx").read_bytes() == model_file.read_bytes()
    assert not Path("site/plain.onnx").exists()
    assert not Path("site/model-card.txt").exists()
    # The same once more, also with the model that lies there.
    assert run("serve", "--static", "site", "--model", "site/model.onnx")[0] == 0
    assert Path("site/model.onnx").read_bytes() == model_file.read_bytes()
