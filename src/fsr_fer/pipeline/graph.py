"""The stages of dvc.yaml as DVC resolves them, cached for use without DVC."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.common.files import read_json, write_json
from fsr_fer.pipeline.paths import CODE_FILE, PARAMS_FILE, PIPELINE_FILE, SETTINGS_FILE
from fsr_fer.pipeline.provenance.hashing import md5_of_bytes

Graph = dict[str, dict[str, list[str]]]
"""A stage's full name (fsr@plain), then its script, declared settings, deps and outs."""


def graph_of(root: Path) -> Graph:
    """Resolve dvc.yaml and params.yaml of a folder, see ``resolve_graph``."""
    pipeline, params = root / PIPELINE_FILE, root / PARAMS_FILE
    return resolve_graph(root, pipeline.read_bytes(), params.read_bytes())


def resolve_graph(root: Path, pipeline: bytes, params: bytes) -> Graph:
    """Resolve the contents of a dvc.yaml and its params.yaml with DVC.

    DVC takes a second, so results are cached by these contents below ``.runs`` of ``root`` (for an
    experiment in a temporary folder: of the main workspace). UserError if DVC cannot read them, or
    is needed and not installed.
    """
    place = Path(os.environ.get("DVC_ROOT", root))
    kept = place / f".runs/graph-{md5_of_bytes(pipeline + params)}.json"
    if graph := read_json(kept):
        return graph
    try:
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
    except ImportError:
        raise UserError(
            f"DVC has not resolved this {PIPELINE_FILE} yet and is not installed here; run "
            "`fsr-fer check` where it is and bring .runs along"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, PIPELINE_FILE).write_bytes(pipeline)
        Path(folder, PARAMS_FILE).write_bytes(params)
        Path(folder, ".dvc").mkdir()  # else DVC reads the project that TMPDIR may lie in
        try:
            with Repo(folder, config={"core": {"no_scm": True}}) as repo:
                stages = {stage.name: _declared(stage) for stage in repo.index.stages}
        except (DvcException, TypeError) as error:  # TypeError: a value where it wants a list
            said = " ".join(str(error).split()).replace(f"{os.path.relpath(folder)}/", "")
            raise UserError(f"{PIPELINE_FILE} cannot be read; DVC says: {said}") from None
    with contextlib.suppress(OSError, UserError):  # a place that cannot be written
        write_json(kept, stages)
    return stages


def _declared(stage: Any) -> dict[str, list[str]]:
    params = {dep.def_path: dep.params for dep in stage.deps if hasattr(dep, "params")}
    return {
        "code": params.get(CODE_FILE.name, []),
        "settings": params.get(SETTINGS_FILE.name, []),
        "deps": [dep.def_path for dep in stage.deps if not hasattr(dep, "params")],
        "outs": [out.def_path for out in stage.outs],
    }
