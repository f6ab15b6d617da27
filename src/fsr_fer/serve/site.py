"""The page's files, and the page as a folder that needs no service."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import replacing
from fsr_fer.predict.model import SHIPPED
from fsr_fer.predict.model_file import Card, read_model_file

PAGE = Path(__file__).with_name("page")
FILES = {
    "index.html": "text/html",
    "page.js": "text/javascript",
    "page.css": "text/css",
    "examples/photograph.jpg": "image/jpeg",
    "examples/1.png": "image/png",
    "examples/2.png": "image/png",
}
PLAIN = Path(__file__).with_name("plain.onnx")
"""A network of the same shape that has seen full-size faces alone, which the page shows beside the
shipped model; docs/results.md, The shipped model."""
RUNTIME = Path("node_modules/onnxruntime-web/dist")
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
LIMITS = {"bytes": 50 * 2**20, "pixels": 32_000_000}
"""Of a picture, where the browser does the work."""


def describe_model(
    card: Card, plain: Card | None, limits: dict[str, Any], model_card: str | None
) -> dict[str, Any]:
    """What ``GET /model`` says; ``model_card`` is where the page finds it."""
    return {
        "name": card.name,
        "version": metadata.version("fsr-fer"),
        "class_names": card.class_names,
        "smallest_pixels": card.smallest_pixels,
        "uncertain_below": card.uncertain_below,
        "expected_accuracy": _measured(card),
        "licence": card.licence,
        "limits": limits,
        "plain": plain and _measured(plain),
        "model_card": model_card,
    }


def _measured(card: Card) -> dict[str, Any]:
    return {"pixels": card.pixels, "accuracy": card.accuracy}


def write_site(folder: Path, model: Path | None) -> None:
    """Write the page and all it needs to ``folder``: networks, detector, onnxruntime-web.

    ``model``: an ONNX file of this project, or None for the shipped one. UserError if it is none,
    onnxruntime-web is not in the current folder, or ``folder`` holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--static {folder}: is a file; expected a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "local.js").is_file():
        raise UserError(f"--static {folder}: holds other files than the page; name a new folder")
    card, _ = read_model_file(model or SHIPPED)
    if missing := [name for name in RUNTIME_FILES if not (RUNTIME / name).is_file()]:
        raise UserError(f"{RUNTIME / missing[0]} is not here: npm install onnxruntime-web@1.30")
    files = {name: (PAGE / name).read_bytes() for name in (*FILES, "local.js")}
    files |= {name: (RUNTIME / name).read_bytes() for name in RUNTIME_FILES}
    files |= {file.name: file.read_bytes() for file in SHIPPED.parent.glob("mtcnn_?.onnx")}
    files["model.onnx"] = (model or SHIPPED).read_bytes()
    plain = model_card = None
    if not model:
        plain, _ = read_model_file(PLAIN)
        files["plain.onnx"] = PLAIN.read_bytes()
        if text := shipped_model_card():
            model_card = "model-card.txt"
            files[model_card] = text
    about = {"local": True} | describe_model(card, plain, LIMITS, model_card)
    files["model"] = json.dumps(about).encode()
    for name in {"plain.onnx", "model-card.txt"} - files.keys():  # of a site that was here before
        (folder / name).unlink(missing_ok=True)
    for name, content in files.items():
        with replacing(folder / name) as part:
            part.write_bytes(content)


def shipped_model_card() -> bytes | None:
    """The shipped model's card, which is installed as one of the licences."""
    files = metadata.files("fsr-fer") or []
    return next((file.read_binary() for file in files if file.name == "model-card.md"), None)
