"""A remote in the manner of S3 and one that is a folder: push here, pull there, nothing runs."""

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.provenance.conftest import commit, init, shell

BUCKET = "faces"
STAGES = """stages:
  draw:
    cmd: python -c "import os; open('faces.npy', 'wb').write(bytes(range(256)) * 16384)"
    outs: [faces.npy]
  train:
    cmd: python -c "open('model', 'wb').write(open('faces.npy', 'rb').read()[::-1])"
    deps: [faces.npy]
    outs: [model]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A finished pipeline of two stages and some megabytes, and a licensed import."""
    root = tmp_path / "here"
    root.mkdir()
    init(root)
    (root / "dvc.yaml").write_text(STAGES)
    shell(root, "dvc", "repro", "-q")
    (root / "licensed").write_text("RAF-DB")
    shell(root, "dvc", "add", "-q", "licensed")
    tracked = root / "licensed.dvc"
    tracked.write_text(tracked.read_text() + "  push: false\n")
    return root


def clone(project: Path) -> Path:
    commit(project, "results")
    shell(project.parent, "git", "clone", "-q", str(project), "there")
    return project.parent / "there"


def assert_arrived(there: Path, project: Path) -> None:
    """All outputs are there, and nothing has to run."""
    for name in ("faces.npy", "model"):
        assert (there / name).read_bytes() == (project / name).read_bytes()
    out = shell(there, "dvc", "repro", "draw", "train")
    assert "Running stage" not in out
    assert "up to date" in out


def test_a_folder_as_remote_gets_all_but_licensed_faces(project: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shell(project, "dvc", "remote", "add", "-d", "store", str(store))
    shell(project, "dvc", "push")
    contents = [file.read_bytes() for file in store.rglob("*") if file.is_file()]
    assert len(contents) >= 2
    assert b"RAF-DB" not in contents
    there = clone(project)
    assert not (there / "model").exists()
    shell(there, "dvc", "pull", "draw", "train")
    assert_arrived(there, project)


class Proxy:
    """Passes on what comes, until ``limit`` bytes went up or down; then every line is cut."""

    def __init__(self, target: int) -> None:
        self.target, self.limit, self.passed = target, sys.maxsize, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(16384):
                self.passed += len(data)
                if self.passed > self.limit:
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, num_bytes: int) -> None:
        self.passed, self.limit = 0, num_bytes

    def mend(self) -> None:
        self.passed, self.limit = 0, sys.maxsize


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def s3_port() -> Iterator[int]:
    """An S3 server process on loopback with an empty bucket."""
    for module in ("dvc_s3", "moto", "flask"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install -e '.[s3]' 'moto[server]'")
    port = _free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert server.poll() is None, "moto's server ended"
            assert time.monotonic() < deadline, "moto's server does not answer"
            time.sleep(0.2)
    yield port
    server.terminate()
    server.wait()


@pytest.fixture
def s3(s3_port: int, project: Path, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    """The project's remote is the server, through a proxy that can cut the line."""
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    proxy = Proxy(s3_port)
    endpoint = f"http://127.0.0.1:{proxy.port}"
    bucket = f"{BUCKET}-{proxy.port}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=bucket)
    shell(project, "dvc", "remote", "add", "-d", "store", f"s3://{bucket}/fsr-fer")
    shell(project, "dvc", "remote", "modify", "store", "endpointurl", endpoint)
    return proxy


def test_a_line_cut_while_pushing_and_while_pulling(s3: Proxy, project: Path) -> None:
    s3.cut_after(3_000_000)
    with pytest.raises(AssertionError):
        shell(project, "dvc", "push")
    s3.mend()
    shell(project, "dvc", "push")
    there = clone(project)
    s3.cut_after(3_000_000)
    with pytest.raises(AssertionError):
        shell(there, "dvc", "pull", "draw", "train")
    s3.mend()
    shell(there, "dvc", "pull", "draw", "train")
    assert_arrived(there, project)
    # Nothing half is left that a later run could take for whole.
    shutil.rmtree(there / ".dvc/cache")
    shell(there, "dvc", "fetch", "draw", "train")
    shell(there, "dvc", "checkout", "--force", "draw", "train")
    assert_arrived(there, project)
