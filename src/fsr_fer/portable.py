"""A stage's training taken to another machine and its checkpoint brought back.

``pack`` puts code, params (as JSON), inputs and the last checkpoint of a stage into one file. Where
that is unpacked, Python, torch, NumPy and safetensors are enough to run it: ``python run.py``. What
comes back is not the stage's outputs but its checkpoint, under the key of all that it was made of.
``dvc repro`` then runs the stage as ever; it finds the checkpoint under its own key or not at all,
and writes the outputs itself.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from fsr_fer.errors import UserError
from fsr_fer.files import replacing
from fsr_fer.params import PARAMS_FILE, PIPELINE_FILE, Stage, load_stage, read_yaml
from fsr_fer.provenance.hashing import IGNORE_FILE, ignore_rules, list_files
from fsr_fer.runs import checkpoint_folder
from fsr_fer.training.checkpoint import FINISHED, Checkpoint, exclusive

RESULT = "result.json"
CHECKPOINT = "checkpoint"
LONGEST_HEADER = 64 * 2**20
_CODE = Path("src/fsr_fer")
_RUNNER = _CODE / "packed_run.py"
_BENCHMARKS = tuple(Path("benchmarks", f"{name}.py") for name in ("training", "eager", "machine"))


def pack(name: str, target: Path) -> Path:
    """Pack a stage of the project in the current folder (``fsr@plain``) into the tar ``target``.

    Raises:
        UserError: it keeps no checkpoint, or an input of it is not here.
    """
    stage = stage_called(name)
    missing = [path.as_posix() for path in stage.deps if not path.exists()]
    if missing:
        raise UserError(
            f"{name} reads {missing[0]}, which is not here; `dvc pull` or `dvc repro` brings it"
        )
    ignored = ignore_rules(Path())
    files: set[Path] = {path for path in (Path(IGNORE_FILE), *_BENCHMARKS) if path.is_file()}
    for path in (_CODE, *stage.deps):
        files |= set(list_files(path, ignored)) if path.is_dir() else {path}
    checkpoint = checkpoint_folder(stage)
    node = read_yaml(PIPELINE_FILE)["stages"][stage.name]
    texts = {
        PARAMS_FILE.with_suffix(".json"): json.dumps(read_yaml(PARAMS_FILE), indent=1),
        PIPELINE_FILE.with_suffix(".json"): json.dumps({"stages": {stage.name: node}}, indent=1),
        Path("packed.json"): json.dumps({"stage": name, "command": stage.command.split()[1:]}),
        Path("run.py"): _RUNNER.read_text(encoding="utf-8"),
    }
    # A folder of its own, dereferenced: DVC may have linked the data to its cache.
    with replacing(target) as part, tarfile.open(part, "w", dereference=True) as archive:
        for path, text in texts.items():
            _add_text(archive, f"{name}/{path}", text)
        for path in sorted(files):
            archive.add(path, f"{name}/{path.as_posix()}", filter=_anonymous)
        if checkpoint.is_dir():
            inside = f"{name}/.ckpt/{stage.profile}/{stage.instance}/{checkpoint.name}"
            archive.add(checkpoint, inside, filter=_anonymous)
    return target


def write_result(name: str, target: Path) -> Path | None:
    """Put the checkpoint of a stage into the tar ``target``; None if there is none yet."""
    stage = stage_called(name)
    folder = checkpoint_folder(stage)
    if not folder.is_dir():
        return None
    header = {
        "stage": name,
        "key": folder.name,
        "params": dict(stage.params),
        "inputs": stage.input_hashes,
    }
    with replacing(target) as part, tarfile.open(part, "w", dereference=True) as archive:
        _add_text(archive, RESULT, json.dumps(header, indent=1))
        archive.add(folder, CHECKPOINT, filter=_anonymous)
    return target


def unpack(source: Path) -> tuple[str, bool]:
    """Put the checkpoint in the tar ``source`` where its stage looks for it.

    Returns the stage's name and whether its training is through.

    Raises:
        UserError: it is no result, was made of other params, inputs or code, or is no further than
            what is here; nothing was changed.
    """
    try:
        with tarfile.open(source, "r:") as archive:
            header = _header(source, archive)
            stage = stage_called(header["stage"])
            folder = checkpoint_folder(stage)
            if header["key"] != folder.name:
                raise UserError(
                    f"{source} is of another {stage.instance}: {_differs(header, stage)}"
                )
            with (
                exclusive(folder) as present,
                tempfile.TemporaryDirectory(prefix=folder.name + ".", dir=folder.parent) as scratch,
            ):
                archive.extractall(scratch, _checkpoint_files(archive), filter="data")
                brought = Path(scratch) / CHECKPOINT
                _require_further(source, Checkpoint(brought), present)
                finished = (brought / FINISHED).exists()
                _touch(brought)
                with replacing(folder) as part:
                    shutil.move(brought, part)
            return stage.instance, finished
    except FileNotFoundError:
        raise UserError(f"{source} is not here") from None
    except (tarfile.TarError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{source} is no result of a packed run: {reason}") from error


def stage_called(name: str) -> Stage:
    """The stage of dvc.yaml that DVC calls so.

    Raises:
        UserError: there is none, or it keeps no checkpoint.
    """
    stages = read_yaml(PIPELINE_FILE)["stages"]
    base, _, item = name.partition("@")
    node = stages.get(base, {})
    choices = node.get("foreach", node.get("matrix"))
    if base not in stages or bool(choices) != bool(item):
        raise UserError(f"{PIPELINE_FILE} has no stage {name}; known: {', '.join(stages)}")
    if isinstance(choices, dict) and "foreach" in node and item not in choices:
        raise UserError(f"{PIPELINE_FILE} has no stage {name}; {base} has {', '.join(choices)}")
    stage = load_stage(base, item or None)
    script = Path(stage.command.split()[1]).read_text(encoding="utf-8")
    if "checkpoint_of(" not in script and "shared_work(" not in script:
        raise UserError(f"{name} keeps no checkpoint, so there is nothing to take elsewhere")
    return stage


def _header(source: Path, archive: tarfile.TarFile) -> dict[str, Any]:
    try:
        member = archive.getmember(RESULT)
        file = archive.extractfile(member)
        if file is None or member.size > LONGEST_HEADER:
            raise ValueError(f"its {RESULT} is no such file")
        header = json.loads(file.read())
        if not all(isinstance(header[key], str) for key in ("stage", "key")):
            raise TypeError(f"its {RESULT} names no stage")
        if not all(isinstance(header[key], dict) for key in ("params", "inputs")):
            raise TypeError(f"its {RESULT} lists no inputs")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{source} is no result of a packed run ({error}); `python run.py` there writes one"
        ) from error
    found: dict[str, Any] = header
    return found


def _checkpoint_files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Plain files and folders of the checkpoint; whatever else a tar can hold is left alone."""
    for member in archive.getmembers():
        inside = PurePosixPath(member.name).parts[:1] == (CHECKPOINT,)
        if inside and (member.isfile() or member.isdir()):
            yield member


def _differs(header: dict[str, Any], stage: Stage) -> str:
    """What is not the same there and here."""
    told = []
    for kind, there, here in (
        ("param", _flat(header["params"]), _flat(stage.params)),
        ("file", header["inputs"], stage.input_hashes),
    ):
        for name in sorted(there.keys() | here.keys()):
            if there.get(name) != here.get(name):
                values = f" ({there.get(name)} there, {here.get(name)} here)"
                told.append(name + (values if kind == "param" else ""))
    if not told:
        return "its key is not that of the params and inputs that it names"
    more = f" and {len(told) - 4} more" if len(told) > 4 else ""
    return f"{', '.join(told[:4])}{more} differ{'s' * (len(told) == 1)}"


def _flat(values: Any, start: str = "") -> dict[str, Any]:
    """Nested sections by dotted key."""
    if not isinstance(values, dict) or not values:
        return {start: values}
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{start}.{key}" if start else key)
    return found


def _require_further(source: Path, brought: Checkpoint, present: Checkpoint) -> None:
    """Refuse what is damaged, and what is no further than the checkpoint that is here.

    Features have no such file: each of their shards is whole or is not looked at.
    """
    there, here = brought.load(), present.load()
    if there is not None and here is not None and here[1]["done"] >= there[1]["done"]:
        raise UserError(
            f"{source} is no further than the checkpoint here ({there[1]['done']}, here "
            f"{here[1]['done']}); nothing was changed"
        )


def _touch(folder: Path) -> None:
    """A checkpoint's age is counted from when it came here."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path)


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode("utf-8")
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose file it was, and when, is nobody's business elsewhere."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
