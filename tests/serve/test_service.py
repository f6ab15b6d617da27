"""What is answered: predictions as of the command, faces made smaller, the model, OpenAPI."""

import base64
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from unittest.mock import Mock

import jsonschema
import numpy as np
import pytest
from PIL import Image

from fsr_fer import imresize, load
from fsr_fer.common.errors import UserError
from fsr_fer.serve import app
from fsr_fer.serve.site import FILES, PLAIN
from tests import ROOT
from tests.data.raw_faces import encoded
from tests.predict.conftest import BLUE, GREEN, RED, scene
from tests.serve.client import Client, picture
from tests.serve.conftest import always_blue, serving


def test_a_picture_gives_the_row_of_the_command(client: Client, model_file: Path) -> None:
    status, said = client.predict(("pictures", picture(RED)))
    (row,) = load(model_file).predict(picture(RED))
    assert (status, said) == (200, {"predictions": [row.to_dict() | {"source": "1.png"}]})


def test_boxes_are_of_the_picture_in_the_same_place(client: Client, tmp_path: Path) -> None:
    scene(tmp_path / "scene.png")
    crowd = (tmp_path / "scene.png").read_bytes()
    status, said = client.predict(
        ("pictures", picture(GREEN)),
        ("boxes", "null"),
        ("pictures", crowd),
        ("boxes", "[[30, 40, 20, 20], [200, 100, 50, 50], [900, 0, 9, 9]]"),
    )
    rows = [(r["input"], r["label"] or r["status"], r["pixels"]) for r in said["predictions"]]
    assert status == 200
    assert rows == [(1, "green", 20), (2, "red", 20), (2, "blue", 50), (2, "bad_box", None)]


def test_a_face_is_made_smaller_as_the_test_faces_were(client: Client, model_file: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (240, 300, 3), np.uint8)
    _, said = client.predict(
        ("pictures", encoded(rgb)),
        ("boxes", "[[30, 40, 80, 80], [0, 0, 11, 11]]"),
        ("pixels", "13"),
    )
    large, small = said["predictions"]
    expected = imresize(rgb[40:120, 30:110], output_shape=(13, 13))
    assert large["pixels"] == 80
    assert (decoded(large["downsampled"]["face"]) == expected).all()
    (row,) = load(model_file).predict(expected, channels="rgb")
    assert {**row.to_dict(), **large["downsampled"]} == row.to_dict() | {
        "face": large["downsampled"]["face"],
        "plain": None,
    }
    assert large["downsampled"]["expected_accuracy"] == pytest.approx(0.62)  # 0.5 at 10, 0.9 at 20
    # A face that is smaller already stays as it is.
    assert small["downsampled"]["pixels"] == 11
    assert (decoded(small["downsampled"]["face"]) == rgb[:11, :11]).all()


def test_the_plain_network_reads_the_same_small_face(model_file: Path) -> None:
    model = load(model_file)
    with serving(model, always_blue(model)) as client:
        about = json.loads(client.ask("GET", "/model")[1])
        assert about["plain"] == {"pixels": [10, 20], "accuracy": [0.2, 0.6]}
        document = json.loads(client.ask("GET", "/openapi.json")[1])
        _, said = client.predict(("pictures", picture(RED)), ("pixels", "13"))
    (row,) = said["predictions"]
    assert row["downsampled"]["label"] == "red"
    assert row["downsampled"]["plain"] == {"label": "blue", "probability": 0.75}
    schema = document["components"]["schemas"]["Prediction"]
    jsonschema.validate(row, schema | {"components": document["components"]})


def test_faces_are_looked_for_from_min_face(client: Client) -> None:
    wide = ("pictures", encoded(np.zeros((100, 300, 3), np.uint8)))
    _, said = client.predict(wide)
    assert "none of 10 pixels or more was found" in said["predictions"][0]["message"]
    _, said = client.predict(wide, ("min_face", "33"))
    assert "none of 33 pixels or more was found" in said["predictions"][0]["message"]


def test_faces_says_how_pictures_are_read(client: Client) -> None:
    for rgb in (np.full((300, 300, 3), RED, np.uint8), np.full((90, 90, 3), RED, np.uint8)):
        large = len(rgb) > 200
        for faces, crop in (("crops", True), ("detect", False), ("auto", not large)):
            _, said = client.predict(("pictures", encoded(rgb)), ("faces", faces))
            (row,) = said["predictions"]
            assert (row["status"], row["label"]) == (("ok", "red") if crop else ("no_face", None))


def test_one_bad_picture_has_its_row_and_is_not_made_smaller(client: Client) -> None:
    parts = [("pictures", picture(RED)[:40]), ("pictures", picture(BLUE)), ("pixels", "13")]
    status, said = client.predict(*parts)
    bad, good = said["predictions"]
    assert (status, bad["status"], bad["downsampled"]) == (200, "unreadable", None)
    assert bad["message"]
    assert (good["status"], good["downsampled"]["label"]) == ("ok", "blue")


def test_each_of_many_at_a_time_gets_its_own_answer(client: Client) -> None:
    colours = {"red": RED, "green": GREEN, "blue": BLUE}
    wanted = list(colours) * 8
    with ThreadPoolExecutor(8) as pool:
        asked = (("pictures", picture(colours[name])) for name in wanted)
        answers = list(pool.map(client.predict, asked))
    assert [said["predictions"][0]["label"] for _, said in answers] == wanted


def test_what_is_told_of_the_model(client: Client) -> None:
    status, content, _ = client.ask("GET", "/model")
    said = json.loads(content)
    assert status == 200
    named = {"name": "colours", "version": metadata.version("fsr-fer"), "licence": "MIT"}
    assert named.items() <= said.items()
    assert said["class_names"] == ["red", "green", "blue"]
    assert said["expected_accuracy"] == {"pixels": [10, 20], "accuracy": [0.5, 0.9]}
    assert said["plain"] is said["model_card"] is None
    assert client.ask("GET", "/card")[0] == 404
    assert json.loads(client.ask("GET", "/health")[1]) == {"status": "ok"}


def test_the_plain_network_beside_the_shipped_model_is_what_was_measured() -> None:
    plain, shipped = load(PLAIN).card, load().card
    assert plain.class_names == shipped.class_names
    lines = (ROOT / "docs/results.md").read_text().splitlines()
    (pixels,) = (line.split("|")[2:-1] for line in lines if line.startswith("| pixels | 100 |"))
    for name, card in (("the shipped model", shipped), ("full-size faces alone", plain)):
        (cells,) = (line.split("|")[2:-1] for line in lines if line.startswith(f"| {name} |"))
        measured = dict(zip(card.pixels, card.accuracy, strict=True))
        shown = [f"{100 * measured[int(side)]:.1f}" for side in pixels]
        assert shown == list(map(str.strip, cells))


def test_answers_are_as_the_openapi_document_says(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(client.ask("GET", "/openapi.json")[1])
    assert set(document["paths"]) == {"/predict", "/model", "/health"}
    assert document["servers"] == [{"url": "."}]  # a proxy may put a prefix before all addresses

    def check(status: int, said: object, path: str = "/predict") -> None:
        (operation,) = document["paths"][path].values()
        schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
        jsonschema.validate(said, schema | {"components": document["components"]})

    check(*client.predict(("pictures", picture(RED))))
    check(*client.predict(("pictures", picture(RED)), ("boxes", "[[0,0,9,9]]"), ("pixels", "8")))
    check(*client.predict(("pictures", b"no picture"), ("pixels", "8")))
    check(*client.predict())
    for path in ("/model", "/health"):
        for host in ("localhost", "evil.example"):
            status, content, _ = client.ask("GET", path, Host=host)
            check(status, json.loads(content), path)
    monkeypatch.setattr(app, "answer", Mock(side_effect=UserError("a damaged model")))
    answer = client.predict(("pictures", picture(RED)))
    assert answer == (500, {"error": "a damaged model"})
    check(*answer)


def test_the_page_asks_for_nothing_elsewhere(client: Client) -> None:
    for name, kind in FILES.items():
        path = "/" if name == "index.html" else f"/{name}"
        status, content, headers = client.ask("GET", path)
        assert (status, headers["content-type"].partition(";")[0]) == (200, kind)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
        for name in ("cross-origin-resource-policy", "cross-origin-opener-policy"):
            assert headers[name] == "same-origin"
        assert headers["permissions-policy"] == "camera=(self), microphone=(), geolocation=()"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        if kind.startswith("text/"):
            named = re.findall(r"\w+://[\w./-]*", content.decode())
            assert set(named) <= {"http://www.w3.org/2000/svg"}


def decoded(address: str) -> np.ndarray:
    content = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)))
