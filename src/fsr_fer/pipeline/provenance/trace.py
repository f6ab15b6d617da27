"""The stages behind a number, a file or a stage, from dvc.lock, and the modules of their code."""

import contextlib
import difflib
import io
import json
import os
import tempfile
import textwrap
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fsr_fer.common.errors import UserError
from fsr_fer.evaluation.imported import imported_file
from fsr_fer.pipeline.code_fingerprint import PACKAGE, SOURCE, STAGES, fingerprint, reached
from fsr_fer.pipeline.git import git_bytes
from fsr_fer.pipeline.paths import CODE_FILE, LOCK_FILE, Paths
from fsr_fer.pipeline.profiles import flat, parse_yaml
from fsr_fer.pipeline.provenance.record import record_of
from fsr_fer.pipeline.provenance.revision import Revision, holds

Stages = Mapping[str, Mapping[str, Any]]
WIDTH, MOST_PARAMS = 100, 60
"""What is printed at most: columns, new params of a stage."""


def trace(revision: Revision, words: str) -> dict[str, Any]:
    """What ``words`` name and the stages that produced it, in order of running; ready for JSON.

    ``words`` are as in ``find``. For a value of one method, only the stages behind this method's
    predictions are listed. UserError if a file of the pipeline cannot be read.
    """
    lock = revision.lock
    if not lock:
        raise UserError(f"{revision.title} has no {LOCK_FILE}: nothing has run yet; `dvc repro`")
    path, value, names = find(revision, words)
    behind = upstream(lock, names)
    method = words.split(".")[1] if value is not None else None
    file = f"/predictions/{method}.csv"
    own = [n for n in behind if any(out["path"].endswith(file) for out in lock[n]["outs"])]
    profile = Path(path or "").parent.name
    imported = imported_file(profile, method).as_posix() if method and not own else ""
    if imported and revision.read(f"{imported}.dvc"):
        own = touching(lock, "outs", Paths(profile).dataset.as_posix())
    else:
        imported = ""
    if own:
        behind = [*upstream(lock, own), *names]
    with _code_of(revision):
        stages = [_stage(revision, name) for name in behind]
    return {
        "target": words,
        "value": value,
        "path": path,
        "method": method if own else None,
        "imported": imported or None,
        "revision": revision.commit,
        "readers": [] if names else touching(lock, "deps", str(path)),
        "stages": stages,
    }


def find(revision: Revision, words: str) -> tuple[str | None, Any, list[str]]:
    """Path, value and writing stages of what ``words`` mean, None where there is none.

    ``words`` are a value (accuracy.fsr_plain.x8), its file (accuracy), a path in the project, or a
    stage; UserError if nothing of the pipeline is called that.
    """
    lock = revision.lock
    if names := [name for name in lock if words in (name, name.partition("@")[0])]:
        return None, None, names
    here = os.path.relpath(Path.cwd() / words, revision.root)
    for path in dict.fromkeys(os.path.normpath(p).replace(os.sep, "/") for p in (here, words)):
        names = touching(lock, "outs", path)
        entries = (e for s in lock.values() for e in (*s.get("outs", ()), *s.get("deps", ())))
        there = any(entry["path"] == path for entry in entries)  # else a file in a folder
        there = there or revision.commit is not None or (revision.root / path).exists()
        if there and (names or touching(lock, "deps", path)):
            return path, None, names
    metric, _, key = words.partition(".")
    files = {out["path"] for stage in lock.values() for out in stage.get("outs", [])}
    fitting = sorted(path for path in files if path.rpartition("/")[2] == f"{metric}.json")
    if len(fitting) == 1:
        value = _value(revision, fitting[0], key) if key else None
        return fitting[0], value, touching(lock, "outs", fitting[0])
    known = [*lock, *files, *(Path(path).stem for path in files if path.endswith(".json"))]
    near = difflib.get_close_matches(words, known, n=2) or difflib.get_close_matches(metric, known)
    raise UserError(
        f"{words!r} is no value (accuracy.fsr_plain.x8), path or stage in {LOCK_FILE} of "
        f"{revision.title}" + (f"; near: {', '.join(near)}" if near else "")
    )


def _value(revision: Revision, path: str, key: str) -> Any:
    value: Any = parse_yaml(revision.output(path), path)
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = ", ".join(value) if isinstance(value, Mapping) else "no more below"
            raise UserError(f"{path} of {revision.title} has no {key}; for {part}: {known}")
        value = value[part]
    return value


def touching(lock: Stages, kind: str, path: str) -> list[str]:
    """Stages that have a path, something below it, or a folder it lies in among deps or outs."""
    return [
        name
        for name, stage in lock.items()
        if any(holds(e["path"], path) or holds(path, e["path"]) for e in stage.get(kind, []))
    ]


def upstream(lock: Stages, names: Iterable[str]) -> list[str]:
    """The stages and all whose outputs they read, directly or not, in order of running."""
    seen: set[str] = set()
    order: list[str] = []

    def visit(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        inputs = [dep["path"] for dep in lock[name].get("deps", [])]
        for path in [*inputs, *lock[name].get("params", {})]:
            for writer in touching(lock, "outs", path):
                visit(writer)
        order.append(name)

    for name in names:
        visit(name)
    return order


@contextlib.contextmanager
def _code_of(revision: Revision) -> Iterator[None]:
    """Go to a folder with the revision's code."""
    with contextlib.ExitStack() as stack:
        folder = str(revision.root)
        if revision.commit is not None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            words = ("archive", "--format=zip", revision.commit, str(STAGES), str(SOURCE / PACKAGE))
            if archive := git_bytes(revision.root, *words):  # else it has no such code
                stack.enter_context(zipfile.ZipFile(io.BytesIO(archive))).extractall(folder)
        stack.enter_context(contextlib.chdir(folder))
        yield


def _stage(revision: Revision, name: str) -> dict[str, Any]:
    entry = revision.lock[name]
    params = dict(entry.get("params", {}))
    fingerprints = params.pop(CODE_FILE.name, {})
    files = [
        path.as_posix()
        for script, ran in fingerprints.items()
        if (STAGES / f"{script}.py").is_file() and fingerprint(script) == ran
        for path in reached(script)
    ]
    return {
        "name": name,
        "cmd": entry["cmd"],
        "params": {key: value for values in params.values() for key, value in values.items()},
        "deps": entry.get("deps", []),
        "outs": entry["outs"],
        "code": {"fingerprint": "".join(fingerprints.values()) or None, "files": files},
        "run": record_of(revision.root, name, entry),
    }


def as_text(found: Mapping[str, Any]) -> str:
    """A trace for people: a flat list, stages that differ in their item alone together."""
    value = "" if found["value"] is None else f" = {found['value']}"
    lines = [f"{found['target']}{value}"]
    if found["path"] not in (None, found["target"]):
        lines.append(f"  in {found['path']}")
    if found["imported"]:
        lines.append(f"  another tool's predictions, imported into {found['imported']}")
    if found["readers"]:
        lines.append(f"  written by no stage, read by {', '.join(found['readers'])}")
    if found["method"]:
        last = found["stages"][-1]["name"]
        lines.append(f"  without other methods' stages, which {last} reads: fsr-fer trace {last}")
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for stage in found["stages"]:
        alike = json.dumps([stage["name"].partition("@")[0], stage["params"]])
        groups.setdefault(alike, []).append(stage)
    seen: set[str] = set()
    for group in groups.values():
        lines += ["", *_group(group, seen)]
    files = {file for stage in found["stages"] for file in stage["code"]["files"]}
    if files:
        lines += ["", *_wrapped("code", " ".join(sorted(files)))]
    return "\n".join(lines)


def _group(group: list[Mapping[str, Any]], seen: set[str]) -> Iterator[str]:
    """Stages with the same params: those of the first, a param only where it is new."""
    first, *others = group
    yield " ".join([first["name"], *(stage["name"].partition("@")[2] for stage in others)])
    yield from _wrapped("cmd", first["cmd"])
    params = {key: json.dumps(value) for key, value in flat(first["params"]).items()}
    new = [f"{key} {value}" for key, value in params.items() if f"{key} {value}" not in seen]
    seen.update(new)
    if new:
        shown = "; ".join(new) if len(new) <= MOST_PARAMS else f"{len(new)} values, see --json"
        yield from _wrapped("params", shown)
    for kind in ("deps", "outs"):
        paths = {entry["path"]: entry.get("md5", "") for stage in group for entry in stage[kind]}
        for path, md5 in paths.items():
            yield f"  {kind:<7} {path}  {md5[:8]}"
    if first["code"]["fingerprint"]:
        since = "" if first["code"]["files"] else ": its code has changed since"
        yield f"  code    {first['code']['fingerprint']}{since}"
    for stage in group:
        if run := stage["run"]:
            when = run["started"].replace("T", " ").removesuffix("+00:00")
            how = f"{run['seconds']} s, {run['device']}, {run['machine']}"
            yield f"  ran     {stage['name']}: {when} UTC, {how}"


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"  {label:<7} {text}",
        WIDTH,
        subsequent_indent=" " * 10,
        break_long_words=False,
        break_on_hyphens=False,
    )
