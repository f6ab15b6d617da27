"""What is not answered: every limit, hostile uploads, other sites; and that the rest goes on."""

import contextlib
import errno
import gzip
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from starlette import formparsers

from fsr_fer.data.synthetic.dataset import synthetic_face
from fsr_fer.predict.model import Choices, load
from fsr_fer.predict.pictures import Picture
from fsr_fer.serve import app
from fsr_fer.serve.answer import answer
from fsr_fer.serve.form import Limits
from fsr_fer.serve.guard import Guard
from fsr_fer.serve.server import InTime
from tests.conftest import Run
from tests.data.raw_faces import encoded
from tests.predict.conftest import RED
from tests.predict.test_hostile_inputs import bomb
from tests.serve.client import KIND, Client, Part, form, picture
from tests.serve.conftest import serving

FACE = ("pictures", picture(RED))
WIDE = ("pictures", encoded(np.zeros((200, 300, 3), np.uint8)))
LARGE = ("pictures", encoded(np.zeros((1001, 2000, 3), np.uint8)))
NOISE = bytes(range(256))
BODY = form([FACE])
HEAD = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {KIND}\r\n"
REQUEST = f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY


@pytest.fixture(scope="module")
def small(model_file: Path) -> Iterator[Client]:
    """The service with limits that are soon reached."""
    limits = {"bytes": 50_000, "pictures": 2, "pixels": 2000, "faces": 3, "requests": 2}
    with serving(load(model_file), **limits) as one:
        yield one


@pytest.mark.parametrize(
    ("parts", "status", "message"),
    [
        ([("pictures", NOISE * 20_000)], 413, "the request has more than 50,000 bytes"),
        ([FACE] * 3, 413, "more than 2 pictures; send several requests"),
        ([("pictures", picture(RED, 45))], 413, "picture 1, 45 x 45 pixels, is too large: one"),
        ([FACE, ("pictures", picture(RED, 41))], 413, "picture 2, 41 x 41 pixels, is too large"),
        ([("pictures", bomb(13_000))], 413, "picture 1, 13,000 x 13,000 pixels, is too large"),
        ([FACE, ("boxes", "[[0,0,40,41]]")], 413, "the boxes are too large: one request may have"),
        ([FACE, ("boxes", "[[0,0,9,9],[0,0,9,9],[0,0,9,9],[0,0,9,9]]")], 413, "4 boxes; at most 3"),
        ([], 422, "the form has no file; expected one or more, as pictures"),
        ([("pictures", "face.png")], 422, "pictures must be a file: curl -F pictures=@FILE"),
        ([("boxes", b"[]"), FACE], 422, "boxes must be text, no file"),
        ([("picture", picture(RED))], 422, "the form has a field 'picture'; expected pictures,"),
        ([FACE, FACE, ("boxes", "null")], 422, "2 pictures and 1 boxes: expected one boxes for"),
        ([FACE, ("boxes", "[[1,2,3]]")], 422, "boxes of picture 1 are no list of [x, y, width"),
        ([FACE, ("boxes", "[" * 20_000)], 422, "boxes of picture 1 are no list of [x, y, width"),
        ([FACE, ("pixels", "101")], 422, "pixels must be one whole number from 8 to 100"),
        ([FACE, ("pixels", "\u0661\u0663")], 422, "pixels must be one whole number"),  # 13
        ([FACE, ("pixels", "9" * 5000)], 422, "pixels must be one whole number from 8 to 100"),
        ([FACE, ("faces", "crops"), ("min_face", "9")], 422, "min_face is for pictures in which"),
        ([FACE, ("min_face", "7")], 422, "min_face must be one whole number from 8 to 1000"),
        ([FACE, ("faces", "some")], 422, "faces must be one of auto, crops"),
        ([FACE, ("faces", "auto"), ("faces", "crops")], 422, "faces must be one of auto, crops"),
        ([FACE, ("boxes", "[]"), ("min_face", "9")], 422, "min_face is for pictures without boxes"),
        ([FACE, ("boxes", "[]"), ("faces", "crops")], 422, "faces is for pictures without boxes"),
    ],
)
def test_a_request_that_asks_too_much_is_told_so(
    small: Client, parts: list[Part], status: int, message: str
) -> None:
    got, said = small.predict(*parts)
    assert (got, list(said)) == (status, ["error"])
    assert said["error"].startswith(message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        # 300 * 200 pixels twice, for faces of 10: 4 times that, of 120,000; for 18 it is 148,148.
        (
            [WIDE, WIDE],
            "looking for faces of 10 pixels in 120,000 pixels would take too long; send fewer or "
            "smaller pictures, min_face=18, or boxes of the faces",
        ),
        ([WIDE, WIDE, ("min_face", "17")], "faces of 17 pixels in 120,000 pixels would take too"),
        ([WIDE, WIDE, ("min_face", "18")], ""),
        ([LARGE], "faces of 20 pixels in 2,002,000 pixels would take too long"),
        ([WIDE, WIDE, ("boxes", "null"), ("boxes", "[]"), ("min_face", "13")], ""),
        ([("pictures", picture(RED, 200))] * 4, ""),  # crops, which nobody searches
    ],
)
def test_what_would_take_too_long_to_search_is_told_so(
    model_file: Path, words: list[Part], message: str
) -> None:
    with serving(load(model_file), searched=150_000) as one:
        status, said = one.predict(*words)
    assert status == (413 if message else 200)
    assert message in said.get("error", "")


def test_more_faces_than_can_be_read_are_told_so(model_file: Path) -> None:
    rgb = np.full((140, 400, 3), 128, np.uint8)
    rgb[20:120, 30:130] = synthetic_face("train", 1, faces_per_subject=7, seed=1)
    rgb[20:120, 230:330] = rgb[20:120, 30:130]
    with serving(load(model_file), faces=1) as one:
        status, said = one.predict(("pictures", encoded(rgb)), ("min_face", "40"))
        assert status == 413
        assert said["error"].startswith("2 faces were found; at most 1 are read in one request")
        half = ("pictures", encoded(rgb[:, :205]))
        assert one.predict(half, ("min_face", "40"))[0] == 200
        assert one.predict(half, half, ("min_face", "40"))[0] == 413


def test_a_face_detection_can_be_ended(model_file: Path) -> None:
    wide = Picture(number=1, source="", content=WIDE[1])
    with pytest.raises(TimeoutError):
        answer(
            load(model_file),
            None,
            [wide],
            Choices(),
            None,
            Limits(),
            Mock(side_effect=TimeoutError),
        )


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Every answer is a search without an end; events say that it has begun, and was ended."""
    begun, ended = threading.Event(), threading.Event()

    def endless(*words: Any) -> None:
        begun.set()
        try:
            while True:
                words[-1]()
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(app, "answer", endless)
    return begun, ended


def test_a_search_that_takes_too_long_is_told_so_and_ended(
    model_file: Path, search: tuple[threading.Event, threading.Event]
) -> None:
    with serving(load(model_file), seconds=0.2) as one:
        status, said = one.predict(FACE)
        assert status == 408
        assert said["error"].startswith("not answered within 0.2 seconds; send fewer or smaller")
        assert search[1].wait(60)


def test_a_search_whose_client_leaves_is_ended(
    model_file: Path, search: tuple[threading.Event, threading.Event]
) -> None:
    with serving(load(model_file), seconds=600) as one:
        with socket.create_connection(("127.0.0.1", one.port)) as connection:
            connection.sendall(REQUEST)
            assert search[0].wait(60)
        assert search[1].wait(60)


def test_what_runs_when_the_service_is_ended_is_told_so(
    model_file: Path,
    search: tuple[threading.Event, threading.Event],
    capfd: pytest.CaptureFixture[str],
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with serving(load(model_file)) as one:
            asked, waiting = pool.submit(one.predict, FACE), one.half_open()
            assert search[0].wait(60)
        assert asked.result() == (503, {"error": "the service was ended"})
        with waiting:
            assert waiting.recv(2000).startswith(b"HTTP/1.1 503 ")
    assert "Traceback" not in capfd.readouterr().err


def test_what_ends_a_container_ends_the_service_with_an_answer() -> None:
    code = "from fsr_fer.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout
        port = re.match(r"http://127\.0\.0\.1:(\d+) ", service.stdout.readline())
        assert port
        with Client(int(port[1])).half_open() as waiting:
            time.sleep(0.5)  # until the head has been read
            service.send_signal(signal.SIGTERM)
            assert waiting.recv(2000).startswith(b"HTTP/1.1 503 ")
    assert service.returncode == 143


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"", "image/png", 415, "expected a form"),
        (form([FACE]), "multipart/form-data", 400, "Missing boundary"),
        (NOISE, KIND, 400, "Invalid multipart data"),
        (form([FACE])[:-15], KIND, 400, "the form is cut off"),
        (b"", KIND, 400, "the form is cut off"),
        (form([FACE]), f"{KIND}; charset=undefined", 400, "cannot be read in its charset"),
    ],
)
def test_what_is_no_form_is_told_so(
    small: Client, body: bytes, kind: str, status: int, message: str
) -> None:
    got, content, _ = small.ask("POST", "/predict", body, Content_Type=kind)
    assert got == status
    assert message in json.loads(content)["error"]


def test_a_compressed_form_is_told_so(small: Client) -> None:
    body = gzip.compress(form([FACE]))
    status, content, _ = small.ask(
        "POST", "/predict", body, Content_Type=KIND, Content_Encoding="gzip"
    )
    assert (status, "send it uncompressed" in json.loads(content)["error"]) == (415, True)


@pytest.mark.parametrize("sent", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_is_told_so(small: Client, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", small.port)) as connection:
        connection.sendall(sent)
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/json" in head.lower()
    assert list(json.loads(body)) == ["error"]


def test_boxes_that_are_none_have_their_rows(small: Client) -> None:
    status, said = small.predict(FACE, ("boxes", "[[0,0,-6000,-6000],[0,0,1e400,9]]"))
    assert (status, [row["status"] for row in said["predictions"]]) == (200, ["bad_box"] * 2)


def test_other_addresses_and_methods(small: Client) -> None:
    assert small.ask("GET", "/../../etc/passwd")[0] == 404
    assert len(small.ask("GET", f"/{'x' * 999}")[1]) < 220  # what is repeated of it is short
    for method, path in (("GET", "/nothing"), ("POST", "/predict/")):
        status, content, _ = small.ask(method, path)
        said = f"there is no {path}; /openapi.json lists what there is"
        assert (status, json.loads(content)) == (404, {"error": said})
    status, content, headers = small.ask("GET", "/predict")
    assert (status, headers["allow"]) == (405, "POST")
    assert json.loads(content) == {"error": "/predict takes POST, not GET"}


def test_too_many_at_a_time_are_told_so_and_others_go_on(small: Client) -> None:
    waiting = [small.half_open(), small.half_open()]
    answers = [small.predict(FACE) for _ in range(20)]
    assert answers[-1] == (429, {"error": "2 requests are being answered; try again soon"})
    assert small.ask("POST", "/predict")[2]["retry-after"] == "1"
    assert small.ask("GET", "/health")[0] == 200
    for connection in waiting:
        connection.close()
    assert 200 in [small.predict(FACE)[0] for _ in range(20)]


def test_late_clients_block_nobody_and_are_not_waited_for(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InTime, "seconds", 0.3)
    with serving(load(model_file), seconds=0.5) as client, socket.socket() as unread:
        with client.half_open(head_only=True) as waiting:
            assert client.ask("GET", "/health")[0] == 200
            assert waiting.recv(100) == b""  # closed
        with client.half_open() as waiting:
            assert client.ask("GET", "/health")[0] == 200
            answer = waiting.recv(2000)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"not received within 0.5 seconds" in answer + waiting.recv(2000)
        # Nor is an answer kept that nobody takes.
        monkeypatch.setattr(app, "answer", lambda *_: "x" * 20_000_000)
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.connect(("127.0.0.1", client.port))
        unread.settimeout(120)
        unread.sendall(REQUEST)
        time.sleep(2)
        taken = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := unread.recv(2**16):
                taken += len(chunk)
        assert taken < 20_000_000


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Origin": "http://127.0.0.1:PORT"}, False),
        ({"Host": "[::1]:PORT"}, False),
        ({"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors"}, False),
        ({"Origin": "https://proxy.example", "Sec_Fetch_Site": "same-origin"}, False),
        ({"Origin": "http://127.0.0.1:PORT", "Sec_Fetch_Site": "cross-site"}, True),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"}, True),  # another port
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, True),  # a form's POST
        ({"Host": "evil.example:PORT", "Origin": "http://evil.example:PORT"}, True),  # rebinding
        ({"Host": "192.168.0.7"}, True),
        ({"Host": "[bad"}, True),
    ],
)
def test_pages_of_other_sites_are_refused(
    client: Client, headers: dict[str, str], refused: bool
) -> None:
    named = {key: value.replace("PORT", str(client.port)) for key, value in headers.items()}
    status, said = client.predict(FACE, **named)
    assert status == (403 if refused else 200), said
    if "navigate" in headers.values():  # a link on another site may lead to the page
        assert client.ask("GET", "/", **headers)[0] == 200


@pytest.mark.parametrize(
    ("host", "asked", "ours"),
    [
        ("Box.example", "BOX.example:8000", True),
        ("box.example", "other.example", False),
        ("0.0.0.0", "192.168.0.7:8000", True),
        ("0.0.0.0", "evil.example", False),
        ("::", "[fe80::1]:8000", True),
    ],
)
def test_the_host_that_was_given_is_ours(host: str, asked: str, ours: bool) -> None:
    async def nothing(*_: object) -> None: ...

    assert Guard(nothing, [host])._is_ours(asked) == ours


def test_nothing_is_written_and_nothing_logged(
    client: Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(self: object) -> None:
        raise AssertionError("a picture was written to a disk")

    monkeypatch.setattr(formparsers.SpooledTemporaryFile, "rollover", fail)
    megabytes = picture(RED) + NOISE * 12_000  # what follows a PNG's end is not read
    assert client.predict(("pictures", megabytes))[0] == 200
    assert client.predict(("pictures", bomb(13_000)))[0] == 413
    client.half_open().close()
    assert client.predict(FACE)[0] == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("host", "address", "open_to_others"),
    [
        ("LOCALHOST", "LOCALHOST", False),
        ("0.0.0.0", "0.0.0.0", True),
        ("0", "0.0.0.0", True),  # which a browser makes of it
    ],
)
def test_other_machines_are_warned_of_where_they_can_ask(
    run: Run,
    model_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
    host: str,
    address: str,
    open_to_others: bool,
) -> None:
    apps = []
    damaged = ("a damaged picture", UserWarning, "", 1, "PIL.Image")
    server = SimpleNamespace(run=lambda sockets: warnings.warn_explicit(*damaged))
    monkeypatch.setattr("fsr_fer.serve.server.server_of", lambda app: apps.append(app) or server)
    code, _, err = run("serve", "--model", model_file, "--host", host, "--port", 0)
    assert (code, "other machines can ask" in err) == (0, open_to_others)
    assert address in apps[0].user_middleware[0].kwargs["hosts"]
    assert not recwarn.list
    assert json.loads(apps[0].routes[0].endpoint.body)["plain"] is None  # of another model


def test_ctrl_c_ends_it_in_silence(
    run: Run, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = SimpleNamespace(run=Mock(side_effect=KeyboardInterrupt))
    monkeypatch.setattr("fsr_fer.serve.server.server_of", lambda app: server)
    code, _, err = run("serve", "--model", model_file, "--port", 0)
    assert (code, err) == (130, "")


def test_mistakes_of_the_command_are_one_line(
    run: Run, client: Client, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run("serve", "--model", model_file, "--port", client.port)
    assert (code, out) == (1, "")
    assert err.startswith(f"fsr-fer: cannot listen on 127.0.0.1, port {client.port}: Address")
    assert err.count("\n") == 1
    assert err.endswith("; another port: --port 8001\n")
    for host in ("192.0.2.1", "a..b"):  # nobody's, no name at all
        code, _, err = run("serve", "--model", model_file, "--host", host)
        assert (code, err.count("\n")) == (1, 1)
        assert err.endswith("; an address of this machine: --host 127.0.0.1\n")
    forbidden = Mock(side_effect=PermissionError(errno.EACCES, "Permission denied"))
    monkeypatch.setattr(socket, "create_server", forbidden)
    _, _, err = run("serve", "--model", model_file, "--port", 80)
    assert err.endswith("Permission denied; another port: --port 8001\n")
