"""The shipped model in onnxruntime-web, as docs/predict.md runs it, beside onnxruntime for Python.

$FSR_FER_ORT_WEB names a folder in which `npm install onnxruntime-web@1.30` was typed.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from fsr_fer import imresize, load
from fsr_fer.data.images import to_face
from fsr_fer.data.synthetic.dataset import synthetic_face
from fsr_fer.predict.model import SHIPPED
from tests.browser import chromium, node_modules, served  # noqa: F401
from tests.pages import ROOT, blocks

SIZES = (100, 48, 25, 13, 8)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that has an empty page, the page's script, the model and onnxruntime-web."""
    modules = node_modules()
    if modules is None:
        pytest.skip("$FSR_FER_ORT_WEB names no folder with onnxruntime-web (docs/predict.md)")
    (script,) = (b.text for b in blocks(ROOT / "docs/predict.md") if b.language == "js")
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "read.mjs").write_text(script)
    (folder / "model.onnx").symlink_to(SHIPPED)
    (folder / "node_modules").symlink_to(modules)
    with served(folder) as address:
        yield address


def test_a_browser_reads_what_python_reads(address: str, chromium) -> None:  # noqa: F811
    drawn = [synthetic_face("test", number, faces_per_subject=7, seed=0) for number in range(3)]
    small = [(imresize(face, output_shape=(size, size)), size) for face in drawn for size in SIZES]
    faces = np.stack([to_face(face) for face, _ in small])
    sizes = np.array([size for _, size in small], np.float32)
    expected = load().probabilities(faces, sizes)

    page = chromium.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    read = """async ([faces, sizes]) => {
        const { read } = await import("/read.mjs");
        const rows = [];
        for (const [at, face] of faces.entries())
            rows.push([...await read(Uint8Array.from(face), sizes[at])]);
        return rows;
    }"""
    found = np.array(
        page.evaluate(read, [[face.ravel().tolist() for face in faces], sizes.tolist()])
    )
    print(f"largest difference of a probability: {np.abs(found - expected).max():.1e}")
    assert np.abs(found - expected).max() < 1e-4
    assert (found.argmax(1) == expected.argmax(1)).all()
