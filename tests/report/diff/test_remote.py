"""A folder or S3 as the remote: push here, pull there, nothing runs."""

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.provenance.conftest import commit, init, shell

STAGES = """stages:
  draw:
    cmd: python -c "open('faces.npy', 'wb').write(bytes(range(256)))"
    outs: [faces.npy]
  train:
    cmd: python -c "open('model', 'wb').write(open('faces.npy', 'rb').read()[::-1])"
    deps: [faces.npy]
    outs: [model]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A finished pipeline of two stages and a licensed import."""
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


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 server on this machine with an empty bucket, ``faces``."""
    for module in ("dvc_s3", "moto", "flask"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install -e '.[s3]' 'moto[server]'")
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert server.poll() is None, "moto's server ended"
            time.sleep(0.2)
    endpoint = f"http://127.0.0.1:{port}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="faces")
    yield endpoint
    server.terminate()
    server.wait()


def assert_shared(project: Path) -> None:
    """All outputs arrive in a clone, where nothing runs; the import stays here."""
    shell(project, "dvc", "push")
    commit(project, "results")
    there = project.parent / "there"
    shell(project.parent, "git", "clone", "-q", str(project), str(there))
    shell(there, "dvc", "pull", "draw", "train")
    for name in ("faces.npy", "model"):
        assert (there / name).read_bytes() == (project / name).read_bytes()
    assert "Running stage" not in shell(there, "dvc", "repro", "draw", "train")
    with pytest.raises(AssertionError, match=r"licensed"):
        shell(there, "dvc", "pull", "licensed")


def test_a_folder_gets_all_but_licensed_faces(project: Path, tmp_path: Path) -> None:
    shell(project, "dvc", "remote", "add", "-d", "store", str(tmp_path / "store"))
    assert_shared(project)


def test_s3_gets_all_but_licensed_faces(project: Path, s3: str) -> None:
    shell(project, "dvc", "remote", "add", "-d", "store", "s3://faces/fsr-fer")
    shell(project, "dvc", "remote", "modify", "store", "endpointurl", s3)
    assert_shared(project)
