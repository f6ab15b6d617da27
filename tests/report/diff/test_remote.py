"""A folder or S3 as the remote: push here, pull there, nothing runs."""

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
        pytest.importorskip(module, reason="pip install -e '.[s3]' 'moto[server]'")
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="faces")
    yield endpoint
    server.stop()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_all_outputs_but_licensed_faces_arrive_in_a_clone_where_nothing_runs(
    project: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    there = project.parent / "there"
    address = "s3://faces/fsr-fer" if kind == "s3" else str(project.parent / "store")
    shell(project, "dvc", "remote", "add", "-d", "store", address)
    if kind == "s3":
        endpoint = request.getfixturevalue("s3")
        shell(project, "dvc", "remote", "modify", "store", "endpointurl", endpoint)
    shell(project, "dvc", "push")
    commit(project, "results")
    shell(project.parent, "git", "clone", "-q", str(project), str(there))
    shell(there, "dvc", "pull", "draw", "train")
    for name in ("faces.npy", "model"):
        assert (there / name).read_bytes() == (project / name).read_bytes()
    assert "Running stage" not in shell(there, "dvc", "repro", "draw", "train")
    with pytest.raises(AssertionError, match=r"licensed"):
        shell(there, "dvc", "pull", "licensed")
