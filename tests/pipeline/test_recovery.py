"""What a power cut leaves of DVC's files is put right, and nothing else is touched."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fsr_fer.common.errors import UserError
from fsr_fer.pipeline.recovery import CUT, RWLOCK, keep_lock, recover
from tests.pipeline.provenance.conftest import finished, pipeline

__all__ = ["finished", "pipeline"]  # fixtures


def test_a_lock_that_was_cut_off_is_what_it_was_before(pipeline: Path) -> None:
    lock, whole = pipeline / "dvc.lock", (pipeline / "dvc.lock").read_bytes()
    keep_lock(pipeline)
    brought_back = 0
    for length in range(1, len(whole), 61):
        lock.write_bytes(whole[:length])
        recover(Path())
        assert whole.startswith(lock.read_bytes())
        if lock.read_bytes() == whole:
            brought_back += 1
            assert CUT.read_bytes() == whole[:length]
        else:  # at the end of a line: DVC runs what is missing
            assert whole[length - 1 :][:1] == b"\n"
    assert brought_back > 0.9 * len(whole) / 61


def test_without_a_copy_or_with_conflict_markers_it_is_for_the_user(pipeline: Path) -> None:
    lock, whole = pipeline / "dvc.lock", (pipeline / "dvc.lock").read_bytes()
    lock.write_bytes(whole[:-200])
    with pytest.raises(UserError, match=r"dvc\.lock of workspace is not whole"):
        recover(pipeline)
    lock.write_bytes(whole)
    keep_lock(pipeline)
    merged = whole + b"<<<<<<< ours\n"
    lock.write_bytes(merged)
    with pytest.raises(UserError, match="conflict markers"):
        recover(pipeline)
    assert lock.read_bytes() == merged


def test_what_dead_processes_hold_is_released_and_no_more(pipeline: Path) -> None:
    path = pipeline / RWLOCK

    def noted(process: int, command: str) -> bool:
        info = {"pid": process, "cmd": command}
        path.write_text(json.dumps({"write": {"/data": info}, "read": {"/raw": [info]}}))
        recover(pipeline)
        return path.exists()

    command = [sys.executable, "-c", "import time; time.sleep(60)", "repro", "pretrain"]
    living = subprocess.Popen(command)
    assert noted(living.pid, "dvc repro pretrain")
    assert not noted(living.pid, "dvc repro features")  # the number was given to another one
    living.kill()
    while b"Z" not in Path(f"/proc/{living.pid}/stat").read_bytes().rpartition(b")")[2][:3]:
        time.sleep(0.01)
    assert not noted(living.pid, "dvc repro pretrain")  # a zombie: nobody has asked for its end
    living.wait()
    assert not noted(living.pid, "dvc repro pretrain")
    path.write_text('{"write": {"/data"')
    recover(pipeline)
    assert not path.exists()
    assert os.listdir(path.parent)
