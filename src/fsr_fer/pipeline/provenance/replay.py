"""Runs a stage again in a scratch folder and compares its outputs with those in the workspace.

It trusts neither dvc.lock nor caches nor records. The scratch folder holds copies of the
files that Git tracks, as they are in the workspace, and of the stage's inputs; DVC is not asked.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fsr_fer.common.errors import UserError
from fsr_fer.pipeline.git import git_bytes
from fsr_fer.pipeline.provenance.hashing import hashes_of
from fsr_fer.pipeline.provenance.revision import Revision, holds
from fsr_fer.pipeline.reproduce import begin, end


def replay(root: Path, name: str) -> dict[str, bool]:
    """Run a stage again on the workspace's own inputs; by output, whether its bytes are the same.

    ``root`` is the current folder. UserError if an input or output is missing, the command fails,
    or there is no repository.
    """
    entry = Revision(root).lock[name]
    outs = [out["path"] for out in entry.get("outs", [])]
    before = hashes_of(map(Path, outs))
    for out in outs:
        if before[out] == "missing":
            raise UserError(f"{out} is not here to compare with; `dvc checkout` or `dvc pull`")
    tracked = git_bytes(root, "ls-files", "-z")
    if tracked is None:
        raise UserError("a replay copies the files that Git tracks, and this is no Git repository")
    files = [path for path in os.fsdecode(tracked).split("\0") if Path(path).is_file()]
    inputs = [*entry.get("params", {}), *(dep["path"] for dep in entry.get("deps", []))]
    with tempfile.TemporaryDirectory(prefix="fsr-fer-replay-") as folder:
        scratch = Path(folder)
        # Copies, not links: whatever the command does, it cannot touch the workspace.
        for path in [*files, *inputs]:
            if not any(holds(out, path) for out in outs):
                _copy(Path(path), scratch / path)
        for out in outs:
            (scratch / out).parent.mkdir(parents=True, exist_ok=True)
        process = begin(
            ["sh", "-c", entry["cmd"]],
            cwd=scratch,
            # The scratch folder's own code and this environment's Python, whatever is installed.
            env={
                **os.environ,
                "PYTHONPATH": "src",
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "DVC_ROOT": folder,
                "DVC_STAGE": name,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            output, _ = process.communicate()
        except KeyboardInterrupt:
            end([process])
            raise
        if code := process.returncode:
            said = " | ".join(line for line in output.splitlines()[-5:] if line)
            raise UserError(f"replay of {name}: `{entry['cmd']}` ended with {code}: {said}")
        with contextlib.chdir(scratch):
            after = hashes_of(map(Path, outs))
    return {out: before[out] == after[out] for out in outs}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_file():
        shutil.copy2(source, target)
    else:
        raise UserError(f"{source} is not here, a replay needs it; `dvc checkout` or `dvc pull`")
