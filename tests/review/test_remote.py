"""A remote in the manner of S3 and one that is a folder: push here, pull there, nothing runs."""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def run(folder: Path, *words: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert not ok or done.returncode == 0, (words, done.stdout, done.stderr)
    return done


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A finished pipeline of two stages and some megabytes, and a licensed import."""
    root = tmp_path / "here"
    root.mkdir()
    run(root, "git", "init", "-q", "-b", "main")
    run(root, "git", "config", "user.email", "tests@example.org")
    run(root, "git", "config", "user.name", "Tests")
    run(root, "dvc", "init", "-q")
    (root / "dvc.yaml").write_text(STAGES)
    run(root, "dvc", "repro", "-q")
    (root / "licensed").write_text("RAF-DB")
    run(root, "dvc", "add", "-q", "licensed")
    tracked = root / "licensed.dvc"
    tracked.write_text(tracked.read_text() + "  push: false\n")
    return root


def clone(project: Path, name: str) -> Path:
    run(project, "git", "add", "-A")
    run(project, "git", "commit", "-q", "-m", "results")
    run(project.parent, "git", "clone", "-q", str(project), name)
    return project.parent / name


def is_whole(there: Path, project: Path) -> bool:
    return all(
        (there / name).read_bytes() == (project / name).read_bytes()
        for name in ("faces.npy", "model")
    )


def nothing_runs(there: Path) -> bool:
    out = run(there, "dvc", "repro", "draw", "train").stdout
    return "Running stage" not in out and "up to date" in out


def test_a_folder_as_remote(project: Path, tmp_path: Path) -> None:
    run(project, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    run(project, "dvc", "push")
    there = clone(project, "there")
    assert not (there / "model").exists()
    run(there, "dvc", "pull", "draw", "train")
    assert is_whole(there, project)
    assert nothing_runs(there)


def test_licensed_faces_are_never_pushed(project: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    run(project, "dvc", "remote", "add", "-d", "store", str(store))
    run(project, "dvc", "push")
    contents = [file.read_bytes() for file in store.rglob("*") if file.is_file()]
    assert len(contents) >= 2
    assert b"RAF-DB" not in contents


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
def s3(s3_port: int, project: Path) -> Proxy:
    """The project's remote is the server, through a proxy that can cut the line."""
    import boto3

    proxy = Proxy(s3_port)
    endpoint = f"http://127.0.0.1:{proxy.port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    bucket = f"{BUCKET}-{proxy.port}"
    client.create_bucket(Bucket=bucket)
    run(project, "dvc", "remote", "add", "-d", "store", f"s3://{bucket}/fsr-fer")
    run(project, "dvc", "remote", "modify", "store", "endpointurl", endpoint)
    return proxy


def test_push_here_pull_there(s3: Proxy, project: Path) -> None:
    run(project, "dvc", "push")
    there = clone(project, "there")
    run(there, "dvc", "pull", "draw", "train")
    assert is_whole(there, project)
    assert nothing_runs(there)


def test_a_line_cut_while_pushing_and_while_pulling(s3: Proxy, project: Path) -> None:
    s3.cut_after(3_000_000)
    assert run(project, "dvc", "push", ok=False).returncode != 0
    s3.mend()
    run(project, "dvc", "push")
    there = clone(project, "there")
    s3.cut_after(3_000_000)
    assert run(there, "dvc", "pull", "draw", "train", ok=False).returncode != 0
    s3.mend()
    run(there, "dvc", "pull", "draw", "train")
    assert is_whole(there, project)
    assert nothing_runs(there)
    # Nothing half is left that a later run could take for whole.
    shutil.rmtree(there / ".dvc/cache")
    run(there, "dvc", "fetch", "draw", "train")
    run(there, "dvc", "checkout", "--force", "draw", "train")
    assert is_whole(there, project)
