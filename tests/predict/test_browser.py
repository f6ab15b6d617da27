"""The shipped model in onnxruntime-web, as docs/predict.md runs it, beside onnxruntime for Python.

$FSR_FER_ORT_WEB names a folder in which `npm install onnxruntime-web@1.30` was typed.
"""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from fsr_fer import imresize, load
from fsr_fer.data.images import to_face
from fsr_fer.data.synthetic.dataset import synthetic_face
from fsr_fer.predict.model import SHIPPED
from tests.browser import chromium  # noqa: F401
from tests.pages import ROOT, blocks

KINDS = {
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
}
SIZES = (100, 48, 25, 13, 8)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that has an empty page, the page's script, the model and onnxruntime-web."""
    folder = Path(os.environ.get("FSR_FER_ORT_WEB", "")).absolute()
    package = folder / "node_modules/onnxruntime-web"
    if "FSR_FER_ORT_WEB" not in os.environ or not package.is_dir():
        pytest.skip("$FSR_FER_ORT_WEB names no folder with onnxruntime-web (docs/predict.md)")
    (script,) = (b.text for b in blocks(ROOT / "docs/predict.md") if b.language == "js")
    own = {
        "/": b"<!doctype html>",
        "/read.mjs": script.encode(),
        "/model.onnx": SHIPPED.read_bytes(),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            content = own.get(path)
            if path.startswith("/node_modules/") and (folder / path[1:]).is_file():
                content = (folder / path[1:]).read_bytes()
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", KINDS.get(Path(path).suffix, "text/html"))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


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
